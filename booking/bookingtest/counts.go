package bookingtest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// RunBeside holds what a technology reads of a Store for others to its word:
// offline lists the experiments that are off-line in all tenants, and depth counts
// the effects that wait. The store is empty.
func RunBeside(t *testing.T, store booking.Store,
	offline func(context.Context, func(lodge.Tenant, booking.ExperimentState) error) error, depth func(context.Context) (int, error),
) {
	update := func(fn func(booking.Tx) error) {
		t.Helper()
		must(t, store.Update(t.Context(), fn))
	}
	lists := func(want map[lodge.Tenant]string) {
		t.Helper()
		got := map[lodge.Tenant]string{}
		must(t, offline(t.Context(), func(tenant lodge.Tenant, s booking.ExperimentState) error {
			if s.Online || s.By != "person:linus" || !s.Since.Equal(noon) {
				t.Errorf("%s: %+v", tenant, s)
			}
			got[tenant] += s.Experiment + ": " + s.Reason
			return nil
		}))
		if !maps.Equal(got, want) {
			t.Errorf("off-line are %v, want %v", got, want)
		}
	}
	waits := func(want int) {
		t.Helper()
		if got, err := depth(t.Context()); err != nil || got != want {
			t.Errorf("%d effects wait, %v; want %d", got, err, want)
		}
	}
	lists(map[lodge.Tenant]string{})
	waits(0)
	set := func(tenant lodge.Tenant, experiment string, online bool, reason string) {
		t.Helper()
		update(func(tx booking.Tx) error {
			return tx.SetExperimentState(tenant, booking.ExperimentState{Experiment: experiment, Online: online, Reason: reason, By: "person:linus", Since: noon})
		})
	}
	set("t1", "pend00", false, "The bearing\nis stuck.")
	set("t1", "pend01", true, "")
	set("t2", "pend00", false, "Öl fehlt.")
	lists(map[lodge.Tenant]string{"t1": "pend00: The bearing\nis stuck.", "t2": "pend00: Öl fehlt."})
	set("t1", "pend00", true, "")
	lists(map[lodge.Tenant]string{"t2": "pend00: Öl fehlt."})
	// What goes wrong while it is listed is told.
	if err := offline(t.Context(), func(lodge.Tenant, booking.ExperimentState) error { return context.DeadlineExceeded }); err == nil {
		t.Error("an error of the listener is lost")
	}
	for i, tenant := range []lodge.Tenant{"t1", "t1", "t2"} {
		update(func(tx booking.Tx) error {
			return tx.Enqueue("subject", booking.Effect{ID: string(rune('a' + i)), Tenant: tenant, Kind: booking.EffectOffered, At: noon.Add(time.Duration(i))})
		})
		waits(i + 1)
	}
}
