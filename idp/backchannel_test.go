package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

// logoutWorld is a relying party, and its issuer's key to make any token with.
type logoutWorld struct {
	*world
	key idptest.SigningKey
}

func newLogoutWorld(t *testing.T) *logoutWorld {
	t.Helper()
	w := &logoutWorld{}
	w.world = newWorld(t, idptest.Faults{Sign: func(payload []byte, key idptest.SigningKey) string {
		w.key = key
		return sign(t, jose.ES256, key.Key, key.KeyID, payload, nil)
	}})
	if _, err := w.signIn(); err != nil {
		t.Fatal(err)
	}
	return w
}

// claims are those of a good token.
func (w *logoutWorld) claims() map[string]any {
	return map[string]any{
		"iss": w.issuer, "aud": "lodge", "sub": "ada", "sid": "s1", "jti": "j1",
		"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(2 * time.Minute).Unix(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
}

func (w *logoutWorld) token(claims map[string]any, typ any) string {
	w.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		w.Fatal(err)
	}
	header := map[jose.HeaderKey]any{}
	if typ != nil {
		header[jose.HeaderType] = typ
	}
	return sign(w.T, jose.ES256, w.key.Key, w.key.KeyID, payload, header)
}

func (w *logoutWorld) verify(raw string) (LogoutToken, error) {
	return w.rp.LogoutToken(w.Context(), "dev", raw)
}

func TestSec11_LogoutTokenClaims(t *testing.T) {
	w := newLogoutWorld(t)
	type change = func(map[string]any)
	set := func(name string, value any) change { return func(c map[string]any) { c[name] = value } }
	del := func(names ...string) change {
		return func(c map[string]any) {
			maps.DeleteFunc(c, func(k string, _ any) bool { return strings.Contains(strings.Join(names, " "), k) })
		}
	}
	at := func(d time.Duration) int64 { return w.clock.Now().Add(d).Unix() }
	old := func(age time.Duration) change {
		return func(c map[string]any) { c["iat"], c["exp"] = at(-age), at(time.Hour) }
	}
	for name, test := range map[string]struct {
		change change
		good   bool
	}{
		"as it should be":            {func(map[string]any) {}, true},
		"sub alone":                  {del("sid"), true},
		"sid alone":                  {del("sub"), true},
		"neither sub nor sid":        {del("sub", "sid"), false},
		"sub empty, no sid":          {func(c map[string]any) { c["sub"] = ""; delete(c, "sid") }, false},
		"sub no text":                {set("sub", 7), false},
		"sub too long":               {set("sub", strings.Repeat("a", 256)), false},
		"sid empty":                  {set("sid", ""), false},
		"sid no text":                {set("sid", []string{"s1"}), false},
		"sid too long":               {set("sid", strings.Repeat("a", 256)), false},
		"iss of another issuer":      {set("iss", "https://other.example"), false},
		"iss absent":                 {del("iss"), false},
		"aud of another client":      {set("aud", "other"), false},
		"aud absent":                 {del("aud"), false},
		"aud a list with us":         {set("aud", []string{"other", "lodge"}), true},
		"no events":                  {del("events"), false},
		"events null":                {set("events", nil), false},
		"another event":              {set("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}), false},
		"event no object":            {set("events", map[string]any{logoutEvent: true}), false},
		"event null":                 {set("events", map[string]any{logoutEvent: nil}), false},
		"events a list":              {set("events", []string{logoutEvent}), false},
		"event with contents":        {set("events", map[string]any{logoutEvent: map[string]any{"x": 1}, "more": 1}), true},
		"nonce":                      {set("nonce", "n"), false},
		"nonce null":                 {set("nonce", nil), false},
		"jti absent":                 {del("jti"), false},
		"jti empty":                  {set("jti", ""), false},
		"jti no text":                {set("jti", 7), false},
		"jti too long":               {set("jti", strings.Repeat("j", 256)), false},
		"exp absent":                 {del("exp"), false},
		"exp passed beyond the skew": {set("exp", at(-61*time.Second)), false},
		"exp passed within the skew": {set("exp", at(-59*time.Second)), true},
		"iat absent":                 {del("iat"), false},
		"iat ahead beyond the skew":  {set("iat", at(61*time.Second)), false},
		"iat ahead within the skew":  {set("iat", at(59*time.Second)), true},
		"iat within the age":         {old(logoutAge + skew - time.Second), true},
		"iat too old":                {old(logoutAge + skew), false},
		"nbf ahead":                  {set("nbf", at(61*time.Second)), false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := w.claims()
			test.change(claims)
			token, err := w.verify(w.token(claims, "logout+jwt"))
			if !test.good {
				if lodge.CodeOf(err) != lodge.CodeInvalid {
					t.Errorf("%+v, %v, want a refusal", token, err)
				}
				return
			}
			if err != nil || token.Issuer != "dev" || token.ID != "j1" || token.Subject == "" && token.SessionID == "" {
				t.Errorf("%+v, %v", token, err)
			}
		})
	}
}

func TestSec11_LogoutTokenType(t *testing.T) {
	w := newLogoutWorld(t)
	for _, typ := range []any{nil, "", "JWT", "jwt", "at+jwt", "logout", 7, []string{"logout+jwt"}} {
		if token, err := w.verify(w.token(w.claims(), typ)); lodge.CodeOf(err) != lodge.CodeInvalid {
			t.Errorf("typ %v: %+v, %v", typ, token, err)
		}
	}
	for _, typ := range []string{"logout+jwt", "LOGOUT+JWT", "application/logout+jwt"} {
		if _, err := w.verify(w.token(w.claims(), typ)); err != nil {
			t.Errorf("typ %v: %v", typ, err)
		}
	}
	// An ID token is no logout token; TestSec18 shows that the reverse holds too.
	w2 := newWorld(t, idptest.Faults{})
	who, err := w2.signIn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w2.rp.LogoutToken(t.Context(), "dev", who.IDToken); lodge.CodeOf(err) != lodge.CodeInvalid {
		t.Errorf("an ID token passes for a logout token: %v", err)
	}
}

func TestSec18_LogoutTokenSignature(t *testing.T) {
	w := newLogoutWorld(t)
	payload, err := json.Marshal(w.claims())
	if err != nil {
		t.Fatal(err)
	}
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	typ := map[jose.HeaderKey]any{jose.HeaderType: "logout+jwt"}
	good := w.token(w.claims(), "logout+jwt")
	for name, raw := range map[string]string{
		"another key":             sign(t, jose.ES256, forger, w.key.KeyID, payload, typ),
		"another key, unknown":    sign(t, jose.ES256, forger, "other", payload, typ),
		"none":                    plain(`{"alg":"none","typ":"logout+jwt"}`, payload, ""),
		"HS256 of the public key": sign(t, jose.HS256, elliptic.MarshalCompressed(elliptic.P256(), forger.X, forger.Y), w.key.KeyID, payload, typ),
		"altered":                 good[:len(good)-4] + "AAAA",
		"empty":                   "",
		"two parts":               good[:strings.LastIndex(good, ".")],
	} {
		if token, err := w.verify(raw); lodge.CodeOf(err) != lodge.CodeInvalid {
			t.Errorf("%s: %+v, %v", name, token, err)
		}
	}
}

func TestLogoutTokenOfAnUnknownIssuerIsNotFound(t *testing.T) {
	w := newLogoutWorld(t)
	if _, err := w.rp.LogoutToken(t.Context(), "other", w.token(w.claims(), "logout+jwt")); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("error %v", err)
	}
}

func TestLogoutTokenCoversWhatBeganBefore(t *testing.T) {
	left := newClock().Now()
	token := LogoutToken{IssuedAt: left}
	for after, want := range map[time.Duration]bool{-time.Hour: true, 0: true, skew: true, skew + time.Second: false, time.Hour: false} {
		if got := token.Covers(left.Add(after)); got != want {
			t.Errorf("a session from %v after: %v", after, got)
		}
	}
}

// FuzzSec11_LogoutToken: whatever is sent to the back channel without the issuer's
// key is refused, and nothing makes the verification fail in another way.
func FuzzSec11_LogoutToken(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}
	clock := newClock()
	is := &issuer{cfg: IssuerConfig{ID: "dev", URL: "https://idp.example", ClientID: "lodge"}, clock: clock}
	is.keys = newKeySet(clock, Options{Fresh: freshFor, Refetch: refetchPause}, nil)
	is.keys.value, is.keys.at = []jose.JSONWebKey{public}, clock.Now()
	for _, header := range []string{`{"alg":"ES256","kid":"k","typ":"logout+jwt"}`, `{"alg":"none"}`, `{"alg":"HS256","kid":"k","typ":"logout+jwt"}`, `{}`} {
		f.Add(header, []byte(`{"iss":"https://idp.example","aud":"lodge","sub":"a","jti":"j","iat":1,"exp":2,"events":{"`+logoutEvent+`":{}}}`), "AAAA", true)
		f.Add(header, []byte(`{}`), "", false)
	}
	f.Fuzz(func(t *testing.T, header string, payload []byte, signature string, signed bool) {
		raw := plain(header, payload, signature)
		if signed { // by the issuer, which may still say anything
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("logout+jwt").WithHeader("kid", "k"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign(payload)
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = jws.CompactSerialize(); err != nil {
				t.Fatal(err)
			}
		}
		token, err := is.logoutToken(t.Context(), raw)
		switch {
		case err == nil && !signed:
			t.Fatalf("a token that nobody signed was accepted: %+v", token)
		case err == nil && (token.ID == "" || token.Subject == "" && token.SessionID == ""):
			t.Fatalf("incomplete: %+v", token)
		}
	})
}
