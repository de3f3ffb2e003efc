package gateway

import (
	"net/http"
	"runtime/debug"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// providersPage shows an administrator the issuers, whether they answer, and how
// many are signed in through each.
func (g *Gateway) providersPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	logins, err := g.sessions.List(r.Context(), s.Tenant, sessions.Filter{Kind: sessions.Login})
	if err != nil {
		return err
	}
	signedIn := map[string]int{}
	for _, login := range logins {
		if login.State(g.clock.Now()) == sessions.Active {
			signedIn[login.Issuer]++
		}
	}
	view := web.Providers{Layout: g.layout(r, "Identity providers", web.PageAdmin, &s)}
	for _, state := range g.idp.States(r.Context()) {
		view.Providers = append(view.Providers, web.Provider{
			ID: state.ID, Name: state.Name, URL: state.URL, Up: state.Err == nil, SignedIn: signedIn[state.ID],
		})
	}
	return g.pages.Render(w, http.StatusOK, web.PageProviders, view)
}

// systemPage shows an administrator how this node is.
func (g *Gateway) systemPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	stats := g.relay.Stats()
	d := stats.Dropped
	view := web.System{
		Layout: g.layout(r, "System state", web.PageAdmin, &s), Version: version(), Ready: true,
		Rooms: stats.Rooms, Streams: stats.Peers, In: stats.In, Out: stats.Out, Dropped: d.Oldest + d.Overflow + d.Left + d.Refused,
	}
	if err := g.isReady(r.Context()); err != nil {
		view.Ready, view.Trouble = false, explain(err).detail
	}
	for _, n := range g.hub.Sockets(s.Tenant) {
		view.Sockets += n
	}
	online, err := g.hub.Online(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	view.Online = len(online)
	return g.pages.Render(w, http.StatusOK, web.PageSystem, view)
}

// version is what the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "devel"
}
