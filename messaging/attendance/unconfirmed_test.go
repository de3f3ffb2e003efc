package attendance

import (
	"testing"

	"github.com/lodge-gateway/lodge"
)

// One tap is asked for where it would be taken: in a register of the person's own
// that is open, has begun, needs no code, and was not confirmed.
func TestUnconfirmedCountsWhereATapIsTaken(t *testing.T) {
	o := newOffice(t, newLog(t))
	want := func(what string, person string, n int) {
		t.Helper()
		if got, err := o.Unconfirmed(o.ctx, "t", lodge.PersonID(person)); err != nil || got != n {
			t.Fatalf("%s: %d for %s (%v), want %d", what, got, person, err, n)
		}
	}
	want("with no register", "ada", 0)
	first := o.open(draft())
	room := draft()
	room.Room = true
	o.open(room)
	later := draft()
	later.Start, later.End = at(60), at(120)
	o.open(later)
	want("of three", "ada", 1)
	want("of a stranger", "linus", 0)
	if _, err := o.Confirm(o.ctx, "t", first.ID, Coming{Person: "ada", Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	want("after the tap", "ada", 0)
	want("after another's tap", "soren", 1)
	o.clock.set(60)
	want("when the next begins", "ada", 1)
	if _, err := o.Close(o.ctx, "t", first.ID, "grace"); err != nil {
		t.Fatal(err)
	}
	want("after closing", "soren", 1)
}
