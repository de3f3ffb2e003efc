package idp

import (
	"context"
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// skew is how far an issuer's clock may be off at the most; see Options.Skew.
const skew = 60 * time.Second

// maxSubject bounds "sub", in bytes (OpenID Connect Core 1.0, section 2).
const maxSubject = 255

// errToken marks a token that is not believed, as opposed to one that could not
// be checked.
var errToken = errors.New("token refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errToken, fmt.Errorf(format, args...))
}

// verify checks an ID token that came with an access token for a flow (OpenID
// Connect Core 1.0, section 3.1.3.7) and returns its claims. go-oidc verifies the
// signature, the audience and at_hash; it leaves nonce, azp, type and the limits
// of time to us.
func (is *issuer) verify(ctx context.Context, raw, accessToken, nonce string, again bool) (claims, error) {
	token, all, err := is.signed(ctx, raw, plainTypes)
	if err != nil {
		return nil, err
	}
	azp := all.text("azp")
	if again && all["nonce"] == nil {
		nonce = "" // optional in an answer to a refresh (section 12.2)
	}
	switch {
	case token.Subject == "":
		return nil, refused("sub is empty")
	case len(token.Audience) > 1 && azp == "":
		return nil, refused("several audiences and no azp")
	case all["azp"] != nil && azp != is.cfg.ClientID:
		return nil, refused("azp is %q", azp)
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1:
		return nil, refused("nonce is not that of this flow")
	}
	// Optional in the code flow, but binding where it is given.
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(accessToken); err != nil {
			return nil, refused("%w", err)
		}
	}
	return all, nil
}

// plainTypes are the "typ" of an ID token, which may also lack one.
var plainTypes = []string{"", "jwt", "application/jwt"}

// signed checks what all tokens of an issuer have in common: type, signature,
// issuer, audience, an unambiguous subject and the times.
func (is *issuer) signed(ctx context.Context, raw string, types []string) (*oidc.IDToken, claims, error) {
	key, alg, err := is.signer(ctx, raw, types)
	if err != nil {
		return nil, nil, err
	}
	verifier := oidc.NewVerifier(is.cfg.URL, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Key}}, &oidc.Config{
		ClientID:             is.cfg.ClientID,
		SupportedSigningAlgs: []string{string(alg)},
		SkipExpiryCheck:      true, // checked below, with our clock and skew
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, nil, refused("%w", err)
	}
	var all claims
	if err := token.Claims(&all); err != nil {
		return nil, nil, refused("claims: %w", err)
	}
	now := is.clock.Now()
	switch {
	case token.Issuer != is.cfg.URL: // go-oidc lets Google leave out the scheme
		return nil, nil, refused("iss is %q", token.Issuer)
	case token.Subject != all.text("sub"): // go-oidc's names ignore case, ours do not
		return nil, nil, refused("sub is ambiguous")
	case len(token.Subject) > maxSubject:
		return nil, nil, refused("sub is too long")
	case all["exp"] == nil || !now.Before(token.Expiry.Add(is.limits.Skew)):
		return nil, nil, refused("exp has passed or is absent")
	case all["iat"] == nil || token.IssuedAt.After(now.Add(is.limits.Skew)):
		return nil, nil, refused("iat is in the future or absent")
	case all["nbf"] != nil && all.time("nbf").After(now.Add(is.limits.Skew)):
		return nil, nil, refused("nbf is in the future")
	}
	return token, all, nil
}

// signer returns the issuer's key that a token claims to be signed with, if the
// token is of one of these types (in lower case, "" for none). Keys or addresses of
// keys inside the token (jwk, jku, x5c, x5u) are never looked at.
func (is *issuer) signer(ctx context.Context, raw string, types []string) (jose.JSONWebKey, jose.SignatureAlgorithm, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return jose.JSONWebKey{}, "", refused("%w", err)
	}
	header := jws.Signatures[0].Protected
	// A logout token or an access token is signed by the same key and must not
	// pass for an ID token (RFC 8725, section 3.11).
	typ, present := header.ExtraHeaders[jose.HeaderType]
	text, _ := typ.(string)
	if present && text == "" || !slices.Contains(types, strings.ToLower(text)) {
		return jose.JSONWebKey{}, "", refused("typ is %q", typ)
	}
	alg := jose.SignatureAlgorithm(header.Algorithm)
	key, err := is.keys.find(ctx, header.KeyID, alg)
	if errors.Is(err, errNoKey) {
		return jose.JSONWebKey{}, "", refused("kid %q, alg %q: %w", header.KeyID, alg, err)
	}
	return key, alg, err
}
