package sessionstest

import (
	"errors"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// testHostsAreSpared ends everything that users, instructors and administrators
// can end, one way after the other, where a host's session would be met by each:
// it names the same person, booking, experiment and sign-in. It stays, and its
// watch hears nothing.
func testHostsAreSpared(t *testing.T, open func(t *testing.T) Backend) {
	for name, end := range map[string]func(t *testing.T, r *rig, login sessions.Session) error{
		"cancelled booking": func(t *testing.T, r *rig, _ sessions.Session) error {
			return r.Cancel(t.Context(), "t1", "b1", "cancelled", Base)
		},
		"extended booking": func(t *testing.T, r *rig, _ sessions.Session) error {
			return r.Extend(t.Context(), "t1", "b1", Base.Add(3*time.Hour), Base.Add(30*time.Hour))
		},
		"one session ended": func(t *testing.T, r *rig, login sessions.Session) error {
			return r.Revoke(t.Context(), "t1", login.ID, "ended by root")
		},
		"signed out everywhere": func(t *testing.T, r *rig, login sessions.Session) error {
			_, err := r.RevokePerson(t.Context(), "t1", "p1", "signed out everywhere", login.ID)
			return err
		},
		"disabled person": func(t *testing.T, r *rig, _ sessions.Session) error {
			_, err := r.RevokePerson(t.Context(), "t1", "p1", "the account was disabled")
			return err
		},
		"everything ended": func(t *testing.T, r *rig, _ sessions.Session) error {
			_, err := r.RevokeAll(t.Context(), "t1", "ended by root")
			return err
		},
		"a kind ended": func(t *testing.T, r *rig, login sessions.Session) error {
			_, err := r.RevokeKind(t.Context(), "t1", login.Kind, "ended by root")
			return err
		},
		"hosts as a kind": func(t *testing.T, r *rig, _ sessions.Session) error {
			n, err := r.RevokeKind(t.Context(), "t1", sessions.Host, "a mistake")
			if n != 0 {
				t.Errorf("%d hosts ended", n)
			}
			return err
		},
		"signed out at the institution": func(t *testing.T, r *rig, _ sessions.Session) error {
			found, err := r.List(t.Context(), "t1", sessions.Filter{Kind: sessions.Login, Issuer: "dev", IdPSession: "sid"})
			for _, s := range found {
				if s.Kind == sessions.Host {
					t.Errorf("found among the logins: %s", say(s))
				}
				err = errors.Join(err, r.Revoke(t.Context(), "t1", s.ID, "signed out at the institution"))
			}
			return err
		},
		"more logins than the cap": func(t *testing.T, r *rig, login sessions.Session) error {
			for range 3 {
				r.clock.Advance(time.Minute)
				r.make(t, sessions.Login)
			}
			if s, err := r.Get(t.Context(), "t1", login.ID); err != nil || s.State(r.clock.Now()) != sessions.Revoked {
				t.Errorf("the first login is %s, %v", say(s), err)
			}
			return nil
		},
		"use noted, ended ones collected": func(t *testing.T, r *rig, login sessions.Session) error {
			r.clock.Advance(2 * time.Minute)
			err := r.Touch(t.Context(), login)
			_, collectErr := r.Store.Collect(t.Context(), Base.Add(30*time.Minute))
			return errors.Join(err, collectErr)
		},
		"changed groups": func(t *testing.T, r *rig, _ sessions.Session) error {
			return r.Refresh(t.Context(), "t1", "p1", nil, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, open, sessions.Options{LeasePoll: time.Hour, LeaseGrace: 3 * time.Hour, LoginCap: 2})
			code, host, err := r.Create(t.Context(), sessions.New{
				Tenant: "t1", Kind: sessions.Host, Person: "p1", Booking: "b1", Experiment: "pend00", Issuer: "dev", IdPSession: "sid",
				Groups: []string{"g1"}, Bindings: []lodge.Binding{{Role: lodge.RoleTechnician, Scope: "experiment:pend00"}},
				ExpiresAt: Base.Add(time.Hour),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, login := r.make(t, sessions.Login)
			r.make(t, sessions.Experiment)
			told := make(chan sessions.Session, 8)
			defer r.Watch("t1", host.ID, func(s sessions.Session, _ error) { told <- s })()
			if err := end(t, r, login); err != nil {
				t.Fatal(err)
			}
			if now := r.is(t, code, nil); say(now) != say(host) {
				t.Errorf("the host's session is %s\n            was %s", say(now), say(host))
			}
			// A change of another session is heard of, so one of the host's would have been.
			heard := make(chan sessions.Session, 8)
			_, probe := r.make(t, sessions.Service)
			defer r.Watch("t1", probe.ID, func(s sessions.Session, _ error) { heard <- s })()
			if err := r.Revoke(t.Context(), "t1", probe.ID, "the end of the test"); err != nil {
				t.Fatal(err)
			}
			await(t, heard)
			select {
			case s := <-told:
				t.Errorf("its watch was told of %s", say(s))
			default:
			}
		})
	}
}
