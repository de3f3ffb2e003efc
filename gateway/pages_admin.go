package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// How many sessions the administrator's pages show.
const (
	sessionsShown     = 15
	mostSessionsShown = 400
	endingShown       = 20
)

// adminPage lists the tenant's live sessions, and finds some of them.
func (g *Gateway) adminPage(w http.ResponseWriter, r *http.Request) error {
	views, s, err := g.allSessions(r, maxSearched)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page := web.Admin{Layout: g.layout(r, "Administration", web.PageAdmin, &s), Query: q.Get("q"), Kind: q.Get("kind")}
	found := slices.DeleteFunc(webSessions(views), func(v web.Session) bool {
		return !matches(page.Query, page.Say.Who(v), v.Person, v.Kind, v.Booking, v.Experiment, v.Device, v.Address)
	})
	shown := sessionsShown
	if n, err := strconv.Atoi(q.Get("shown")); err == nil && n > 0 && n <= mostSessionsShown {
		shown = n
	}
	if page.Sessions, page.More = firstOf(found, shown); page.More > 0 && shown < mostSessionsShown {
		page.Further = "/admin?" + url.Values{"q": {page.Query}, "kind": {page.Kind}, "shown": {strconv.Itoa(min(4*shown, mostSessionsShown))}}.Encode()
	}
	return g.pages.Render(w, http.StatusOK, web.PageAdmin, page)
}

// firstOf cuts a list and says how many it left out.
func firstOf[T any](list []T, n int) (first []T, more int) {
	if len(list) <= n {
		return list, 0
	}
	return list[:n], len(list) - n
}

// adminEndPage asks an administrator whether they mean it, and shows what would
// end: the step before adminEndForm.
func (g *Gateway) adminEndPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	req := RevokeRequest{Session: q.Get("session"), Person: q.Get("person"), Kind: q.Get("kind"), All: q.Get("all") == "true"}
	if err := g.freshToEnd(s, req); err != nil {
		return err
	}
	ending, err := g.wouldEnd(r.Context(), s, req)
	if err != nil {
		return err
	}
	page, what := web.AdminEnd{Target: web.Target{Session: req.Session, Person: req.Person, Kind: req.Kind, All: req.All}}, ""
	switch {
	case req.Session != "":
		what = web.Text("End this session?")
	case req.Person != "":
		what = web.Text("End all sessions of this person?")
	case req.Kind != "":
		what = web.Text("Sign everybody out, you too?")
	default:
		what = web.Text("End everything, your own session and services’ codes too?")
	}
	page.Sessions, page.More = firstOf(webSessions(ending), endingShown)
	page.Layout = g.layout(r, what, web.PageAdmin, &s)
	return g.pages.Render(w, http.StatusOK, web.PageAdminEnd, page)
}

// wouldEnd lists the live sessions that a request would end.
func (g *Gateway) wouldEnd(ctx context.Context, s sessions.Session, req RevokeRequest) ([]SessionView, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	if req.Session != "" {
		target, err := g.endable(ctx, s.Tenant, sessions.ID(req.Session))
		if err != nil {
			return nil, err
		}
		if state := target.State(g.clock.Now()); state != sessions.Active && state != sessions.Pending {
			return nil, nil
		}
		view := g.sessionView(target, s.ID)
		sockets := g.openSockets(ctx, s.Tenant)[view.ID].SocketsView
		view.Sockets = &sockets
		return []SessionView{view}, nil
	}
	views, err := g.listed(ctx, s, sessions.Filter{Person: lodge.PersonID(req.Person), Kind: sessions.Kind(req.Kind)})
	return slices.DeleteFunc(views, func(v SessionView) bool { return v.Kind == string(sessions.Host) }), err
}

// adminEndForm ends what was confirmed.
func (g *Gateway) adminEndForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	form := r.PostForm
	req := RevokeRequest{Session: form.Get("session"), Person: form.Get("person"), Kind: form.Get("kind"), All: form.Get("all") == "true", Reason: form.Get("reason")}
	if err := g.freshToEnd(s, req); err != nil {
		return err
	}
	if _, err := g.RevokeSessions(withActor(r.Context(), s), s.Tenant, req); err != nil {
		return err
	}
	return seeOther(w, r, "/admin", "ended")
}
