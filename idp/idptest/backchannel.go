package idptest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// logoutLife is how long a logout token is good.
const logoutLife = 2 * time.Minute

// LogoutToken returns a token that tells a client that an account, by its name, or
// one of its sign-ins, by the "sid" of its ID token, has ended here; either may be
// empty (OpenID Connect Back-Channel Logout 1.0, section 2.4).
func (is *Issuer) LogoutToken(client, account, session string) (string, error) {
	return is.provider.logoutToken(client, account, session)
}

// Logout sends such a token to the client's BackchannelURI. An answer other than
// success is an error.
func (is *Issuer) Logout(ctx context.Context, client, account, session string) error {
	return is.provider.tell(ctx, client, account, session)
}

func (p *provider) logoutToken(client, subject, session string) (string, error) {
	now := p.cfg.Clock.Now()
	claims := map[string]any{
		"iss": p.cfg.Issuer, "aud": client, "iat": now.Unix(), "exp": now.Add(logoutLife).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if subject != "" {
		claims["sub"] = subject
	}
	if session != "" {
		claims["sid"] = session
	}
	if p.cfg.Faults.Logout != nil {
		p.cfg.Faults.Logout(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return p.key.signAs("logout+jwt", payload)
}

// tell sends a logout token to a client that wants to be told.
func (p *provider) tell(ctx context.Context, id, subject, session string) error {
	client, ok := p.client(id)
	if !ok || client.BackchannelURI == "" {
		return nil
	}
	token, err := p.logoutToken(id, subject, session)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, client.BackchannelURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sender := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // nothing is left to close
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a back channel does not redirect") },
	}
	res, err := sender.Do(req)
	if err != nil {
		return fmt.Errorf("idptest: back-channel logout: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("idptest: back-channel logout: status %d", res.StatusCode)
	}
	return nil
}
