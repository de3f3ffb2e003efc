package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	tokenSecret   = "a secret of thirty-two bytes or more"
	tokenAudience = "https://relay.example"
)

// tokenNow is when the tokens of these tests are looked at.
var tokenNow = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// goodClaims are practable's, good for five minutes.
func goodClaims(now time.Time) map[string]any {
	return map[string]any{
		"booking_id": "b1", "topic": "pend00-data", "prefix": "session", "scopes": []string{"read", "write"},
		"aud": tokenAudience, "iat": now.Unix() - 1, "nbf": now.Unix() - 1, "exp": now.Unix() + 300,
	}
}

// but returns the claims with some changed; nil removes one.
func but(claims map[string]any, changes ...any) map[string]any {
	claims = maps.Clone(claims)
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(claims, changes[i].(string))
		} else {
			claims[changes[i].(string)] = changes[i+1]
		}
	}
	return claims
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a token the long way, so that headers can be anything.
func sign(t testing.TB, secret string, header, claims map[string]any) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return signRaw(secret, string(h), string(c))
}

func signRaw(secret, header, claims string) string {
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

var hs256 = map[string]any{"alg": "HS256", "typ": "JWT"}

func newTokens(t testing.TB) *Tokens {
	t.Helper()
	ts, err := NewTokens(TokensConfig{Secret: []byte(tokenSecret), Audience: tokenAudience, Tenant: lodge.DefaultTenant})
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// A token without iat made practable's handler panic, a bad one was a 500.
func TestSec23_TokenNeedsEveryClaim(t *testing.T) {
	ts := newTokens(t)
	good := goodClaims(tokenNow)
	admin := but(good, "scopes", []string{ScopeAdmin}, "booking_id", nil, "topic", nil, "prefix", nil)
	unix := tokenNow.Unix()
	for name, tc := range map[string]struct {
		claims map[string]any
		want   error
	}{
		"good":                     {good, nil},
		"audience in a list":       {but(good, "aud", []string{"https://other.example", tokenAudience}), nil},
		"audience with a slash":    {but(good, "aud", tokenAudience+"/"), nil},
		"claims of no concern":     {but(good, "sub", "somebody", "jti", "7"), nil},
		"fractions of seconds":     {but(good, "iat", float64(unix)-0.5, "exp", float64(unix)+0.9e1), nil},
		"administrative":           {admin, nil},
		"no booking":               {but(good, "booking_id", nil), errTokenBad},
		"empty booking":            {but(good, "booking_id", ""), errTokenBad},
		"booking of two lines":     {but(good, "booking_id", "a\nb"), errTokenBad},
		"endless booking":          {but(good, "booking_id", strings.Repeat("b", 256)), errTokenBad},
		"booking a number":         {but(good, "booking_id", 7), errTokenBad},
		"no topic":                 {but(good, "topic", nil), errTokenBad},
		"impossible topic":         {but(good, "topic", "../admin"), errTokenBad},
		"no prefix":                {but(good, "prefix", nil), errTokenBad},
		"another prefix":           {but(good, "prefix", "shell"), errTokenBad},
		"no scopes":                {but(good, "scopes", nil), errTokenBad},
		"empty scopes":             {but(good, "scopes", []string{}), errTokenBad},
		"scopes a string":          {but(good, "scopes", "read write"), errTokenBad},
		"no audience":              {but(good, "aud", nil), errTokenBad},
		"other audience":           {but(good, "aud", "https://other.example"), errTokenBad},
		"longer audience":          {but(good, "aud", tokenAudience+".evil.example"), errTokenBad},
		"audience of numbers":      {but(good, "aud", []any{7}), errTokenBad},
		"no iat":                   {but(good, "iat", nil), errTokenBad},
		"no nbf":                   {but(good, "nbf", nil), errTokenBad},
		"no exp":                   {but(good, "exp", nil), errTokenBad},
		"zero exp":                 {but(good, "exp", 0), errTokenBad},
		"negative iat":             {but(good, "iat", -5), errTokenBad},
		"exp after the year 9999":  {but(good, "exp", int64(lastSecond)+1), errTokenBad},
		"exp beyond all numbers":   {but(good, "exp", 1e300), errTokenBad},
		"exp in words":             {but(good, "exp", "tomorrow"), errTokenBad},
		"signed a minute ahead":    {but(good, "iat", unix+60, "nbf", unix+60), nil},
		"signed too far ahead":     {but(good, "iat", unix+61), errTokenBad},
		"counts in over a minute":  {but(good, "nbf", unix+61), errTokenEarly},
		"expired":                  {but(good, "exp", unix), errTokenLate},
		"expired, no skew":         {but(good, "exp", unix-1), errTokenLate},
		"one second left":          {but(good, "exp", unix+1), nil},
		"administrative but reads": {but(admin, "scopes", []string{ScopeAdmin, "read"}), errTokenBad},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ts.verify(sign(t, tokenSecret, hs256, tc.claims), tokenNow); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
	got, err := ts.verify(sign(t, tokenSecret, hs256, good), tokenNow)
	if err != nil || got.booking != "b1" || got.topic != "pend00-data" || !got.ends.Equal(time.Unix(unix+300, 0)) || !got.has("write") || got.has(ScopeAdmin) {
		t.Errorf("read as %+v, %v", got, err)
	}
}

func TestSec18_TokenAlgorithmIsOurs(t *testing.T) {
	ts := newTokens(t)
	good := goodClaims(tokenNow)
	body, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64(body) + "." }
	whole := sign(t, tokenSecret, hs256, good)
	for name, raw := range map[string]string{
		"alg none":               unsigned(`{"alg":"none","typ":"JWT"}`),
		"alg None":               unsigned(`{"alg":"None","typ":"JWT"}`),
		"no signature":           whole[:strings.LastIndexByte(whole, '.')+1],
		"alg HS384":              sign(t, tokenSecret, map[string]any{"alg": "HS384", "typ": "JWT"}, good),
		"alg RS256":              sign(t, tokenSecret, map[string]any{"alg": "RS256", "typ": "JWT"}, good),
		"no alg":                 sign(t, tokenSecret, map[string]any{"typ": "JWT"}, good),
		"no typ":                 sign(t, tokenSecret, map[string]any{"alg": "HS256"}, good),
		"another typ":            sign(t, tokenSecret, map[string]any{"alg": "HS256", "typ": "logout+jwt"}, good),
		"typ a number":           sign(t, tokenSecret, map[string]any{"alg": "HS256", "typ": 1}, good),
		"another secret":         sign(t, "another secret of thirty-two bytes.", hs256, good),
		"own key in the header":  sign(t, "another secret of thirty-two bytes.", map[string]any{"alg": "HS256", "typ": "JWT", "jwk": map[string]any{"kty": "oct", "k": b64([]byte("another secret of thirty-two bytes."))}}, good),
		"critical header":        sign(t, tokenSecret, map[string]any{"alg": "HS256", "typ": "JWT", "crit": []string{"x"}, "x": 1}, good),
		"claims twice":           signRaw(tokenSecret, `{"alg":"HS256","typ":"JWT"}`, strings.Replace(string(body), "{", `{"topic":"pend01-data",`, 1)),
		"claims not JSON":        signRaw(tokenSecret, `{"alg":"HS256","typ":"JWT"}`, `booking_id=b1`),
		"claims null":            signRaw(tokenSecret, `{"alg":"HS256","typ":"JWT"}`, `null`),
		"claims a list":          signRaw(tokenSecret, `{"alg":"HS256","typ":"JWT"}`, `[]`),
		"header null":            signRaw(tokenSecret, `null`, string(body)),
		"nothing":                "..",
		"endless":                sign(t, tokenSecret, hs256, but(good, "filler", strings.Repeat("x", maxToken))),
		"another's claims":       strings.Join([]string{strings.Split(whole, ".")[0], b64([]byte(`{}`)), strings.Split(whole, ".")[2]}, "."),
		"a line break":           strings.Replace(whole, ".", ".\n", 1),
		"space":                  whole + " ",
		"padding":                whole + "=",
		"spare bits of the last": spareBits(whole),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ts.verify(raw, tokenNow); !errors.Is(err, errTokenBad) {
				t.Errorf("%v, want errTokenBad", err)
			}
		})
	}
}

// spareBits writes the same signature in another way: the last character of 43
// holds two bits that mean nothing. A deny list of hashes would not know it.
func spareBits(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + string(alphabet[last^1])
}

func TestTokensConfig(t *testing.T) {
	for name, cfg := range map[string]TokensConfig{
		"short secret": {Secret: []byte("too short"), Audience: tokenAudience, Tenant: "t"},
		"no audience":  {Secret: []byte(tokenSecret), Tenant: "t"},
		"no tenant":    {Secret: []byte(tokenSecret), Audience: tokenAudience},
	} {
		if _, err := NewTokens(cfg); err == nil || strings.Contains(err.Error(), "too short") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A secret that is changed counts from the next token on; while it cannot be had,
// nothing is believed.
func TestSec43_SecretOfTokensIsAskedForEachTime(t *testing.T) {
	const other = "another secret, as long as HS256 needs"
	now, fault := []byte(tokenSecret), error(nil)
	ts, err := NewTokens(TokensConfig{Fresh: func() ([]byte, error) { return now, fault }, Audience: tokenAudience, Tenant: lodge.DefaultTenant})
	if err != nil {
		t.Fatal(err)
	}
	good := goodClaims(tokenNow)
	check := func(what, secret string, want error) {
		t.Helper()
		if _, err := ts.verify(sign(t, secret, hs256, good), tokenNow); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("before", tokenSecret, nil)
	check("another, before", other, errTokenBad)
	now = []byte(other)
	check("the old one, after", tokenSecret, errTokenBad)
	check("after", other, nil)
	for _, gone := range []func(){func() { now = []byte("too short") }, func() { fault = errors.New("no such file") }} {
		gone()
		_, err := ts.verify(sign(t, other, hs256, good), tokenNow)
		if refusal := refusalOfToken(err); lodge.CodeOf(refusal) != lodge.CodeUnavailable || strings.Contains(refusal.Error(), "too short") {
			t.Errorf("without a secret: %v", refusal)
		}
	}
	if _, err := NewTokens(TokensConfig{Fresh: func() ([]byte, error) { return nil, fault }, Audience: tokenAudience, Tenant: "t"}); err == nil {
		t.Error("a secret that cannot be had is no fault at the start")
	}
}

// Whatever is sent, verifying it ends without a panic, and what passes is signed
// with the secret and complete.
func FuzzToken(f *testing.F) {
	ts := newTokens(f)
	f.Add(sign(f, tokenSecret, hs256, goodClaims(tokenNow)))
	f.Add(sign(f, tokenSecret, hs256, but(goodClaims(tokenNow), "iat", nil)))
	f.Add(sign(f, tokenSecret, map[string]any{"alg": "none"}, nil))
	f.Add("..")
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := ts.verify(raw, tokenNow)
		if err != nil {
			return
		}
		parts := strings.Split(raw, ".")
		mac := hmac.New(sha256.New, []byte(tokenSecret))
		mac.Write([]byte(parts[0] + "." + parts[1]))
		if parts[2] != b64(mac.Sum(nil)) {
			t.Fatalf("accepted with a signature that is not ours: %q", raw)
		}
		checkToken(t, got)
	})
}

// FuzzTokenClaims signs whatever claims there are.
func FuzzTokenClaims(f *testing.F) {
	ts := newTokens(f)
	for _, claims := range []map[string]any{
		goodClaims(tokenNow), but(goodClaims(tokenNow), "iat", nil), but(goodClaims(tokenNow), "exp", 1e300), but(goodClaims(tokenNow), "aud", []any{nil}),
	} {
		body, err := json.Marshal(claims)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(`{"alg":"HS256","typ":"JWT"}`, string(body))
	}
	f.Fuzz(func(t *testing.T, header, claims string) {
		got, err := ts.verify(signRaw(tokenSecret, header, claims), tokenNow)
		if err == nil {
			checkToken(t, got)
		}
	})
}

func checkToken(t *testing.T, got token) {
	t.Helper()
	if !tokenNow.Before(got.ends) || tokenNow.Add(skew).Before(got.begins) || len(got.scopes) == 0 || len(got.id) != 43 {
		t.Fatalf("accepted %+v", got)
	}
	if (got.has("read") || got.has("write")) && (!ValidTopic(got.topic) || !validBooking(got.booking)) {
		t.Fatalf("accepted %+v", got)
	}
	if g, err := got.grant(lodge.DefaultTenant, "pend00-data", nil); err == nil && got.topic != "pend00-data" {
		t.Fatalf("opens %+v", g)
	}
}
