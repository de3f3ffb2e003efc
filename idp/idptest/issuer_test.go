package idptest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	self     = "http://localhost:9999"
	redirect = "http://127.0.0.1:8080/callback/dev"
	goodbye  = "http://127.0.0.1:8080/"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	hashed   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// site is the issuer, called without a network.
type site struct {
	*testing.T
	handler http.Handler
	clock   *clock
}

func newSite(t *testing.T, adjust ...func(*Config)) *site {
	t.Helper()
	s := &site{T: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	cfg := Config{
		Issuer: self, Accounts: DemoAccounts(), Clock: s.clock,
		Clients: []Client{
			{ID: "lodge", Secret: "secret", RedirectURIs: []string{redirect}, PostLogoutURIs: []string{goodbye}},
			{ID: "public", RedirectURIs: []string{redirect}},
		},
	}
	for _, f := range adjust {
		f(&cfg)
	}
	var err error
	if s.handler, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func (s *site) get(path string, q url.Values) *http.Response {
	return s.do(httptest.NewRequest(http.MethodGet, path+"?"+q.Encode(), nil))
}

func (s *site) post(path string, form url.Values) *http.Response {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r)
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// request is a good authorization request with changes ("" removes).
func request(changes ...string) url.Values {
	q := url.Values{
		"client_id": {"lodge"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid profile"},
		"state": {"st&te"}, "nonce": {"n"}, "code_challenge": {hashed}, "code_challenge_method": {"S256"}, "login_hint": {"ada"},
	}
	for i := 0; i < len(changes); i += 2 {
		if q.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q
}

func (s *site) code(changes ...string) string {
	s.Helper()
	resp := s.get("/authorize", request(changes...))
	to, err := resp.Location()
	if err != nil {
		s.Fatalf("no redirect: %d %s", resp.StatusCode, text(s.T, resp))
	}
	return to.Query().Get("code")
}

func redeem(code string, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier},
		"client_id": {"lodge"}, "client_secret": {"secret"},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

func decode(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHintSignsInAtOnce(t *testing.T) {
	resp := newSite(t).get("/authorize", request("login_hint", "Ada"))
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), redirect+"?") || q.Get("code") == "" || q.Get("state") != "st&te" || q.Get("iss") != self {
		t.Errorf("sent to %s", to)
	}
}

func TestPageListsTheAccounts(t *testing.T) {
	for name, test := range map[string]struct {
		q      url.Values
		status int
	}{
		"no hint":               {request("login_hint", ""), 200},
		"prompt login":          {request("prompt", "login"), 200},
		"prompt select_account": {request("prompt", "select_account"), 200},
		"a hint nobody goes by": {request("login_hint", "<b>eve</b>"), 422},
	} {
		t.Run(name, func(t *testing.T) {
			resp := newSite(t).get("/authorize", test.q)
			body := text(t, resp)
			if resp.StatusCode != test.status {
				t.Fatalf("status %d", resp.StatusCode)
			}
			for _, want := range []string{
				`<html lang="en">`, "<h1>Choose an account</h1>", `<button name="account" value="soren">`, "Søren Ó Briain",
				"Experiment technician", `<form method="post" action="/authorize">`, `value="st&amp;te"`, "no passwords",
			} {
				if !strings.Contains(body, want) {
					t.Errorf("the page has no %q", want)
				}
			}
			if strings.Contains(body, "<b>eve") || (test.status == 422) != strings.Contains(body, `role="alert"`) {
				t.Errorf("page: %s", body)
			}
			csp := resp.Header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "form-action 'self' http://127.0.0.1:8080;", "base-uri 'none'", "frame-ancestors 'none'"} {
				if !strings.Contains(csp, want) {
					t.Errorf("policy %q has no %q", csp, want)
				}
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(body, "<script") || strings.Contains(body, "style=") {
				t.Error("the page asks for scripts or styles of its own")
			}
			for h, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
				if got := resp.Header.Get(h); got != want {
					t.Errorf("%s: %q", h, got)
				}
			}
		})
	}
}

func TestButtonSignsIn(t *testing.T) {
	s := newSite(t)
	form := request("login_hint", "", "account", "grace")
	to, err := s.post("/authorize", form).Location()
	if err != nil {
		t.Fatal(err)
	}
	tokens := decode(t, s.post("/token", redeem(to.Query().Get("code"))))
	r := httptest.NewRequest(http.MethodGet, "/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
	if who := decode(t, s.do(r)); who["sub"] != "grace" || who["family_name"] != "Hopper" {
		t.Errorf("userinfo %v", who)
	}
	for _, account := range []string{"", "eve"} {
		form.Set("account", account)
		if resp := s.post("/authorize", form); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("account %q: status %d", account, resp.StatusCode)
		}
	}
}

// Whoever is not known, or asks to be answered elsewhere, is answered here.
func TestUnknownClientsAndAddressesGetNoRedirect(t *testing.T) {
	s := newSite(t)
	for _, q := range []url.Values{
		request("client_id", ""), request("client_id", "other"), request("redirect_uri", ""),
		request("redirect_uri", redirect+"/"), request("redirect_uri", redirect+"?a=b"),
		request("redirect_uri", "http://evil.example/"), request("redirect_uri", strings.Replace(redirect, "127.0.0.1", "localhost", 1)),
	} {
		for _, resp := range []*http.Response{s.get("/authorize", q), s.post("/authorize", q)} {
			if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" {
				t.Errorf("%v: status %d, location %q", q, resp.StatusCode, resp.Header.Get("Location"))
			}
			if body := text(t, resp); !strings.Contains(body, `role="alert"`) {
				t.Errorf("%v: no explanation", q)
			}
		}
	}
}

func TestBadRequestsAreSentBackWithTheError(t *testing.T) {
	s := newSite(t)
	twice := request()
	twice.Add("nonce", "other")
	for name, test := range map[string]struct {
		q    url.Values
		want string
	}{
		"implicit":        {request("response_type", "id_token"), "unsupported_response_type"},
		"fragment":        {request("response_mode", "fragment"), "invalid_request"},
		"no openid":       {request("scope", "profile"), "invalid_scope"},
		"no PKCE":         {request("code_challenge", ""), "invalid_request"},
		"plain PKCE":      {request("code_challenge_method", "plain"), "invalid_request"},
		"PKCE by default": {request("code_challenge_method", ""), "invalid_request"},
		"short challenge": {request("code_challenge", "abc"), "invalid_request"},
		"request object":  {request("request", "e30.e30."), "request_not_supported"},
		"none and login":  {request("prompt", "none login"), "invalid_request"},
		"none, no hint":   {request("prompt", "none", "login_hint", ""), "login_required"},
		"repeated":        {twice, "invalid_request"},
	} {
		to, err := s.get("/authorize", test.q).Location()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		q := to.Query()
		if q.Get("error") != test.want || q.Has("code") || q.Get("iss") != self || q.Get("state") != "st&te" {
			t.Errorf("%s: %v, want %s", name, q, test.want)
		}
	}
}

func TestCodeIsRedeemedOnceByItsClientWithItsVerifier(t *testing.T) {
	for name, changes := range map[string][]string{
		"another verifier":     {"code_verifier", verifier + "x"},
		"no verifier":          {"code_verifier", ""},
		"another redirect_uri": {"redirect_uri", goodbye},
		"another client":       {"client_id", "public", "client_secret", ""},
		"another code":         {"code", "nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			code := s.code()
			if got := decode(t, s.post("/token", redeem(code, changes...))); got["error"] != "invalid_grant" {
				t.Errorf("%v", got)
			}
			if name == "another code" {
				return
			}
			if got := decode(t, s.post("/token", redeem(code))); got["error"] != "invalid_grant" {
				t.Errorf("a code that failed once works: %v", got)
			}
		})
	}
	s := newSite(t)
	for name, changes := range map[string][]string{
		"wrong secret":   {"client_secret", "guess"},
		"no secret":      {"client_secret", ""},
		"unknown client": {"client_id", "other"},
	} {
		resp := s.post("/token", redeem(s.code(), changes...))
		if got := decode(t, resp); resp.StatusCode != http.StatusUnauthorized || got["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, got)
		}
	}
	if got := decode(t, s.post("/token", redeem(s.code(), "grant_type", "password"))); got["error"] != "unsupported_grant_type" {
		t.Errorf("%v", got)
	}
	code := s.code()
	s.clock.add(codeLife)
	if got := decode(t, s.post("/token", redeem(code))); got["error"] != "invalid_grant" {
		t.Errorf("an old code: %v", got)
	}
	public := s.code("client_id", "public")
	if got := decode(t, s.post("/token", redeem(public, "client_id", "public", "client_secret", ""))); got["id_token"] == nil {
		t.Errorf("a public client: %v", got)
	}
}

func (s *site) userInfo(access any) int {
	r := httptest.NewRequest(http.MethodGet, "/userinfo", nil)
	token, _ := access.(string)
	r.Header.Set("Authorization", "Bearer "+token)
	return s.do(r).StatusCode
}

func TestAccessTokenEndsWithTimeReplayAndLogout(t *testing.T) {
	s := newSite(t)
	code := s.code()
	tokens := decode(t, s.post("/token", redeem(code)))
	if got := s.userInfo(tokens["access_token"]); got != http.StatusOK {
		t.Fatalf("userinfo: %d", got)
	}
	if got := s.userInfo("guess"); got != http.StatusUnauthorized {
		t.Errorf("a guessed token: %d", got)
	}
	decode(t, s.post("/token", redeem(code))) // somebody has the code too
	if got := s.userInfo(tokens["access_token"]); got != http.StatusUnauthorized {
		t.Errorf("after a replay of the code: %d", got)
	}

	tokens = decode(t, s.post("/token", redeem(s.code())))
	s.get("/end_session", url.Values{"id_token_hint": {tokens["id_token"].(string)}})
	if got := s.userInfo(tokens["access_token"]); got != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", got)
	}

	tokens = decode(t, s.post("/token", redeem(s.code())))
	s.clock.add(tokenLife)
	if got := s.userInfo(tokens["access_token"]); got != http.StatusUnauthorized {
		t.Errorf("after its life: %d", got)
	}
}

func TestSec12_EndSessionGoesBackToRegisteredAddressesOnly(t *testing.T) {
	s := newSite(t)
	tokens := decode(t, s.post("/token", redeem(s.code())))
	hint := tokens["id_token"].(string)
	s.clock.add(time.Hour) // a hint is good for longer than a token
	for name, test := range map[string]struct {
		q    url.Values
		to   string
		code int
	}{
		"hint":              {url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {goodbye}, "state": {"a b"}}, goodbye + "?state=a+b", 303},
		"client":            {url.Values{"client_id": {"lodge"}, "post_logout_redirect_uri": {goodbye}}, goodbye, 303},
		"nothing":           {url.Values{}, "", 200},
		"nobody":            {url.Values{"post_logout_redirect_uri": {goodbye}}, "", 400},
		"another address":   {url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {goodbye + "x"}}, "", 400},
		"evil":              {url.Values{"client_id": {"lodge"}, "post_logout_redirect_uri": {"http://evil.example/"}}, "", 400},
		"another's address": {url.Values{"client_id": {"public"}, "post_logout_redirect_uri": {goodbye}}, "", 400},
		"hint of another":   {url.Values{"client_id": {"public"}, "id_token_hint": {hint}, "post_logout_redirect_uri": {goodbye}}, "", 400},
		"forged hint":       {url.Values{"id_token_hint": {hint + "x"}, "post_logout_redirect_uri": {goodbye}}, "", 400},
	} {
		for method, resp := range map[string]*http.Response{"GET": s.get("/end_session", test.q), "POST": s.post("/end_session", test.q)} {
			if got := resp.Header.Get("Location"); resp.StatusCode != test.code || got != test.to {
				t.Errorf("%s, %s: %d to %q, want %d to %q", name, method, resp.StatusCode, got, test.code, test.to)
			}
		}
	}
}

func TestKeySurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer", "key.pem")
	keep := func(c *Config) { c.KeyFile = path }
	keys := func(s *site) string { return text(t, s.get("/jwks", nil)) }
	first := keys(newSite(t, keep))
	if second := keys(newSite(t, keep)); second != first {
		t.Error("the key changed")
	}
	if strings.Contains(first, `"d"`) {
		t.Error("the private key is published")
	}
	if other := keys(newSite(t)); other == first {
		t.Error("without a file the key is the same")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v, %v", info, err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestIssuersThatStartAtOnceShareOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			key, err := loadKey(path)
			if err != nil {
				t.Error(err)
			}
			ids[i] = key.jwk.KeyID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("keys %q", ids)
		}
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	broken := filepath.Join(dir, "broken")
	for path, content := range map[string]string{garbage: "x", broken: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := Config{Issuer: self, Accounts: DemoAccounts(), Clients: []Client{{ID: "lodge"}}}
	for name, change := range map[string]func(*Config){
		"no issuer":       func(c *Config) { c.Issuer = "" },
		"issuer + slash":  func(c *Config) { c.Issuer += "/" },
		"issuer + path":   func(c *Config) { c.Issuer += "/idp" },
		"no host":         func(c *Config) { c.Issuer = "localhost:99" },
		"no accounts":     func(c *Config) { c.Accounts = nil },
		"no clients":      func(c *Config) { c.Clients = nil },
		"garbage for key": func(c *Config) { c.KeyFile = garbage },
		"broken key":      func(c *Config) { c.KeyFile = broken },
		"key in a file":   func(c *Config) { c.KeyFile = filepath.Join(garbage, "key") },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStrayRequests(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]int{"/": 200, "/style.css": 200, "/nope": 404, "/token": 405} {
		if resp := s.get(path, nil); resp.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	big := httptest.NewRequest(http.MethodPost, "/token", bytes.NewReader(bytes.Repeat([]byte("a"), 1<<17)))
	big.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp := s.do(big); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of 128 KiB: %d", resp.StatusCode)
	}
}
