package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestSec17_ClaimsOfTheToken(t *testing.T) {
	now := newClock().Now()
	type change = func(map[string]any)
	set := func(name string, value any) change { return func(c map[string]any) { c[name] = value } }
	del := func(name string) change { return func(c map[string]any) { delete(c, name) } }
	both := func(a, b change) change { return func(c map[string]any) { a(c); b(c) } }
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, test := range map[string]struct {
		change change
		good   bool
	}{
		"iss of another issuer":      {set("iss", "https://other.example"), false},
		"iss absent":                 {del("iss"), false},
		"iss with a slash":           {func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, false},
		"aud of another client":      {set("aud", "other"), false},
		"aud absent":                 {del("aud"), false},
		"aud empty list":             {set("aud", []string{}), false},
		"aud list of us":             {set("aud", []string{"lodge"}), true},
		"aud list without azp":       {set("aud", []string{"lodge", "other"}), false},
		"aud list, azp another":      {both(set("aud", []string{"lodge", "other"}), set("azp", "other")), false},
		"aud list, azp us":           {both(set("aud", []string{"lodge", "other"}), set("azp", "lodge")), true},
		"azp another":                {set("azp", "other"), false},
		"azp not a string":           {set("azp", 7), false},
		"azp us":                     {set("azp", "lodge"), true},
		"nonce another":              {set("nonce", "other"), false},
		"nonce absent":               {del("nonce"), false},
		"at_hash of another token":   {set("at_hash", base64.RawURLEncoding.EncodeToString(make([]byte, 16))), false},
		"at_hash absent (optional)":  {del("at_hash"), true},
		"exp passed beyond the skew": {set("exp", at(-61*time.Second)), false},
		"exp passed at the skew":     {set("exp", at(-60*time.Second)), false},
		"exp passed within the skew": {set("exp", at(-59*time.Second)), true},
		"exp absent":                 {del("exp"), false},
		"exp null":                   {set("exp", nil), false},
		"exp a string":               {set("exp", "tomorrow"), false},
		"iat ahead beyond the skew":  {set("iat", at(61*time.Second)), false},
		"iat ahead within the skew":  {set("iat", at(59*time.Second)), true},
		"iat absent":                 {del("iat"), false},
		"nbf ahead beyond the skew":  {set("nbf", at(61*time.Second)), false},
		"nbf ahead within the skew":  {set("nbf", at(59*time.Second)), true},
		"nbf no time":                {set("nbf", "later"), false},
		"nbf far":                    {set("nbf", 1e300), false},
		"sub empty":                  {set("sub", ""), false},
		"sub absent":                 {del("sub"), false},
		"sub too long":               {set("sub", strings.Repeat("a", 256)), false},
		"sub not a string":           {set("sub", 7), false},
		"sub twice, the second in a spelling that Go folds": {set("\u017fub", "root"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{Claims: test.change})
			who, err := w.signIn()
			if test.good {
				if err != nil || who.Subject != "ada" {
					t.Errorf("%+v, %v", who, err)
				}
				return
			}
			wantRefused(t, err, lodge.CodeUnauthenticated)
		})
	}
}

// sign returns a compact JWS as an issuer might make it, or a forger.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, payload []byte, header map[jose.HeaderKey]any) string {
	opts := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for k, v := range header {
		opts.ExtraHeaders[k] = v
	}
	if kid != "" {
		opts.ExtraHeaders["kid"] = kid
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Error(err)
		return ""
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return token
}

func plain(header string, payload []byte, signature string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc(payload) + "." + signature
}

func TestSec18_SignatureOfTheToken(t *testing.T) {
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	type signing = func(t *testing.T, payload []byte, key idptest.SigningKey) string
	for name, test := range map[string]struct {
		sign signing
		good bool
	}{
		"by the issuer": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, k.KeyID, p, map[jose.HeaderKey]any{"typ": "JWT"})
		}, true},
		"without kid and typ, one key": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, "", p, nil)
		}, true},
		"alg none": {func(_ *testing.T, p []byte, _ idptest.SigningKey) string { return plain(`{"alg":"none"}`, p, "") }, false},
		"alg none, with kid": {func(_ *testing.T, p []byte, k idptest.SigningKey) string {
			return plain(`{"alg":"none","kid":"`+k.KeyID+`"}`, p, "")
		}, false},
		"alg NONE": {func(_ *testing.T, p []byte, _ idptest.SigningKey) string { return plain(`{"alg":"NONE"}`, p, "AA") }, false},
		"HS256 under the public key": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			public, err := json.Marshal(k.Public())
			if err != nil {
				t.Error(err)
			}
			return sign(t, jose.HS256, public, k.KeyID, p, nil)
		}, false},
		"HS256 under the client's secret": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.HS256, []byte("s3cret & more, thirty-two bytes long"), k.KeyID, p, nil)
		}, false},
		"another key under its kid": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, forger, k.KeyID, p, nil)
		}, false},
		"a key of its own inside (jwk)": {func(t *testing.T, p []byte, _ idptest.SigningKey) string {
			return sign(t, jose.ES256, forger, "", p, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: forger.Public(), Algorithm: "ES256"}})
		}, false},
		"an address of keys inside (jku)": {func(t *testing.T, p []byte, _ idptest.SigningKey) string {
			return sign(t, jose.ES256, forger, "forged", p, map[jose.HeaderKey]any{"jku": "https://forger.example/jwks"})
		}, false},
		"an address of certificates inside (x5u)": {func(t *testing.T, p []byte, _ idptest.SigningKey) string {
			return sign(t, jose.ES256, forger, "", p, map[jose.HeaderKey]any{"x5u": "https://forger.example/cert"})
		}, false},
		"a logout token": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, k.KeyID, p, map[jose.HeaderKey]any{"typ": "logout+jwt"})
		}, false},
		"an access token": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, k.KeyID, p, map[jose.HeaderKey]any{"typ": "at+jwt"})
		}, false},
		"something critical": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, k.KeyID, p, map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1})
		}, false},
		"signature cut": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			token := sign(t, jose.ES256, k.Key, k.KeyID, p, nil)
			return token[:strings.LastIndex(token, ".")+1]
		}, false},
		"payload changed": {func(t *testing.T, p []byte, k idptest.SigningKey) string {
			parts := strings.Split(sign(t, jose.ES256, k.Key, k.KeyID, p, nil), ".")
			parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(p), `"ada"`, `"root"`, 1)))
			return strings.Join(parts, ".")
		}, false},
		"nothing":   {func(*testing.T, []byte, idptest.SigningKey) string { return "" }, false},
		"no token":  {func(*testing.T, []byte, idptest.SigningKey) string { return "a.b.c.d.e" }, false},
		"JSON form": {func(*testing.T, []byte, idptest.SigningKey) string { return `{"payload":"e30","signatures":[]}` }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{Sign: func(p []byte, k idptest.SigningKey) string { return test.sign(t, p, k) }})
			_, err := w.signIn()
			if test.good {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, lodge.CodeUnauthenticated)
		})
	}
	t.Run("no id_token", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{Token: func(r map[string]any) { delete(r, "id_token") }})
		_, err := w.signIn()
		wantRefused(t, err, lodge.CodeUnauthenticated)
	})
}

func TestSec18_AlgorithmsAndTheirKeys(t *testing.T) {
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key crypto.Signer, alg, use string) jose.JSONWebKey {
		return jose.JSONWebKey{Key: key.Public(), KeyID: "k", Algorithm: alg, Use: use}
	}
	for name, test := range map[string]struct {
		alg  jose.SignatureAlgorithm
		key  crypto.Signer
		set  jose.JSONWebKey
		code lodge.Code // "": accepted
	}{
		"RS256":                {jose.RS256, strong, jwk(strong, "", ""), ""},
		"PS256":                {jose.PS256, strong, jwk(strong, "PS256", "sig"), ""},
		"EdDSA":                {jose.EdDSA, ed, jwk(ed, "EdDSA", "sig"), ""},
		"RS384":                {jose.RS384, strong, jwk(strong, "", ""), lodge.CodeUnauthenticated},
		"RS512":                {jose.RS512, strong, jwk(strong, "", ""), lodge.CodeUnauthenticated},
		"ES384":                {jose.ES384, p384, jwk(p384, "", ""), lodge.CodeUnauthenticated},
		"key for encryption":   {jose.RS256, strong, jwk(strong, "", "enc"), lodge.CodeUnavailable}, // no key left at all
		"key for another alg":  {jose.RS256, strong, jwk(strong, "PS256", "sig"), lodge.CodeUnauthenticated},
		"key of another kind":  {jose.RS256, strong, jwk(ed, "", ""), lodge.CodeUnauthenticated},
		"RSA of only 1024 bit": {jose.RS256, weak, jwk(weak, "", ""), lodge.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{
				Sign: func(p []byte, _ idptest.SigningKey) string {
					p = withoutHash(t, p) // SHA-512 for EdDSA; not what is tested here
					return sign(t, test.alg, test.key, "k", p, nil)
				},
				Keys: func(jose.JSONWebKeySet) jose.JSONWebKeySet {
					return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{test.set}}
				},
			})
			_, err := w.signIn()
			if test.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, test.code)
		})
	}
}

func withoutHash(t *testing.T, payload []byte) []byte {
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Error(err)
	}
	delete(c, "at_hash")
	out, err := json.Marshal(c)
	if err != nil {
		t.Error(err)
	}
	return out
}

// The same kid at two issuers: each verifies with its own key only.
func TestSec16_KeysBelongToTheirIssuer(t *testing.T) {
	var other atomic.Pointer[jose.JSONWebKey]
	rename := func(set jose.JSONWebKeySet) jose.JSONWebKeySet { set.Keys[0].KeyID = "same"; return set }
	first := newWorld(t, idptest.Faults{Keys: rename, Sign: func(p []byte, k idptest.SigningKey) string {
		other.Store(&k)
		return sign(t, jose.ES256, k.Key, "same", p, nil)
	}})
	second := newWorld(t, idptest.Faults{Keys: rename, Sign: func(p []byte, _ idptest.SigningKey) string {
		return sign(t, jose.ES256, other.Load().Key, "same", p, nil)
	}})
	second.cfg.ID = "second"
	first.roots.AddCert(certificate(t, second))
	rp, err := New([]IssuerConfig{first.cfg, second.cfg}, first.clock, Options{RootCAs: first.roots})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		w    *world
		code lodge.Code
	}{{first, ""}, {second, lodge.CodeUnauthenticated}, {first, ""}} {
		location, flow, err := rp.Start(t.Context(), test.w.cfg.ID, StartOptions{RedirectURI: redirect, LoginHint: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = rp.Finish(t.Context(), test.w.cfg.ID, flow, test.w.browse(location).Query(), redirect)
		if got := lodge.CodeOf(err); got != test.code {
			t.Errorf("%s: %v, want code %q", test.w.cfg.ID, err, test.code)
		}
	}
}

func TestSec16_WithoutKidThereIsNoChoice(t *testing.T) {
	more, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, idptest.Faults{
		Sign: func(p []byte, k idptest.SigningKey) string { return sign(t, jose.ES256, k.Key, "", p, nil) },
		Keys: func(set jose.JSONWebKeySet) jose.JSONWebKeySet {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: more.Public(), KeyID: "more"})
			return set
		},
	})
	_, err = w.signIn()
	wantRefused(t, err, lodge.CodeUnauthenticated)
}

func TestSec20_UnknownKeyIsLookedUpAtABoundedRate(t *testing.T) {
	var fetched atomic.Int32
	var kid atomic.Value
	kid.Store("first")
	w := newWorld(t, idptest.Faults{
		Sign: func(p []byte, k idptest.SigningKey) string {
			return sign(t, jose.ES256, k.Key, kid.Load().(string), p, nil)
		},
		Keys: func(set jose.JSONWebKeySet) jose.JSONWebKeySet {
			fetched.Add(1)
			set.Keys[0].KeyID = "first"
			if kid.Load() == "second" { // the issuer has rotated its key
				set.Keys[0].KeyID = "second"
			}
			return set
		},
	})
	step := func(name string, wait time.Duration, id string, code lodge.Code, fetches int32) {
		t.Helper()
		w.clock.add(wait)
		kid.Store(id)
		if _, err := w.signIn(); lodge.CodeOf(err) != code {
			t.Errorf("%s: %v, want code %q", name, err, code)
		}
		if got := fetched.Load(); got != fetches {
			t.Errorf("%s: keys fetched %d times by now, want %d", name, got, fetches)
		}
	}
	step("first sign-in", 0, "first", "", 1)
	step("cached", time.Minute, "first", "", 1)
	step("unknown kid", 0, "forged", lodge.CodeUnauthenticated, 2)
	for range 20 {
		step("flood of unknown kids", 100*time.Millisecond, "forged", lodge.CodeUnauthenticated, 2)
	}
	step("known one meanwhile", 0, "first", "", 2)
	step("rotated, after the pause", refetchPause, "second", "", 3)
	step("old key is gone", 0, "first", lodge.CodeUnauthenticated, 3)
	step("old news are read again", freshFor+time.Second, "second", "", 4)
}

func TestKeysThatAreNotUsedArePassedOver(t *testing.T) {
	w := newWorld(t, idptest.Faults{Keys: func(set jose.JSONWebKeySet) jose.JSONWebKeySet {
		set.Keys = append([]jose.JSONWebKey{{Key: []byte("symmetric"), KeyID: set.Keys[0].KeyID}}, set.Keys...)
		return set
	}})
	if _, err := w.signIn(); err != nil {
		t.Error(err)
	}
	many := newWorld(t, idptest.Faults{Keys: func(set jose.JSONWebKeySet) jose.JSONWebKeySet {
		for range maxKeys {
			set.Keys = append(set.Keys, set.Keys[0])
		}
		return set
	}})
	_, err := many.signIn()
	wantRefused(t, err, lodge.CodeUnavailable)
}
