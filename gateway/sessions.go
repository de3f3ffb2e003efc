package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// sessionView is a session without anything that opens it.
func (g *Gateway) sessionView(s sessions.Session, current sessions.ID) SessionView {
	now := g.clock.Now()
	return SessionView{
		ID: string(s.ID), Kind: string(s.Kind), Person: string(s.Person), Name: s.Name, Booking: s.Booking,
		Experiment: s.Experiment, Scopes: s.Scopes, Device: s.Device, Address: s.Address,
		State: string(s.State(now)), Idle: s.Idle(now), Current: s.ID == current, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt, ExpiresAt: s.ExpiresAt,
	}
}

// sessionsOf lists a person's live sessions, the one asking first. What is listed
// can be ended by them, so a host's never is, whatever it names.
func (g *Gateway) sessionsOf(ctx context.Context, s sessions.Session) ([]SessionView, error) {
	filter := sessions.Filter{Person: s.Person}
	if s.Kind != sessions.Login {
		filter.Booking = s.Booking
	}
	views, err := g.listed(ctx, s, filter)
	return slices.DeleteFunc(views, func(v SessionView) bool { return v.Kind == string(sessions.Host) }), err
}

func (g *Gateway) listed(ctx context.Context, s sessions.Session, filter sessions.Filter) ([]SessionView, error) {
	found, err := g.sessions.List(ctx, s.Tenant, filter)
	if err != nil {
		return nil, err
	}
	views := []SessionView{}
	now := g.clock.Now()
	open := g.openSockets(ctx, s.Tenant)
	for _, one := range found {
		if state := one.State(now); state == sessions.Active || state == sessions.Pending {
			view := g.sessionView(one, s.ID)
			sockets := open[view.ID]
			view.Sockets, view.Address = &sockets.SocketsView, orElse(view.Address, sockets.address)
			views = append(views, view)
		}
	}
	slices.SortStableFunc(views, func(a, b SessionView) int {
		if a.Current != b.Current {
			return cmp.Compare(btoi(b.Current), btoi(a.Current))
		}
		return b.SeenAt.Compare(a.SeenAt)
	})
	return views, nil
}

// sockets is what is open through a session, and where from: a host
// has no address of its own but that of its streams.
type sockets struct {
	SocketsView
	address string
}

// openSockets counts what is open, by session: message connections to this node,
// and streams at any that answers.
func (g *Gateway) openSockets(ctx context.Context, tenant lodge.Tenant) map[string]sockets {
	open := map[string]sockets{}
	for id, n := range g.hub.Sockets(tenant) {
		open[id] = sockets{SocketsView: SocketsView{Messages: n}}
	}
	peers, _ := g.relay.AllPeers(ctx, tenant)
	for _, peer := range peers {
		one := open[peer.Session]
		one.Streams++
		one.address = peer.RemoteAddr
		open[peer.Session] = one
	}
	return open
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (g *Gateway) mySessions(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	views, err := g.sessionsOf(r.Context(), s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"sessions": views})
}

func (g *Gateway) endMySession(w http.ResponseWriter, r *http.Request) error {
	if err := g.endMine(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endMine ends one of the caller's own sessions; nobody else's is there.
func (g *Gateway) endMine(r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	mine, err := g.sessionsOf(r.Context(), s)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	if !slices.ContainsFunc(mine, func(v SessionView) bool { return v.ID == id }) {
		return errNotThere("session")
	}
	const reason = "You ended this session."
	if err := g.sessions.Revoke(r.Context(), s.Tenant, sessions.ID(id), reason); err != nil {
		return err
	}
	g.recordBy(r.Context(), s, audit.SessionEnd, "session:"+id, reason)
	return nil
}

// listSessions is the administrator's view of the tenant's live sessions.
func (g *Gateway) listSessions(w http.ResponseWriter, r *http.Request) error {
	views, _, err := g.allSessions(r, maxListed)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"sessions": views})
}

// maxListed bounds the sessions one listing reads, maxSearched those that a search
// looks through.
const (
	maxListed   = 5000
	maxSearched = 50_000
)

func (g *Gateway) allSessions(r *http.Request, limit int) ([]SessionView, sessions.Session, error) {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return nil, s, err
	}
	q := r.URL.Query()
	views, err := g.listed(r.Context(), s, sessions.Filter{
		Person: lodge.PersonID(q.Get("person")), Booking: q.Get("booking"), Kind: sessions.Kind(q.Get("kind")), Limit: limit,
	})
	return views, s, err
}

// endSession ends any session of the tenant but a host's, as its administrator.
func (g *Gateway) endSession(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	if err := g.endOne(withActor(r.Context(), s), s.Tenant, sessions.ID(chi.URLParam(r, "id")), "An administrator ended this session."); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) sessionsPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	views, err := g.sessionsOf(r.Context(), s)
	if err != nil {
		return err
	}
	return g.pages.Render(w, http.StatusOK, web.PageSessions, web.Sessions{
		Layout: g.layout(r, "Sessions and devices", web.PageSessions, &s), Sessions: webSessions(views),
	})
}

func webSessions(views []SessionView) []web.Session {
	var out []web.Session
	for _, v := range views {
		out = append(out, web.Session{
			ID: v.ID, Kind: v.Kind, Person: v.Person, Name: v.Name, Booking: v.Booking, Device: v.Device, Address: v.Address, State: v.State,
			Idle: v.Idle, Current: v.Current, CreatedAt: v.CreatedAt, SeenAt: v.SeenAt, ExpiresAt: v.ExpiresAt,
			Experiment: v.Experiment, Scopes: v.Scopes,
		})
		if v.Sockets != nil {
			out[len(out)-1].Sockets = web.Sockets(*v.Sockets)
		}
	}
	return out
}

// endOthersForm ends all of the caller's sessions but the one asking.
func (g *Gateway) endOthersForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	if _, err := g.endMineAll(r.Context(), s, true); err != nil {
		return err
	}
	return seeOther(w, r, "/sessions", "ended")
}

func (g *Gateway) endSessionForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.endMine(r); err != nil {
		return err
	}
	return seeOther(w, r, "/sessions", "ended")
}
