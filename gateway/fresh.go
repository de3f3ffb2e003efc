package gateway

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// freshAdmin is an administrator who proved to the issuer a short while ago who
// they are. A login that somebody left open, or whose cookie was taken, does not
// give rights and does not reach everybody.
func (g *Gateway) freshAdmin(r *http.Request) (sessions.Session, error) {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return s, err
	}
	return s, g.fresh(s)
}

// freshEnough is for what an administrator does to their own account: another door
// to it gives rights, too. Others need no more than their login.
func (g *Gateway) freshEnough(s sessions.Session) error {
	if p := s.Principal(); p.Can(lodge.RoleAdministrator, lodge.ScopeTenant) {
		return g.fresh(s)
	}
	return nil
}

// freshToEnd is for ending sessions: one, or one person's, never waits.
func (g *Gateway) freshToEnd(s sessions.Session, req RevokeRequest) error {
	if req.All || req.Kind != "" {
		return g.fresh(s)
	}
	return nil
}

func (g *Gateway) fresh(s sessions.Session) error {
	most := g.cfg.AdminFresh
	if most < 0 || g.clock.Now().Before(s.AuthenticatedAt.Add(most)) {
		return nil
	}
	return &lodge.Error{
		Code:    lodge.CodeUnauthenticated,
		Safe:    fmt.Sprintf("Confirm that it is you: sign in again, then do this within %s.", minutes(most)),
		Details: map[string]any{"reauthenticate": "/login/" + url.PathEscape(s.Issuer) + "?fresh=true", "max_age": int(most / time.Second)},
	}
}

// minutes says a duration in whole minutes.
func minutes(d time.Duration) string {
	if n := int(math.Ceil(d.Minutes())); n != 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "a minute"
}

// confirmAt is where a page sends somebody who has to prove anew who they are, to
// come back to it; empty when an error is another one. A form's page is where it
// was shown: what was filled in is not done by coming back.
func confirmAt(r *http.Request, f failure) string {
	at, _ := f.details["reauthenticate"].(string)
	if at == "" {
		return ""
	}
	back := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		back = "/admin"
		if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
			back = from.RequestURI()
		}
	}
	return at + "&return=" + url.QueryEscape(idp.SafeReturn(back))
}
