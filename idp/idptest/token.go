package idptest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// token exchanges a code (OpenID Connect Core 1.0, section 3.1.3).
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", "the form cannot be read")
		return
	}
	client, ok := p.authenticate(r)
	if !ok {
		oauthError(w, http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
		return
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		p.redeem(w, r, client)
	case "refresh_token":
		g, access, ok := p.grants.renew(r.PostForm.Get("refresh_token"), client.ID)
		if !ok {
			oauthError(w, http.StatusBadRequest, "invalid_grant", "the refresh token is unknown, used or taken back, or another client's")
			return
		}
		g.nonce = "" // OpenID Connect Core 1.0, section 12.2
		p.answer(w, g, access)
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "only authorization_code and refresh_token are supported")
	}
}

func (p *provider) redeem(w http.ResponseWriter, r *http.Request, client Client) {
	g, access, ok := p.grants.redeem(r.PostForm.Get("code"), func(g grant) bool {
		return g.client == client.ID &&
			g.redirectURI == r.PostForm.Get("redirect_uri") &&
			subtle.ConstantTimeCompare([]byte(challenge(r.PostForm.Get("code_verifier"))), []byte(g.challenge)) == 1
	})
	if !ok {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "the code is unknown, used or expired, or was given for another client, redirect_uri or code_challenge")
		return
	}
	p.answer(w, g, access)
}

// answer sends the tokens of a grant; with a refresh token when it was asked for.
func (p *provider) answer(w http.ResponseWriter, g grant, access string) {
	idToken, err := p.idToken(g, access)
	if err != nil {
		oauthError(w, http.StatusInternalServerError, "server_error", "the token could not be signed")
		return
	}
	response := map[string]any{
		"access_token": access,
		"token_type":   "Bearer",
		"expires_in":   int(tokenLife.Seconds()),
		"scope":        "openid profile email",
		"id_token":     idToken,
	}
	if g.offline {
		response["refresh_token"] = p.grants.refresh(g)
	}
	if p.cfg.Faults.Token != nil {
		p.cfg.Faults.Token(response)
	}
	writeJSON(w, http.StatusOK, response)
}

// authenticate returns the client that calls, by HTTP Basic, by its secret in the
// form, or, for a public one, by its id alone.
func (p *provider) authenticate(r *http.Request) (Client, bool) {
	id, secret, basic := r.BasicAuth()
	if basic { // RFC 6749, section 2.3.1: form-encoded inside
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return Client{}, false
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	client, ok := p.client(id)
	return client, ok && subtle.ConstantTimeCompare([]byte(secret), []byte(client.Secret)) == 1
}

// challenge is S256 of RFC 7636, section 4.2.
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *provider) idToken(g grant, access string) (string, error) {
	now := p.cfg.Clock.Now()
	claims := g.account.claims()
	for name, value := range map[string]any{
		"iss":       p.cfg.Issuer,
		"aud":       g.client,
		"iat":       now.Unix(),
		"exp":       now.Add(tokenLife).Unix(),
		"auth_time": g.at.Unix(),
		"at_hash":   atHash(access),
		"sid":       g.session,
	} {
		claims[name] = value
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if p.cfg.Faults.Claims != nil {
		p.cfg.Faults.Claims(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if p.cfg.Faults.Sign != nil {
		return p.cfg.Faults.Sign(payload, p.key.jwk), nil
	}
	return p.key.sign(payload)
}

// userInfo says who an access token is for (OpenID Connect Core 1.0, section 5.3).
func (p *provider) userInfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	g, ok := p.grants.access(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	claims := g.account.claims()
	if p.cfg.Faults.UserInfo != nil {
		p.cfg.Faults.UserInfo(claims)
	}
	writeJSON(w, http.StatusOK, claims)
}
