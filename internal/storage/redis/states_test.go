package redis

import (
	"context"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// offline is a StateJournal of one experiment.
type offline booking.ExperimentState

func (o offline) Offline(_ context.Context, fn func(lodge.Tenant, booking.ExperimentState) error) error {
	return fn("t1", booking.ExperimentState(o))
}

func TestStates(t *testing.T) {
	server := redistest.Start(t)
	stuck := booking.ExperimentState{Experiment: "pend00", Reason: "The bearing\nis stuck.", Since: sessionstest.Base}
	config := at(server, sessionstest.NewMemory().Journal())
	config.States = offline(stuck)
	st := NewStates(open(t, config))
	is := func(tenant lodge.Tenant, experiment string, want bool, wantReason string) {
		t.Helper()
		if online, reason, err := st.State(t.Context(), tenant, experiment); err != nil || online != want || reason != wantReason {
			t.Errorf("%s is %v %q, %v", experiment, online, reason, err)
		}
	}
	set := func(online bool, reason string, since time.Time) {
		t.Helper()
		if err := st.SetState(t.Context(), "t1", "pend00", online, reason, since); err != nil {
			t.Fatal(err)
		}
	}
	// What the database says is there before anything is read.
	is("t1", "pend00", false, stuck.Reason)
	is("t1", "pend01", true, "")
	is("t2", "pend00", true, "")
	set(true, "", sessionstest.Base.Add(time.Second))
	is("t1", "pend00", true, "")
	set(false, "late news", sessionstest.Base)
	is("t1", "pend00", true, "")
	set(false, "again", sessionstest.Base.Add(2*time.Second))
	is("t1", "pend00", false, "again")

	// A server that was emptied is told again.
	server.Kill()
	server.Restart()
	st = NewStates(open(t, config))
	is("t1", "pend00", false, stuck.Reason)
}
