package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// What the browser session keeps for signing out at the institution too.
const (
	idTokenKey  = "id-token"   // of a login: what tells the issuer who leaves
	leavingKey  = "signed-out" // of a visit: the state of a sign-out under way
	leavingPath = "/signed-out"
)

// keepIDToken keeps the raw ID token with the login that it made, on the server.
// One that is too large to be kept costs the hint, not the login.
func (g *Gateway) keepIDToken(ctx context.Context, raw string) {
	if err := g.browser.Put(ctx, idTokenKey, []byte(raw)); err != nil {
		g.log.WarnContext(ctx, "id token not kept; the issuer will ask who signs out", "err", err)
	}
}

// takeIDToken returns what keepIDToken kept; none is no reason not to sign out.
func (g *Gateway) takeIDToken(ctx context.Context) string {
	raw, err := g.browser.Pop(ctx, idTokenKey)
	if err != nil {
		g.log.WarnContext(ctx, "id token not found; the issuer will ask who signs out", "err", err)
	}
	return string(raw)
}

// afterSignOut returns where a browser goes whose login is over: to the issuer,
// which ends its own session and sends the browser to leavingPath (OpenID Connect
// RP-Initiated Logout 1.0), or home when the issuer has no such place or does not
// answer.
func (g *Gateway) afterSignOut(ctx context.Context, login *sessions.Session, idToken string) string {
	if login == nil || login.Issuer == "" {
		return "/?done=signed-out"
	}
	state := rand.Text()
	location, err := g.idp.Logout(ctx, login.Issuer, idp.LogoutOptions{IDToken: idToken, RedirectURI: g.cfg.PublicURL + leavingPath, State: state})
	if err == nil && location != "" {
		err = g.browser.Put(ctx, leavingKey, []byte(state))
	}
	switch {
	case err != nil:
		g.log.WarnContext(ctx, "signed out here alone", "issuer", login.Issuer, "err", err)
		return "/?done=signed-out-here"
	case location == "":
		return "/?done=signed-out"
	}
	return location
}

// signedOut is where the issuer sends a browser that has signed out there.
// Nothing is done for it, whoever made the address; only a browser that really
// began this is told that all is over.
func (g *Gateway) signedOut(w http.ResponseWriter, r *http.Request) error {
	state, err := g.browser.Pop(r.Context(), leavingKey)
	if err != nil {
		return err
	}
	if len(state) == 0 || subtle.ConstantTimeCompare(state, []byte(r.URL.Query().Get("state"))) != 1 {
		return seeOther(w, r, "/", "")
	}
	return seeOther(w, r, "/", "signed-out")
}

// formTargets are where the forms of our pages may lead: here, and to the issuers,
// for browsers apply form-action to what answers a form with a redirect, too.
func (g *Gateway) formTargets() string {
	return strings.Join(append([]string{"'self'"}, g.idp.Origins()...), " ")
}
