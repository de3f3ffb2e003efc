package survey

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/blindsign/blindrsa"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// keyBits is the size of the key that signs the ballots of one survey.
const keyBits = 2048

// variant is how ballots are signed: RSABSSA-SHA384-PSS-Randomized of RFC 9474.
const variant = blindrsa.SHA384PSSRandomized

// keyOwner is under whose name the key is kept that seals a survey's signing key.
// No person has a colon in their id. Erasing it is what destroys the signing key,
// wherever copies of the log are.
func keyOwner(survey string) lodge.PersonID { return lodge.PersonID("survey:" + survey) }

func aboutKey(survey string) string { return "signing key:" + survey }

// newKey makes the key pair of a survey: the public half as PKIX, the private one
// as PKCS #8 sealed at rest.
func (d *Desk) newKey(ctx context.Context, tenant lodge.Tenant, survey string) (public, sealed []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("survey: a key pair: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("survey: a key pair: %w", err)
	}
	if public, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("survey: a key pair: %w", err)
	}
	wrap, err := d.keys.Key(ctx, tenant, keyOwner(survey))
	if errors.Is(err, messaging.ErrErased) {
		return nil, nil, lodge.Wrap(lodge.CodeConflict, "A survey with that id was closed; use a new one.", err)
	}
	if err != nil {
		return nil, nil, err
	}
	sealed, err = messaging.SealPersonal(wrap, aboutKey(survey), private)
	return public, sealed, err
}

// sign signs a blinded message with a survey's key. circl computes the private
// operation on a ciphertext it blinds itself with fresh randomness, so that how
// long it takes says nothing of the key; and what is signed is uniformly random to
// whoever times it, so it says nothing of the ballot either.
func (d *Desk) sign(ctx context.Context, tenant lodge.Tenant, survey string, sealed, blinded []byte) ([]byte, error) {
	owner := keyOwner(survey)
	keys, err := d.keys.Keys(ctx, tenant, []lodge.PersonID{owner})
	if err != nil {
		return nil, err
	}
	if keys[owner] == nil || len(sealed) == 0 {
		return nil, errClosed
	}
	private, err := messaging.OpenPersonal(keys[owner], aboutKey(survey), sealed)
	if err != nil {
		return nil, fmt.Errorf("survey: the key of %s: %w", survey, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("survey: the key of %s: %w", survey, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("survey: the key of %s is of another kind", survey)
	}
	signature, err := blindrsa.NewSigner(key).BlindSign(blinded)
	if errors.Is(err, blindrsa.ErrInvalidMessageLength) || errors.Is(err, blindrsa.ErrUnexpectedSize) {
		return nil, errNotBlinded
	}
	return signature, err
}

// destroyKey makes a survey's private key unreadable for good.
func (d *Desk) destroyKey(ctx context.Context, tenant lodge.Tenant, survey string) error {
	return d.keys.Erase(ctx, tenant, keyOwner(survey))
}

// verifies reports whether a prepared message has a survey's signature.
func verifies(public, prepared, signature []byte) bool {
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return false
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return false
	}
	verifier, err := blindrsa.NewVerifier(variant, key)
	return err == nil && verifier.Verify(prepared, signature) == nil
}
