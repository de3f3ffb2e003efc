// Package idptest is a small real OpenID Connect issuer, for `lodge demo` and for
// tests. It is real in what it checks: registered clients, redirect addresses
// compared to the letter, PKCE with S256 only, codes that work once and for a
// minute, ID tokens signed with a key that survives a restart. It is not for
// production in one point: its accounts have no passwords. Whoever can open its
// page can be any of them, and the page says so.
//
// It lives on an origin of its own, as institutions do, and keeps codes and access
// tokens in memory. Config.Faults makes it misbehave, for tests of a relying party.
package idptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
)

// Config is the whole of an issuer.
type Config struct {
	Issuer   string // the issuer's URL: scheme and host, nothing after it
	Name     string // what its page is headed with; default "Development sign-in"
	Accounts []Account
	Clients  []Client
	// KeyFile holds the signing key (PEM, PKCS #8, mode 0600) and is made when it
	// is absent; without one the key lasts as long as the process.
	KeyFile string
	Clock   lodge.Clock // default lodge.SystemClock
	Faults  Faults      // tests only
}

// A Client is a relying party registered at the issuer.
type Client struct {
	ID             string
	Secret         string // empty: a public client
	RedirectURIs   []string
	PostLogoutURIs []string
	// BackchannelURI is told when somebody signs out here (OpenID Connect
	// Back-Channel Logout 1.0); empty: nobody is.
	BackchannelURI string
}

// An Issuer serves the whole of its origin.
type Issuer struct {
	provider *provider
	handler  http.Handler
}

// ServeHTTP implements http.Handler.
func (is *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { is.handler.ServeHTTP(w, r) }

// provider is the running issuer.
type provider struct {
	cfg    Config // static
	key    signingKey
	grants *grants
}

// New returns the issuer. It fails when the configuration is wrong or the key
// cannot be read or kept.
func New(cfg Config) (*Issuer, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != cfg.Issuer {
		return nil, fmt.Errorf("idptest: issuer %q must be a scheme and a host, nothing after it", cfg.Issuer)
	}
	if len(cfg.Accounts) == 0 || len(cfg.Clients) == 0 {
		return nil, errors.New("idptest: at least one account and one client are needed")
	}
	if cfg.Name == "" {
		cfg.Name = "Development sign-in"
	}
	if cfg.Clock == nil {
		cfg.Clock = lodge.SystemClock{}
	}
	key, err := loadKey(cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	p := &provider{cfg: cfg, key: key, grants: newGrants(cfg.Clock)}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /style.css", p.style)
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userInfo)
	mux.HandleFunc("POST /userinfo", p.userInfo)
	mux.HandleFunc("GET /end_session", p.endSession)
	mux.HandleFunc("POST /end_session", p.endSession)
	return &Issuer{p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.cfg.Faults.Intercept != nil && p.cfg.Faults.Intercept(w, r) {
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		mux.ServeHTTP(w, r)
	})}, nil
}

func (p *provider) account(name string) (Account, bool) {
	i := slices.IndexFunc(p.cfg.Accounts, func(a Account) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return Account{}, false
	}
	return p.cfg.Accounts[i], true
}

func (p *provider) client(id string) (Client, bool) {
	i := slices.IndexFunc(p.cfg.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 || id == "" {
		return Client{}, false
	}
	return p.cfg.Clients[i], true
}

// discovery answers with the issuer's metadata (OpenID Connect Discovery 1.0,
// section 4).
func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer":                                         p.cfg.Issuer,
		"authorization_endpoint":                         p.cfg.Issuer + "/authorize",
		"token_endpoint":                                 p.cfg.Issuer + "/token",
		"userinfo_endpoint":                              p.cfg.Issuer + "/userinfo",
		"jwks_uri":                                       p.cfg.Issuer + "/jwks",
		"end_session_endpoint":                           p.cfg.Issuer + "/end_session",
		"scopes_supported":                               []string{"openid", "profile", "email", "offline_access"},
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"claims_supported":                               []string{"sub", "name", "given_name", "family_name", "preferred_username", "email", "email_verified", "groups", "sid", "auth_time"},
		"prompt_values_supported":                        []string{"none", "login", "select_account"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	}
	if p.cfg.Faults.Discovery != nil {
		p.cfg.Faults.Discovery(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}

// jwks answers with the public key (RFC 7517).
func (p *provider) jwks(w http.ResponseWriter, _ *http.Request) {
	set := p.key.public()
	if p.cfg.Faults.Keys != nil {
		set = p.cfg.Faults.Keys(set)
	}
	writeJSON(w, http.StatusOK, set)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is a client that has gone.
	_ = json.NewEncoder(w).Encode(v)
}

// oauthError answers as RFC 6749, section 5.2 says.
func oauthError(w http.ResponseWriter, status int, code, description string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}
