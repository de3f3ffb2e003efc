package gateway

import (
	"cmp"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// flowKey is where the browser session keeps a sign-in under way.
const flowKey = "flow"

// startLogin sends the browser to the institution. What ties the answer to this
// browser waits in its session, for one use.
func (g *Gateway) startLogin(w http.ResponseWriter, r *http.Request) error {
	if err := g.signIns.allow(tenantOf(r.Context()), addressOf(r.Context())); err != nil {
		return err
	}
	issuer := chi.URLParam(r, "idp")
	location, flow, err := g.idp.Start(r.Context(), issuer, idp.StartOptions{
		RedirectURI: g.callbackURI(issuer),
		ReturnTo:    r.URL.Query().Get("return"),
		LoginHint:   r.URL.Query().Get("login_hint"),
		Fresh:       r.URL.Query().Get("fresh") == "true",
	})
	if err != nil {
		return err
	}
	kept, err := flow.Marshal()
	if err != nil {
		return err
	}
	if err := g.browser.Put(r.Context(), flowKey, kept); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, location, http.StatusSeeOther)
	return nil
}

func (g *Gateway) callbackURI(issuer string) string {
	return g.cfg.PublicURL + "/callback/" + issuer
}

// finishLogin takes the institution's answer and signs the person in, with a new
// code: whatever session the browser came with is over.
func (g *Gateway) finishLogin(w http.ResponseWriter, r *http.Request) (err error) {
	ctx, issuer := r.Context(), chi.URLParam(r, "idp")
	var s sessions.Session
	defer func() { g.recordSignIn(ctx, issuer, s, err) }()
	kept, err := g.browser.Pop(ctx, flowKey)
	if err != nil {
		return err
	}
	flow, err := idp.UnmarshalFlow(kept)
	if err != nil {
		return err
	}
	who, err := g.idp.Finish(ctx, issuer, flow, r.URL.Query(), g.callbackURI(issuer))
	if err != nil {
		return err
	}
	tenant := tenantOf(ctx)
	if who, err = g.noteClaims(ctx, tenant, who); err != nil {
		return err
	}
	person, linked, err := g.signedIn(ctx, kept, who)
	if err != nil {
		return err
	}
	bindings, err := g.bindings(ctx, person)
	if err != nil {
		return err
	}
	replaced, err := g.browser.Current(ctx)
	if err != nil && lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		return err
	}
	at := who.AuthenticatedAt
	if linked { // the new account's word is no proof of whom it was added to
		at = replaced.AuthenticatedAt
	}
	if s, err = g.browser.SignIn(ctx, sessions.New{
		Tenant: tenant, Kind: sessions.Login, Person: person.ID, Name: person.Name, Groups: person.Groups, Bindings: bindings,
		Issuer: who.Issuer, Subject: who.Subject, IdPSession: who.SessionID, Device: device(r), Address: addressOf(ctx),
		AuthenticatedAt: at,
	}); err != nil {
		return err
	}
	if err := g.barred(ctx, s); err != nil {
		return err
	}
	g.recordReplaced(ctx, s, replaced)
	g.noteMailbox(r, person, who)
	g.keepIDToken(ctx, who.IDToken)
	refresher{g}.keep(ctx, s, who.Grant)
	if linked {
		if err := g.rightsChanged(ctx, person); err != nil {
			return err
		}
	}
	g.log.InfoContext(ctx, "signed in", "tenant", tenant, "person", person.ID, "issuer", who.Issuer)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, flow.ReturnTo, http.StatusSeeOther)
	return nil
}

// device names what a request was sent with, for lists of sessions.
func device(r *http.Request) string { return web.DeviceName(r.UserAgent()) }

// logout ends the browser's login, and a booking opened by reference too: the
// person leaves nothing behind on a shared computer.
func (g *Gateway) logout(w http.ResponseWriter, r *http.Request) error {
	c, err := g.callers(r)
	if err != nil {
		return err
	}
	if c.booking != nil {
		if err := g.sessions.Revoke(r.Context(), c.booking.Tenant, c.booking.ID, "signed out"); err != nil {
			return err
		}
		http.SetCookie(w, g.newBookingCookie("", -1))
		g.recordBy(r.Context(), *c.booking, audit.SignOut, "session:"+string(c.booking.ID), "")
	}
	idToken := g.takeIDToken(r.Context())
	if err := g.browser.SignOut(r.Context()); err != nil {
		return err
	}
	if login := cmp.Or(c.login, c.idle); login != nil {
		g.recordBy(r.Context(), *login, audit.SignOut, "session:"+string(login.ID), "")
	}
	w.Header().Set("Clear-Site-Data", `"storage"`)
	http.Redirect(w, r, g.afterSignOut(r.Context(), cmp.Or(c.login, c.idle), idToken), http.StatusSeeOther)
	return nil
}

// newBookingCookie is the second cookie, beside a login's; maxAge as in
// http.Cookie.
func (g *Gateway) newBookingCookie(code string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: g.bookingCookie(), Value: code, Path: "/", MaxAge: maxAge,
		Secure: g.bookingCookie() == "__Host-lodge-booking", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// personOf returns the stored person of a session.
func (g *Gateway) personOf(r *http.Request, s sessions.Session) (idp.Person, error) {
	found, err := g.persons.Get(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return idp.Person{}, err
	}
	if len(found) == 0 {
		return idp.Person{}, lodge.E(lodge.CodeUnauthenticated, "Your account is not here any more; sign in again.")
	}
	return found[0], nil
}
