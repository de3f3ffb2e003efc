package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/sessions"
)

// refreshWorld is an idWorld whose issuer lets Lodge ask again, with a claim that
// gives a role and can be taken away, and a token endpoint that can refuse.
type refreshWorld struct {
	*idWorld
	demoted atomic.Bool  // the claim is gone
	status  atomic.Int32 // of the token endpoint, when it is not 0
	error   atomic.Value
	asked   atomic.Int32 // refreshes
}

func newRefreshWorld(t *testing.T) *refreshWorld {
	w := &refreshWorld{}
	w.error.Store("")
	w.idWorld = newIDWorld(t, idOptions{
		issuer: func(c *idp.IssuerConfig) {
			c.Scopes = []string{"profile", "email", "offline_access"}
			c.Rules = []idp.Rule{{
				Claim: "affiliation", Match: idp.Equals, Value: "staff",
				Groups: []string{"markers"}, Roles: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}, {Role: lodge.RoleTechnician, Scope: "experiment:pend00"}},
			}}
		},
		provider: func(c *idptest.Config) {
			c.Faults.Claims = func(claims map[string]any) {
				if !w.demoted.Load() {
					claims["affiliation"] = "staff"
				}
			}
			c.Faults.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" || r.FormValue("grant_type") != "refresh_token" {
					return false
				}
				w.asked.Add(1)
				status := int(w.status.Load())
				if status != 0 {
					rw.Header().Set("Content-Type", "application/json")
					rw.WriteHeader(status)
					_, _ = rw.Write([]byte(`{"error":"` + w.error.Load().(string) + `"}`))
				}
				return status != 0
			}
		},
	})
	return w
}

// until waits for what happens behind the requests.
func (w *idWorld) until(what string, done func() bool) {
	w.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			w.Fatalf("%s did not happen", what)
		case <-tick.C:
		}
	}
}

// active lets the time pass after which a login is due, uses it, and lets that
// pass for which a look in between, which saw it unused, has put it off.
func (w *idWorld) active(b *idBrowser) {
	w.Helper()
	w.clock.add(11 * time.Minute)
	w.me(b)
	w.clock.add(2 * time.Minute)
}

func (w *idWorld) me(b *idBrowser) gateway.Me {
	w.Helper()
	return idGet[gateway.Me](b, "/api/v1/me")
}

func TestRolesTheInstitutionTakesAwayAreGone(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	instructor := gateway.RoleView{Role: "instructor", Scope: "group:physics-1"}
	if me := w.me(ada); !slices.Contains(me.Roles, instructor) || !slices.Contains(me.Groups, "markers") {
		t.Fatalf("the rule gives nothing: %+v", me)
	}
	w.demoted.Store(true)
	w.active(ada)
	w.until("the refresh", func() bool { return !slices.Contains(w.me(ada).Roles, instructor) })
	if me := w.me(ada); slices.Contains(me.Groups, "markers") {
		t.Errorf("the group is still there: %+v", me)
	}

	// And back: each refresh token is good once, so the second was kept.
	w.demoted.Store(false)
	w.active(ada)
	w.until("the second refresh", func() bool { return slices.Contains(w.me(ada).Roles, instructor) })
	if n := w.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times, want 2", n)
	}
}

// A test of a rig that is off-line ends as soon as the issuer takes the right to it.
func TestATestEndsWithTheInstitutionsRole(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	if err := w.desk.SetState(t.Context(), lodge.DefaultTenant, "pend00", false, "The oil is out.", "test"); err != nil {
		t.Fatal(err)
	}
	res, body := ada.do("POST", "/api/v1/admin/experiments/pend00/test", nil)
	var test gateway.TestView
	if err := json.Unmarshal(body, &test); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("test: %d %s", res.StatusCode, body)
	}
	lives := func() bool {
		s, err := w.sessions.Get(t.Context(), lodge.DefaultTenant, sessions.ID(test.Session))
		if err != nil {
			t.Fatal(err)
		}
		return s.State(w.clock.Now()) == sessions.Active
	}
	w.active(ada)
	w.until("the first refresh", func() bool { return w.asked.Load() == 1 })
	if !lives() {
		t.Fatal("the test ended though the right to it is there")
	}
	w.demoted.Store(true)
	w.active(ada)
	w.until("the end of the test", func() bool { return !lives() })
}

func TestAnIssuerThatEndsTheGrantEndsTheLogin(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	other := w.signedIn("ada")
	w.status.Store(http.StatusBadRequest)
	w.error.Store("invalid_grant")
	w.active(ada)
	w.until("the end of the login", func() bool { return ada.status("/api/v1/me") == http.StatusUnauthorized })
	// The other login was not used: nothing was asked for it, and nothing ended it.
	w.status.Store(0)
	w.wantStatus(other, "her other browser", http.StatusOK)
}

func TestAnIssuerThatIsDownEndsNothing(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	for i, failure := range []struct {
		status int
		error  string
	}{{http.StatusServiceUnavailable, "temporarily_unavailable"}, {http.StatusUnauthorized, "invalid_client"}, {http.StatusBadRequest, "invalid_request"}} {
		w.error.Store(failure.error)
		w.status.Store(int32(failure.status))
		w.active(ada)
		w.until("a try", func() bool { return int(w.asked.Load()) > i })
		w.wantStatus(ada, failure.error, http.StatusOK)
	}
	w.demoted.Store(true)
	w.status.Store(0)
	w.clock.add(2 * time.Minute)
	w.until("the refresh once it answers", func() bool { return !slices.Contains(w.me(ada).Groups, "markers") })
}

func TestALoginThatIsNotUsedIsNotAskedAbout(t *testing.T) {
	w := newRefreshWorld(t)
	w.signedIn("ada")
	w.clock.add(11 * time.Minute)
	grace := w.signedIn("grace")
	w.active(grace)
	w.until("the refresh of who is active", func() bool { return w.asked.Load() > 0 })
	found, err := w.sessions.List(t.Context(), lodge.DefaultTenant, sessions.Filter{Kind: sessions.Login})
	if err != nil || len(found) != 2 {
		t.Fatalf("%d logins, %v", len(found), err)
	}
	if n := w.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}
