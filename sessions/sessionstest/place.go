package sessionstest

import (
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// testPlace moves a booking to another experiment, and gives an experiment's hosts
// other streams: codes stay good and open what is written, and nobody else's
// change.
func testPlace(t *testing.T, open func(t *testing.T) Backend) {
	create := func(t *testing.T, r *rig, n sessions.New) (string, sessions.Session) {
		t.Helper()
		n.ExpiresAt = Base.Add(time.Hour)
		code, s, err := r.Create(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return code, s
	}
	same := func(t *testing.T, r *rig, before sessions.Session) {
		t.Helper()
		now, err := r.Get(t.Context(), before.Tenant, before.ID)
		if err != nil || now.Experiment != before.Experiment || !slices.Equal(now.Scopes, before.Scopes) || now.Version != before.Version {
			t.Errorf("%s of %s %s: %s %v, version %d; %v", before.Kind, before.Tenant, before.Booking, now.Experiment, now.Scopes, now.Version, err)
		}
	}

	t.Run("OfABooking", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		of := func(tenant lodge.Tenant, kind sessions.Kind, booking string) sessions.New {
			return sessions.New{Tenant: tenant, Kind: kind, Person: "p1", Booking: booking, Experiment: "pend00", Scopes: []string{"read:pend00-data"}}
		}
		owners, mine := create(t, r, of("t1", sessions.Experiment, "b1"))
		partners := of("t1", sessions.Experiment, "b1")
		partners.Person = "p2"
		theirs, _ := create(t, r, partners)
		opened, _ := create(t, r, of("t1", sessions.Booking, "b1"))
		var others []sessions.Session
		for _, n := range []sessions.New{
			of("t1", sessions.Experiment, "b2"), of("t2", sessions.Experiment, "b1"), of("t1", sessions.Host, ""), of("t1", sessions.Login, ""), of("t1", sessions.Service, ""),
		} {
			_, s := create(t, r, n)
			others = append(others, s)
		}
		dead, gone := create(t, r, of("t1", sessions.Experiment, "b1"))
		if err := r.Revoke(t.Context(), "t1", gone.ID, "ended"); err != nil {
			t.Fatal(err)
		}
		gone = r.is(t, dead, sessions.ErrRevoked)

		told := make(chan struct{}, 1)
		stop := r.Watch("t1", mine.ID, func(s sessions.Session, err error) {
			if err == nil && s.Experiment == "pend02" {
				select {
				case told <- struct{}{}:
				default: // it was told before
				}
			}
		})
		defer stop()
		scopes := func(s sessions.Session) []string {
			if s.Person == "p2" {
				return []string{"read:pend02-data"}
			}
			return []string{"read:pend02-data", "write:pend02-data"}
		}
		for range 2 { // it may be repeated
			if err := r.Place(t.Context(), "t1", "b1", "pend02", scopes); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.is(t, owners, nil); s.Experiment != "pend02" || !slices.Equal(s.Scopes, scopes(s)) || s.Version != mine.Version+1 {
			t.Errorf("the owner's code: %s %v, version %d", s.Experiment, s.Scopes, s.Version)
		}
		if s := r.is(t, theirs, nil); s.Experiment != "pend02" || !slices.Equal(s.Scopes, []string{"read:pend02-data"}) {
			t.Errorf("a partner's code: %s %v", s.Experiment, s.Scopes)
		}
		if s := r.is(t, opened, nil); s.Experiment != "pend02" || !slices.Equal(s.Scopes, []string{"read:pend00-data"}) {
			t.Errorf("opened by reference: %s %v", s.Experiment, s.Scopes)
		}
		await(t, told)
		for _, s := range append(others, gone) {
			same(t, r, s)
		}
		r.is(t, dead, sessions.ErrRevoked)
	})

	t.Run("OfHosts", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		host := func(tenant lodge.Tenant, experiment string) (string, sessions.Session) {
			return create(t, r, sessions.New{Tenant: tenant, Kind: sessions.Host, Experiment: experiment, Scopes: []string{"write:" + experiment + "-data"}})
		}
		one, before := host("t1", "pend00")
		two, _ := host("t1", "pend00")
		_, elsewhere := host("t1", "pend01")
		_, foreign := host("t2", "pend00")
		_, student := create(t, r, sessions.New{Tenant: "t1", Kind: sessions.Experiment, Person: "p1", Booking: "b1", Experiment: "pend00", Scopes: []string{"read:pend00-data"}})
		scopes := []string{"write:pend00-renamed"}
		for range 2 {
			if err := r.PlaceHosts(t.Context(), "t1", "pend00", scopes); err != nil {
				t.Fatal(err)
			}
		}
		for _, code := range []string{one, two} {
			if s := r.is(t, code, nil); s.Experiment != "pend00" || !slices.Equal(s.Scopes, scopes) || s.Version != before.Version+1 {
				t.Errorf("a host: %s %v, version %d", s.Experiment, s.Scopes, s.Version)
			}
		}
		for _, s := range []sessions.Session{elsewhere, foreign, student} {
			same(t, r, s)
		}
	})
}
