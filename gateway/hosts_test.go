package gateway_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/sessions"
)

// hostWorld is a lab with hardware on a stream, whose session every rule that
// looks at the wrong thing would meet: it names Ada, her booking and her sign-in.
type hostWorld struct {
	*lab
	ada, root *browser
	booking   gateway.BookingView
	activity  gateway.Activity
	host      sessions.Session
	code      string
	conn      *websocket.Conn
	open      context.Context // ends when the host's connection does
}

func newHostWorld(t *testing.T) *hostWorld {
	t.Helper()
	w := &hostWorld{lab: newLab(t)}
	w.ada, w.root = w.signedIn("ada"), w.signedIn("root")
	w.booking = w.ada.book("pend00-everyone")
	w.activity = w.ada.launch(w.booking)
	var err error
	w.code, w.host, err = w.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Host, Person: lodge.PersonID(w.ada.me().Person), Booking: w.booking.ID, Experiment: "pend00",
		Issuer: "dev", Scopes: []string{"read:pend00-data", "write:pend00-data"}, ExpiresAt: w.clock.Now().Add(24 * time.Hour),
	})
	w.must(err)
	b := w.browser()
	exchanged := call[struct{ URI string }](b, 200, "POST", "/session/pend00-data", nil, authorization(w.code))
	w.conn = wstest.Dial(t, b.client, exchanged.URI, nil)
	w.open = w.conn.CloseRead(t.Context())
	return w
}

// spared expects the host's session as it was made, its code good and its
// connection open: several polls after what was done.
func (w *hostWorld) spared() {
	w.Helper()
	now, err := w.sessions.Get(w.Context(), w.host.Tenant, w.host.ID)
	w.must(err)
	if fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", w.host) {
		w.Errorf("the host's session is %+v\nwas %+v", now, w.host)
	}
	call[struct{ URI string }](w.browser(), 200, "POST", "/session/pend00-data", nil, authorization(w.code))
	for range 3 {
		// An answer to a ping on a connection that is being ended would not come.
		ctx, cancel := context.WithTimeout(w.open, deadline)
		err := w.conn.Ping(ctx)
		cancel()
		if err != nil {
			w.Errorf("the host's connection: %v", err)
		}
	}
}

// done sends a request that is to succeed.
func (w *hostWorld) done(b *browser, method, path string, body any, headers ...pair) {
	w.Helper()
	if got := b.do(method, path, body, headers...); got.status >= 400 {
		w.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
}

// Nothing that a user, an instructor, an administrator or an issuer does over HTTP
// touches a host, but for an administrator who revokes its very code.
func TestSec8_HostsAreSparedOnEveryPath(t *testing.T) {
	for name, act := range map[string]func(w *hostWorld){
		"extended by the owner": func(w *hostWorld) {
			w.done(w.ada, "POST", w.booking.Links.Self+"/extend", gateway.ExtendRequest{Seconds: w.booking.Extend[0] * 60})
		},
		"extended from the experiment": func(w *hostWorld) {
			w.done(w.browser(), "POST", "/api/v1/experiment/extend", gateway.ExtendRequest{Seconds: w.booking.Extend[0] * 60}, authorization(code(w.activity)))
		},
		"cancelled by the owner": func(w *hostWorld) { w.done(w.ada, "DELETE", w.booking.Links.Self, nil) },
		"cancelled on the page":  func(w *hostWorld) { w.done(w.ada, "POST", "/bookings/"+w.booking.ID+"/cancel", url.Values{}) },
		"cancelled by an instructor": func(w *hostWorld) {
			w.done(w.signedIn("grace"), "DELETE", w.booking.Links.Self, gateway.CancelRequest{Reason: "Maintenance."})
		},
		"the experiment's code given up": func(w *hostWorld) {
			w.done(w.browser(), "DELETE", "/session/pend00-data", nil, authorization(code(w.activity)))
		},
		"the host's code given up": func(w *hostWorld) {
			if got := w.browser().do("DELETE", "/session/pend00-data", nil, authorization(w.code)); got.status != 403 {
				w.Errorf("a host ended itself: %d", got.status)
			}
		},
		"one of one's own sessions ended": func(w *hostWorld) {
			w.done(w.ada, "DELETE", "/api/v1/me/sessions/"+w.signedIn("ada").me().Session.ID, nil)
			w.ada.do("DELETE", "/api/v1/me/sessions/"+string(w.host.ID), nil)
		},
		"a page's session ended": func(w *hostWorld) {
			w.ada.do("POST", "/sessions/"+string(w.host.ID)+"/end", url.Values{})
		},
		"others ended":               func(w *hostWorld) { w.done(w.ada, "POST", "/api/v1/me/sessions/revoke-others", nil) },
		"others ended on the page":   func(w *hostWorld) { w.done(w.ada, "POST", "/sessions/others/end", url.Values{}) },
		"signed out everywhere":      func(w *hostWorld) { w.done(w.ada, "POST", "/api/v1/me/sessions/revoke-all", nil) },
		"a reference's others ended": func(w *hostWorld) { w.done(w.lookUp(w.booking), "POST", "/api/v1/me/sessions/revoke-others", nil) },
		"a reference's all ended":    func(w *hostWorld) { w.done(w.lookUp(w.booking), "POST", "/api/v1/me/sessions/revoke-all", nil) },
		"signed out":                 func(w *hostWorld) { w.done(w.ada, "POST", "/logout", url.Values{}) },
		"signed in anew":             func(w *hostWorld) { w.ada.signIn("ada") },
		"signed out at the issuer":   func(w *hostWorld) { w.signOutAtIssuer() },
		"an administrator ends one":  func(w *hostWorld) { w.root.refused(422, "DELETE", "/api/v1/admin/sessions/"+string(w.host.ID), nil) },
		"an administrator names it": func(w *hostWorld) {
			w.root.refused(422, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Session: string(w.host.ID)})
		},
		"an administrator ends a person's": func(w *hostWorld) {
			w.done(w.root, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Person: w.ada.me().Person})
		},
		"an administrator ends a kind": func(w *hostWorld) {
			w.done(w.root, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Kind: "login"})
		},
		"an administrator ends everything": func(w *hostWorld) {
			w.done(w.root, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{All: true})
		},
		"ended on the administrator's page": func(w *hostWorld) {
			for _, form := range []url.Values{{"session": {string(w.host.ID)}}, {"kind": {"host"}}} {
				if got := w.root.do("POST", "/admin/end", form); got.status != 422 {
					w.Errorf("%v: %d", form, got.status)
				}
			}
			w.done(w.root, "POST", "/admin/end", url.Values{"person": {w.ada.me().Person}})
			w.done(w.root, "POST", "/admin/end", url.Values{"all": {"true"}})
		},
		"a disabled account": func(w *hostWorld) {
			w.done(w.root, "PUT", "/api/v1/admin/persons/"+w.ada.me().Person+"/disabled", gateway.DisableRequest{Disabled: true})
		},
		"a merged person": func(w *hostWorld) {
			into := w.signedIn("soren").me().Person
			at := "/api/v1/admin/persons/" + w.ada.me().Person
			shown := call[struct{ Version string }](w.root, 200, "GET", at+"/merge?into="+into, nil)
			w.done(w.root, "POST", at+"/merge", gateway.MergeRequest{Into: into, Version: shown.Version})
			w.done(w.root, "POST", at+"/unmerge", nil)
		},
		"a denied booking": func(w *hostWorld) {
			service := call[gateway.CodeView](w.root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:admin"}})
			exp := w.clock.Now().Add(time.Hour).Unix()
			w.done(w.browser(), "POST", fmt.Sprintf("/bids/deny?bid=%s&exp=%d", w.booking.ID, exp), nil, authorization(service.Code))
		},
		"the experiment off-line": func(w *hostWorld) {
			w.done(w.signedIn("linus"), "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Reason: "broken"})
		},
		"another host's code revoked": func(w *hostWorld) {
			other := call[gateway.CodeView](w.root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
			w.done(w.root, "DELETE", "/api/v1/admin/codes/"+other.Session.ID, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHostWorld(t)
			w.spared()
			act(w)
			w.spared()
		})
	}
}

func (w *hostWorld) signOutAtIssuer() {
	w.Helper()
	token, err := w.issuer.LogoutToken("lodge", "ada", "")
	w.must(err)
	if got := w.browser().do("POST", "/backchannel-logout/dev", url.Values{"logout_token": {token}}); got.status != 200 {
		w.Fatalf("%d %s", got.status, got.body)
	}
	w.ada.refused(401, "GET", "/api/v1/me", nil)
}

// And what does end a host ends it: the code revoked by an administrator.
func TestHostsEndWithTheirCode(t *testing.T) {
	w := newHostWorld(t)
	w.done(w.root, "DELETE", "/api/v1/admin/codes/"+string(w.host.ID), nil)
	select {
	case <-w.open.Done():
	case <-time.After(deadline):
		t.Error("its connection is still open")
	}
	if got := w.browser().do("POST", "/session/pend00-data", nil, authorization(w.code)); got.status != 403 {
		t.Errorf("its code: %d", got.status)
	}
}

// What the institution takes away when it is asked again takes nothing from a host.
func TestSec8_HostsAreSparedByARefresh(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	code, host, err := w.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Host, Person: w.personID("ada"), Experiment: "pend00", Issuer: "dev", IdPSession: w.sids("ada")[0],
		Groups: []string{"markers"}, Bindings: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}}, ExpiresAt: w.clock.Now().Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	same := func(after string) {
		t.Helper()
		if now, err := w.sessions.Check(t.Context(), lodge.DefaultTenant, code); err != nil || fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", host) {
			t.Errorf("%s: %+v, %v\nwas %+v", after, now, err, host)
		}
	}
	w.demoted.Store(true)
	w.active(ada)
	w.until("the refresh", func() bool { return !strings.Contains(fmt.Sprint(w.me(ada).Groups), "markers") })
	same("groups and roles taken away")
	w.status.Store(400)
	w.error.Store("invalid_grant")
	w.active(ada)
	w.until("the end of the login", func() bool { return ada.status("/api/v1/me") == 401 })
	same("the grant ended")
}

// One login more than a person may have ends a login, never a host that the cap's
// count of that person would meet.
func TestSec8_HostsAreSparedByTheCapOfLogins(t *testing.T) {
	w := newIDWorld(t, idOptions{cap: 1})
	first := w.signedIn("ada")
	code, host, err := w.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Host, Person: w.personID("ada"), Experiment: "pend00", Issuer: "dev", ExpiresAt: w.clock.Now().Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.clock.add(time.Minute)
		w.signedIn("ada")
	}
	w.wantStatus(first, "the first browser", 401)
	if now, err := w.sessions.Check(t.Context(), lodge.DefaultTenant, code); err != nil || fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", host) {
		t.Errorf("%+v, %v\nwas %+v", now, err, host)
	}
}

// The administrator sees a host as what it is, with its stream, and no way to end
// it there.
func TestAdministratorSeesHostsAndSockets(t *testing.T) {
	w := newHostWorld(t)
	wstest.Eventually(t, "the host is listed with its stream", func() bool {
		for _, s := range call[gateway.SessionsView](w.root, 200, "GET", "/api/v1/admin/sessions?kind=host", nil).Sessions {
			if s.ID == string(w.host.ID) && s.Sockets != nil && s.Sockets.Streams == 1 && s.Address == "127.0.0.1" {
				return true
			}
		}
		return false
	})
	page := string(w.root.do("GET", "/admin?kind=host", nil).body)
	if strings.Contains(page, "—</th>") || !strings.Contains(page, "1 stream") || strings.Contains(page, "/admin/end?session="+string(w.host.ID)) {
		t.Errorf("the page: %s", page)
	}
}
