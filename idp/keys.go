package idp

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lodge-gateway/lodge"
)

// algorithms are the signatures accepted on any token: asymmetric ones only, so
// that neither "none" nor a public key taken for a shared secret can pass.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}

const (
	// refetchPause is the shortest time between two fetches of an issuer's keys,
	// however many unknown key ids tokens name; see Options.Refetch.
	refetchPause = 10 * time.Second
	// maxKeys is how many usable keys are kept of an issuer.
	maxKeys = 32
	// minRSA is the shortest RSA modulus accepted, in bits (RFC 7518, section 3.3).
	minRSA = 2048
)

var errNoKey = errors.New("the token names no key of this issuer that fits")

// keySet is the keys of one issuer. go-oidc's RemoteKeySet fetches at every
// unknown key id, without a bound; this one does not.
type keySet struct {
	*cached[[]jose.JSONWebKey]
	refetch time.Duration // static
}

func newKeySet(clock lodge.Clock, limits Options, fetch func(context.Context) ([]jose.JSONWebKey, error)) *keySet {
	return &keySet{newCached(clock, limits.Fresh, fetch), limits.Refetch}
}

// find returns the key for a token's header. An unknown kid makes the keys be
// read again, for issuers rotate them, but not within Options.Refetch. errNoKey says
// that there is none; any other error that the keys could not be read.
func (s *keySet) find(ctx context.Context, kid string, alg jose.SignatureAlgorithm) (jose.JSONWebKey, error) {
	for _, maxAge := range []time.Duration{s.fresh, s.refetch} {
		keys, err := s.newer(ctx, maxAge)
		if err != nil {
			return jose.JSONWebKey{}, err
		}
		if key, err := pick(keys, kid, alg); err == nil {
			return key, nil
		}
	}
	return jose.JSONWebKey{}, errNoKey
}

// pick finds the one key for kid and alg. Without a kid there must be no choice
// (OpenID Connect Core 1.0, section 10.1).
func pick(keys []jose.JSONWebKey, kid string, alg jose.SignatureAlgorithm) (jose.JSONWebKey, error) {
	var found []jose.JSONWebKey
	for _, k := range keys {
		if (kid == "" || k.KeyID == kid) && fits(k, alg) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return jose.JSONWebKey{}, errNoKey
	}
	return found[0], nil
}

// fits reports whether a key may verify signatures of alg.
func fits(k jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != string(alg) {
		return false
	}
	switch pub := k.Key.(type) {
	case *rsa.PublicKey:
		return (alg == jose.RS256 || alg == jose.PS256) && pub.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && pub.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false // among others symmetric keys, which have no place in a public set
}

// usable reports whether a key fits any accepted algorithm.
func usable(k jose.JSONWebKey) bool {
	for _, alg := range algorithms {
		if fits(k, alg) {
			return true
		}
	}
	return false
}

// fetchKeys reads the issuer's key set. Keys of kinds we do not use are passed
// over, as RFC 7517, section 5 asks.
func (is *issuer) fetchKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	meta, err := is.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, is.client, meta.JWKS, "", &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil || !usable(k) {
			continue
		}
		if len(keys) == maxKeys {
			return nil, errors.New("the issuer publishes too many keys")
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer publishes no key that Lodge can use (RS256, PS256, ES256, EdDSA)")
	}
	return keys, nil
}
