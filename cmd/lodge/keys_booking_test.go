package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

// A reference of before a rotation of the root key opens its booking through both
// of its steps, and what is written at each step is found at the others.
func TestSec35_ReferencesSurviveARotationOfTheRootKey(t *testing.T) {
	first := roots{keys: []rootKey{newRoot(firstKey)}, current: firstKey}
	added := first.rotated()
	made := added.rotated()
	if made.current == first.current {
		t.Fatal("nothing was rotated")
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var desks []*booking.Desk
	for _, r := range []roots{first, added, made} {
		peppers, err := r.deriveAll("lookup pepper")
		if err != nil {
			t.Fatal(err)
		}
		seals, err := r.deriveAll("reference seal")
		if err != nil {
			t.Fatal(err)
		}
		desk, err := booking.NewDesk(sqlite.NewBookings(db), bookingKeys(r, peppers, seals), lodge.SystemClock{}, booking.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		desks = append(desks, desk)
	}
	c, _, err := booking.ReadManifest(bytes.NewReader(smallCatalogue), "small.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := desks[0].Apply(t.Context(), tenantOfTests, c); err != nil {
		t.Fatal(err)
	}
	day := time.Now().Truncate(time.Hour).AddDate(0, 1, 0)
	for i, desk := range desks {
		b, reference, err := desk.Book(t.Context(), booking.Request{
			Tenant: tenantOfTests, Person: "p", Surname: "Ó Briain", Groups: []string{"g"}, Group: "g", Slot: "s", Start: day.Add(time.Duration(i) * time.Hour), Length: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range desks[1:] { // the first one's have all been restarted when one writes anew
			found, err := other.Lookup(t.Context(), tenantOfTests, "obriain", reference, "192.0.2.1")
			if err != nil || found.ID != b.ID {
				t.Errorf("written at step %d, looked up at step %d: %+v %v", i, j+1, found, err)
			}
			if shown, err := other.Reference(t.Context(), b); err != nil || shown != reference {
				t.Errorf("written at step %d, shown at step %d: %q %v", i, j+1, shown, err)
			}
		}
	}
}

const tenantOfTests = lodge.DefaultTenant

var smallCatalogue = []byte(`lodge: v1
experiments: {x: {}}
ui_sets: {u: {uis: []}}
policies: {p: {}}
slots: {s: {experiment: x, policy: p, ui_set: u}}
groups: {g: {policies: [p]}}
`)
