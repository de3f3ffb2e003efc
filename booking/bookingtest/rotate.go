package bookingtest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// testRotate: the new reference finds the booking, the old one nothing.
func testRotate(t *testing.T, l *lab) {
	b, old := l.book(ask("soren"))
	got, reference, err := l.desk.Rotate(t.Context(), tenant, b.ID)
	must(t, err)
	if reference == old || len(reference) != len(old) || got.Version != b.Version+1 || got.ID != b.ID {
		t.Errorf("rotated to %q: %+v", reference, got)
	}
	_, err = l.lookup("obriain", old, "192.0.2.1")
	wantCode(t, err, lodge.CodeNotFound)
	for _, surname := range []string{"obriain", "Briain"} {
		if found, err := l.lookup(surname, reference, "192.0.2.1"); err != nil || found != got {
			t.Errorf("found %+v %v, want %+v", found, err, got)
		}
	}
	if shown, err := l.desk.Reference(t.Context(), got); err != nil || shown != reference {
		t.Errorf("shown %q %v", shown, err)
	}
	if kinds := l.effects.kinds(); !slices.Equal(kinds, []booking.EffectKind{booking.EffectBooked, booking.EffectRotated}) {
		t.Errorf("effects %v", kinds)
	}
	l.clock.move(5*time.Minute + 7*24*time.Hour)
	_, _, err = l.desk.Rotate(t.Context(), tenant, b.ID)
	wantCode(t, err, lodge.CodeConflict)
	_, _, err = l.desk.Rotate(t.Context(), tenant, "nothing")
	wantCode(t, err, lodge.CodeNotFound)
}

// testPepperRotation: desks that write under the old keys and under the new ones
// work side by side, as while a fleet restarts; each finds and shows what the
// other wrote.
func testPepperRotation(t *testing.T, l *lab) {
	fresh := booking.Keys{PepperID: "fresh", Pepper: bytes.Repeat([]byte{3}, 32), Seal: bytes.Repeat([]byte{4}, 32)}
	before, after := keys, fresh
	before.Others, after.Others = []booking.Keys{fresh}, []booking.Keys{keys}
	desk := func(k booking.Keys) *booking.Desk {
		d, err := booking.NewDesk(l.store, k, l.clock, l.opts)
		must(t, err)
		return d
	}
	accepting, writing := desk(before), desk(after)
	for i, d := range []*booking.Desk{l.desk, accepting, writing} {
		req := ask("soren")
		req.Start, req.Key = at(10*i), "key-"+string(rune('a'+i))
		if i == 2 {
			req.Person = "ada"
		}
		b, reference, err := d.Book(t.Context(), req)
		must(t, err)
		for j, other := range []*booking.Desk{accepting, writing} {
			if found, err := other.Lookup(t.Context(), tenant, "o briain", reference, "192.0.2.1"); err != nil || found.ID != b.ID {
				t.Errorf("written by %d, looked up by %d: %+v %v", i, j, found, err)
			}
			if shown, err := other.Reference(t.Context(), b); err != nil || shown != reference {
				t.Errorf("written by %d, shown by %d: %q %v", i, j, shown, err)
			}
			if again, same, err := other.Book(t.Context(), req); err != nil || again.ID != b.ID || same != reference {
				t.Errorf("written by %d, asked again of %d: %+v %q %v", i, j, again, same, err)
			}
		}
		moved, rotated, err := writing.Rotate(t.Context(), tenant, b.ID)
		must(t, err)
		if found, err := accepting.Lookup(t.Context(), tenant, "o briain", rotated, "192.0.2.1"); err != nil || found.ID != moved.ID {
			t.Errorf("rotated: %+v %v", found, err)
		}
	}
	// A desk without the old keys finds nothing that is under them, and says no more.
	alone := desk(fresh)
	old := ask("linus")
	old.Start = at(40)
	_, reference, err := l.desk.Book(t.Context(), old)
	must(t, err)
	_, err = alone.Lookup(t.Context(), tenant, "o briain", reference, "192.0.2.1")
	wantCode(t, err, lodge.CodeNotFound)
}

// testLongReferences: an installation that wants longer references still finds
// the short ones.
func testLongReferences(t *testing.T, l *lab) {
	_, short := l.book(ask("ada"))
	l.opts.ReferenceLength = booking.LongReferenceLength
	l.renew()
	req := ask("soren")
	req.Start = at(20)
	_, long := l.book(req)
	if len(short) != 6 || len(long) != 8 {
		t.Errorf("references %q and %q", short, long)
	}
	for _, reference := range []string{short, long, long[:4] + "-" + long[4:]} {
		if _, err := l.lookup("Ó Briain", reference, "192.0.2.1"); err != nil {
			t.Errorf("%q: %v", reference, err)
		}
	}
	l.opts.ReferenceLength = 7
	if _, err := booking.NewDesk(l.store, keys, l.clock, l.opts); err == nil {
		t.Error("a desk takes references of 7 characters")
	}
}
