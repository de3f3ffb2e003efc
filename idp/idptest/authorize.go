package idptest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// passedOn are the parameters of an authorization request that the form carries
// from the page back to the issuer; each is checked again then.
var passedOn = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method",
}

// authorize is the authorization endpoint (OpenID Connect Core 1.0, section 3.1.2).
// GET shows the accounts to choose from, or signs in the account of login_hint at
// once; POST is the form of that page, with the account that was chosen.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.fail(w, "The request cannot be read.")
		return
	}
	q := r.Form
	// Until the client and its address are known nothing is sent anywhere.
	client, ok := p.client(q.Get("client_id"))
	if !ok {
		p.fail(w, "The application that sent you here is not registered.")
		return
	}
	if !slices.Contains(client.RedirectURIs, q.Get("redirect_uri")) {
		p.fail(w, "The application that sent you here asks to be answered at an address that is not registered for it.")
		return
	}
	if code, description := check(q); code != "" {
		p.respond(w, r, q, url.Values{"error": {code}, "error_description": {description}})
		return
	}
	p.choose(w, r, client)
}

// check returns the OAuth error of a request, or "".
func check(q url.Values) (code, description string) {
	for name, values := range q {
		if len(values) > 1 && name != "account" {
			return "invalid_request", "a parameter is repeated"
		}
	}
	scopes := strings.Fields(q.Get("scope"))
	prompts := strings.Fields(q.Get("prompt"))
	sum, err := base64.RawURLEncoding.DecodeString(q.Get("code_challenge"))
	switch {
	case q.Has("request") || q.Has("request_uri"):
		return "request_not_supported", "request objects are not supported"
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "only code is supported"
	case q.Get("response_mode") != "" && q.Get("response_mode") != "query":
		return "invalid_request", "only response_mode query is supported"
	case !slices.Contains(scopes, "openid"):
		return "invalid_scope", "the scope openid is required"
	case q.Get("code_challenge_method") != "S256" || err != nil || len(sum) != 32:
		return "invalid_request", "PKCE with S256 is required"
	case len(prompts) > 1 && slices.Contains(prompts, "none"):
		return "invalid_request", "prompt none excludes others"
	}
	return "", ""
}

// choose finds out which account signs in: the form's, or the hint's where no page
// was asked for; else it shows the page.
func (p *provider) choose(w http.ResponseWriter, r *http.Request, client Client) {
	q := r.Form
	if r.Method == http.MethodPost {
		if account, ok := p.account(r.PostForm.Get("account")); ok {
			p.signIn(w, r, client, account)
			return
		}
		p.form(w, q, "Please choose one of the accounts.")
		return
	}
	prompts := strings.Fields(q.Get("prompt"))
	asked := slices.Contains(prompts, "login") || slices.Contains(prompts, "select_account")
	hint := q.Get("login_hint")
	account, known := p.account(hint)
	switch {
	case known && !asked:
		p.signIn(w, r, client, account)
	case slices.Contains(prompts, "none"):
		p.respond(w, r, q, url.Values{"error": {"login_required"}})
	case hint != "" && !known:
		p.form(w, q, "There is no account of that name here. Please choose one of these.")
	default:
		p.form(w, q, "")
	}
}

// signIn gives out a code for an account.
func (p *provider) signIn(w http.ResponseWriter, r *http.Request, client Client, account Account) {
	code, ok := p.grants.code(grant{
		account:     account,
		client:      client.ID,
		redirectURI: r.Form.Get("redirect_uri"),
		challenge:   r.Form.Get("code_challenge"),
		nonce:       r.Form.Get("nonce"),
		session:     rand.Text(),
		offline:     slices.Contains(strings.Fields(r.Form.Get("scope")), "offline_access"),
	})
	if !ok {
		p.respond(w, r, r.Form, url.Values{"error": {"temporarily_unavailable"}})
		return
	}
	p.respond(w, r, r.Form, url.Values{"code": {code}})
}

// respond sends the browser back to the client, with the state and, so that the
// client knows which issuer answers, "iss" (RFC 9207).
func (p *provider) respond(w http.ResponseWriter, r *http.Request, request, answer url.Values) {
	if state := request.Get("state"); state != "" {
		answer.Set("state", state)
	}
	answer.Set("iss", p.cfg.Issuer)
	if p.cfg.Faults.Response != nil {
		p.cfg.Faults.Response(answer)
	}
	to, err := url.Parse(request.Get("redirect_uri"))
	if err != nil {
		p.fail(w, "The registered address of the application is not a URL.")
		return
	}
	q := to.Query()
	for name, values := range answer {
		q[name] = values
	}
	to.RawQuery = q.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}
