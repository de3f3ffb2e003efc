package relay

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lodge-gateway/lodge"
)

// The scopes of practable's tokens, and of service codes.
const (
	ScopeAdmin = "relay:admin" // deny and allow bookings
	ScopeStats = "relay:stats" // read the status

	scopeRead  = "read"
	scopeWrite = "write"
	// prefixSession is the only kind of connection there is, in practable's words.
	prefixSession = "session"
)

const (
	// maxToken bounds a token, in bytes, before anything of it is decoded.
	maxToken = 4 << 10
	// minSecret is what HS256 needs (RFC 7518 section 3.2).
	minSecret = 32
	// skew is how far the clock of whoever signs tokens may be ahead of ours. An
	// end is taken at its word: the rig is somebody else's from then on.
	skew = time.Minute
	// lastSecond is the end of the year 9999, after which times cannot be written.
	lastSecond = 253402300799
)

// TokensConfig says which tokens are good.
type TokensConfig struct {
	Secret []byte // what they are signed with; 32 bytes at least
	// Fresh, when it is set, is asked for the secret each time one is needed,
	// instead of Secret, so that it can be changed without a restart. While it
	// fails, tokens are answered 503.
	Fresh    func() ([]byte, error)
	Audience string       // the relay's public URL, "https://lab.example"
	Tenant   lodge.Tenant // the one tenant they are good in
}

// Tokens verifies practable's signed tokens (HS256), for the time in which
// another booking system still hands them out. What a token says cannot be taken
// back, so whoever accepts one asks Denials as well.
type Tokens struct {
	secret   func() ([]byte, error)
	audience string
	tenant   lodge.Tenant
}

// NewTokens returns a verifier.
func NewTokens(cfg TokensConfig) (*Tokens, error) {
	fresh, kept := cfg.Fresh, slices.Clone(cfg.Secret)
	secret := func() ([]byte, error) {
		if fresh == nil {
			return longEnough(kept, nil)
		}
		return longEnough(fresh())
	}
	ts := &Tokens{secret: secret, audience: strings.TrimSuffix(cfg.Audience, "/"), tenant: cfg.Tenant}
	if cfg.Audience == "" || cfg.Tenant == "" {
		return nil, errors.New("relay: signed tokens need an audience and a tenant")
	}
	if _, err := ts.secret(); err != nil {
		return nil, err
	}
	return ts, nil
}

func longEnough(secret []byte, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("relay: the secret of signed tokens: %w", err)
	case len(secret) < minSecret:
		return nil, fmt.Errorf("relay: the secret of signed tokens has %d bytes; HS256 needs %d (RFC 7518 section 3.2)", len(secret), minSecret)
	}
	return secret, nil
}

// A token is what a good signed token says.
type token struct {
	id      string // the unpadded base64url of the token's SHA-256
	booking string // empty when it opens no topic
	topic   string
	scopes  []string
	begins  time.Time
	ends    time.Time
}

func (t token) has(scope string) bool { return slices.Contains(t.scopes, scope) }

// Why a token is not good. A late or an early one is returned with its error.
var (
	errTokenBad   = errors.New("relay: not a good token")
	errTokenLate  = errors.New("relay: the token has expired")
	errTokenEarly = errors.New("relay: the token does not count yet")
)

// isToken reports whether a code has the form of a token. Opaque codes hold no
// dot.
func isToken(code string) bool { return strings.Count(code, ".") == 2 }

// claims are practable's. Pointers tell a time that is missing from one that is
// zero.
type claims struct {
	Booking   string           `json:"booking_id"`
	Topic     string           `json:"topic"`
	Prefix    string           `json:"prefix"`
	Scopes    []string         `json:"scopes"`
	Audience  jwt.Audience     `json:"aud"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	Expiry    *jwt.NumericDate `json:"exp"`
}

// verify returns what a token says, if it is good at a time.
func (ts *Tokens) verify(raw string, now time.Time) (token, error) {
	if !canonical(raw) {
		return token{}, errTokenBad
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil || len(parsed.Headers) != 1 {
		return token{}, errTokenBad
	}
	if typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, "JWT") {
		return token{}, errTokenBad
	}
	secret, err := ts.secret()
	if err != nil {
		return token{}, unavailable(err)
	}
	var c claims
	// The key is ours: what a header says of keys (jwk, jku, x5u, kid) is not read.
	if err := parsed.Claims(secret, &c); err != nil {
		return token{}, errTokenBad
	}
	if !ts.complete(&c) || c.IssuedAt.Time().After(now.Add(skew)) {
		return token{}, errTokenBad
	}
	t := token{
		id: hash(raw), booking: c.Booking, topic: c.Topic, scopes: c.Scopes,
		begins: c.NotBefore.Time().UTC(), ends: c.Expiry.Time().UTC(),
	}
	switch {
	case !now.Before(t.ends):
		return t, errTokenLate
	case now.Add(skew).Before(t.begins):
		return t, errTokenEarly
	}
	return t, nil
}

// complete reports whether nothing is missing. A token that opens a topic must
// name a booking, by which it can be denied; practable's administrative tokens
// do not.
func (ts *Tokens) complete(c *claims) bool {
	for _, at := range []*jwt.NumericDate{c.IssuedAt, c.NotBefore, c.Expiry} {
		if at == nil || *at <= 0 || *at > lastSecond {
			return false
		}
	}
	opens := slices.Contains(c.Scopes, scopeRead) || slices.Contains(c.Scopes, scopeWrite)
	if opens && (!validBooking(c.Booking) || !ValidTopic(c.Topic) || c.Prefix != prefixSession) {
		return false
	}
	return len(c.Scopes) > 0 && slices.ContainsFunc(c.Audience, func(a string) bool { return strings.TrimSuffix(a, "/") == ts.audience })
}

// canonical reports whether a token is written in the one way there is to write
// it. The library is lenient about space and spare bits, and would find the same
// token in strings of different hashes.
func canonical(raw string) bool {
	if len(raw) > maxToken || !isToken(raw) {
		return false
	}
	for part := range strings.SplitSeq(raw, ".") {
		if strings.ContainsAny(part, "\r\n") { // which even a strict decoder skips
			return false
		}
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return true
}

// hash names a secret or an id without repeating it.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
