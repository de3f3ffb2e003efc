package bookingtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// wish asks for a place on the list for a pendulum.
func wish(person string) booking.WaitRequest {
	return booking.WaitRequest{
		Tenant: tenant, Person: lodge.PersonID(person), Groups: []string{"everyone"}, Group: "everyone", Pool: "pendulums",
		Until: at(30), Length: 5 * time.Minute,
	}
}

// fill takes all pendulums for ten minutes from a minute on.
func (l *lab) fill(from int) (pend00, pend02 booking.Booking) {
	l.t.Helper()
	one, two := ask(fmt.Sprint("x", from)), ask(fmt.Sprint("y", from))
	one.Start, one.Length, two.Start, two.Length, two.Slot = at(from), 10*time.Minute, at(from), 10*time.Minute, "pend02-everyone"
	pend00, _ = l.book(one)
	pend02, _ = l.book(two)
	return pend00, pend02
}

// offers returns whom something was offered to, and what, in order.
func (e *effects) offers() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, eff := range e.done {
		if eff.Kind == booking.EffectFreed {
			w := eff.Wait
			out = append(out, fmt.Sprintf("%s %s %v-%v", w.Person, w.Offer.Slot, w.Offer.Start.Sub(noon), w.Offer.End.Sub(noon)))
		}
	}
	return out
}

func (l *lab) offered(want ...string) {
	l.t.Helper()
	await(l.t, fmt.Sprint("offers ", want), func() bool { return len(l.effects.offers()) >= len(want) })
	if got := l.effects.offers(); !slices.Equal(got, want) {
		l.t.Errorf("offered %q, want %q", got, want)
	}
}

func testWaitsStore(t *testing.T, l *lab) {
	wait := func(id, person, slot, pool string, since, due int) booking.Wait {
		return booking.Wait{
			ID: id, Tenant: tenant, Person: lodge.PersonID(person), Group: "g", Slot: slot, Pool: pool, Within: span(0, 60),
			Length: 90 * time.Second, Since: at(since), DueAt: at(due),
		}
	}
	told := wait("b", "q", "s", "", 2, 10)
	told.Offer, told.ToldAt, told.TurnUntil = booking.Opening{Interval: span(5, 6), Slot: "s"}, at(3), at(13)
	all := []booking.Wait{wait("a", "p", "s", "", 3, 20), told, wait("c", "p", "", "s", 1, 30)}
	must(t, l.update(func(tx booking.Tx) error {
		for _, w := range all {
			if err := tx.PutWait(w); err != nil {
				return err
			}
		}
		return nil
	}))
	ids := func(list []booking.Wait) string {
		s := ""
		for _, w := range list {
			s += w.ID
		}
		return s
	}
	view := func(what, want string, read func(tx booking.Tx) (string, error)) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			got, err := read(tx)
			if got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			return err
		}))
	}
	due := func(m, limit int) func(tx booking.Tx) (string, error) {
		return func(tx booking.Tx) (string, error) {
			list, err := tx.DueWaits(at(m), limit)
			slices.SortFunc(list, func(a, b booking.Subject) int { return strings.Compare(a.Name, b.Name) })
			return fmt.Sprint(list), err
		}
	}
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		for _, want := range all {
			if got, err := tx.Wait(tenant, want.ID); err != nil || got != want {
				t.Errorf("stored %+v %v, want %+v", got, err, want)
			}
		}
		_, err := tx.Wait("other", "a")
		wantIs(t, err, booking.ErrUnknown)
		return nil
	}))
	view("of p", "ca", func(tx booking.Tx) (string, error) { w, err := tx.WaitsOf(tenant, "p"); return ids(w), err })
	view("for the slot", "ba", func(tx booking.Tx) (string, error) {
		w, err := tx.WaitsFor(tenant, "slot:s", 9)
		return ids(w), err
	})
	view("the first for it", "b", func(tx booking.Tx) (string, error) {
		w, err := tx.WaitsFor(tenant, "slot:s", 1)
		return ids(w), err
	})
	view("for the pool", "c", func(tx booking.Tx) (string, error) {
		w, err := tx.WaitsFor(tenant, "pool:s", 9)
		return ids(w), err
	})
	view("due at 9", "[]", due(9, 9))
	view("due at 20", "[{default slot:s}]", due(20, 9))
	view("due at 30", "[{default pool:s} {default slot:s}]", due(30, 9))
	must(t, l.update(func(tx booking.Tx) error {
		if err := tx.StirWaits(tenant, []string{"pool:s", "none"}, at(4)); err != nil {
			return err
		}
		changed := all[0]
		changed.Length = time.Minute
		if err := tx.PutWait(changed); err != nil {
			return err
		}
		return tx.DropWait(tenant, "b")
	}))
	view("stirred", "[{default pool:s}]", due(9, 9))
	view("for the slot, after one left", "a", func(tx booking.Tx) (string, error) {
		w, err := tx.WaitsFor(tenant, "slot:s", 9)
		return ids(w), err
	})
	must(t, l.update(func(tx booking.Tx) error { return tx.StirWaits(tenant, nil, at(1)) }))
	view("all stirred", "[{default pool:s} {default slot:s}]", due(1, 9))
	must(t, l.update(func(tx booking.Tx) error { _, err := tx.Anonymise(tenant, "p"); return err }))
	view("after p is erased", "[]", due(99, 9))
}

// testWaitIsTold: of everything that may free an experiment.
func testWaitIsTold(t *testing.T, l *lab) {
	defer l.run()()
	for i, free := range []func(a, b booking.Booking) error{
		func(a, _ booking.Booking) error { return errOf(l.desk.Cancel(t.Context(), tenant, a.ID, "")) },
		func(_, b booking.Booking) error { return errOf(l.desk.Cancel(t.Context(), tenant, b.ID, "")) },
		func(a, _ booking.Booking) error { // ends early
			l.clock.move(time.Minute)
			return errOf(l.desk.Cancel(t.Context(), tenant, a.ID, ""))
		},
	} {
		from := int(l.clock.Now().Sub(noon).Minutes())
		a, b := l.fill(from)
		req := wish(fmt.Sprint("p", i))
		req.Until = at(from + 9)
		w, err := l.desk.Join(t.Context(), req)
		must(t, err)
		if w.Place != 1 || w.Within.End != at(from+9) {
			t.Errorf("waits %+v", w)
		}
		must(t, free(a, b))
		await(t, "somebody is told", func() bool { return len(l.effects.offers()) == i+1 })
		l.clock.move(30 * time.Minute)
	}
	if got, want := l.effects.offers(), []string{
		"p0 pend00-everyone 0s-5m0s", "p1 pend02-everyone 30m0s-35m0s", "p2 pend00-everyone 1h1m0s-1h6m0s",
	}; !slices.Equal(got, want) {
		t.Errorf("offered %q, want %q", got, want)
	}

	// An experiment that comes back, and what is free already.
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "", ""))
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", false, "", ""))
	req := wish("p3")
	req.Until = time.Time{}
	must(t, waitErr(l.desk.Join(t.Context(), req)))
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", true, "", ""))
	await(t, "somebody is told", func() bool { return len(l.effects.offers()) == 4 })
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", true, "", ""))
	req.Person, req.Pool, req.Slot = "p4", "", "pend00-everyone"
	must(t, waitErr(l.desk.Join(t.Context(), req)))
	await(t, "somebody is told", func() bool { return len(l.effects.offers()) == 5 })
}

func waitErr(_ booking.Wait, err error) error { return err }

// testWaitingInOrder: who waits longest is told first, and what one was told
// nobody else is until their turn is over.
func testWaitingInOrder(t *testing.T, l *lab) {
	a, _ := l.fill(0)
	for i, person := range []string{"p0", "p1", "p2"} {
		req := wish(person)
		req.Until = at(15) // room for one at a time on each
		w, err := l.desk.Join(t.Context(), req)
		must(t, err)
		again, err := l.desk.Join(t.Context(), req)
		if err != nil || w.Place != i+1 || again.ID != w.ID || again.Since != w.Since {
			t.Errorf("joined %+v and again %+v %v", w, again, err)
		}
		l.clock.move(time.Second)
	}
	defer l.run()()
	l.offered("p0 pend00-everyone 10m0s-15m0s", "p1 pend02-everyone 10m0s-15m0s")
	must(t, errOf(l.desk.Cancel(t.Context(), tenant, a.ID, "")))
	l.offered("p0 pend00-everyone 10m0s-15m0s", "p1 pend02-everyone 10m0s-15m0s", "p2 pend00-everyone 3s-5m3s")
	req := ask("p1")
	req.Slot, req.Start = "pend02-everyone", at(10)
	l.book(req)
	if mine, err := l.desk.Waiting(t.Context(), tenant, "p1"); err != nil || len(mine) != 0 {
		t.Errorf("who has booked waits still: %+v %v", mine, err)
	}
	mine, err := l.desk.Waiting(t.Context(), tenant, "p2")
	if err != nil || len(mine) != 1 || mine[0].Place != 2 || !mine[0].Told(l.clock.Now()) {
		t.Errorf("p2 waits: %+v %v", mine, err)
	}
	// What p0 lets pass is p3's, and p0 is off the list.
	last := wish("p3")
	last.From, last.Until = at(10), at(16)
	must(t, waitErr(l.desk.Join(t.Context(), last)))
	l.clock.move(10 * time.Minute)
	l.offered("p0 pend00-everyone 10m0s-15m0s", "p1 pend02-everyone 10m0s-15m0s", "p2 pend00-everyone 3s-5m3s", "p3 pend00-everyone 10m3s-15m3s")
	if mine, err := l.desk.Waiting(t.Context(), tenant, "p0"); err != nil || len(mine) != 0 {
		t.Errorf("who let it pass waits still: %+v %v", mine, err)
	}
}

// testWaitsEnd: with their time, and when their person leaves.
func testWaitsEnd(t *testing.T, l *lab) {
	l.fill(0)
	short := wish("p0")
	short.Until = at(9)
	w, err := l.desk.Join(t.Context(), short)
	must(t, err)
	short.Person = "p1"
	other, err := l.desk.Join(t.Context(), short)
	must(t, err)
	wantCode(t, l.desk.Leave(t.Context(), tenant, "p0", other.ID), lodge.CodeNotFound)
	must(t, l.desk.Leave(t.Context(), tenant, "p0", w.ID))
	must(t, l.desk.Leave(t.Context(), tenant, "p0", w.ID))
	mine, err := l.desk.Waiting(t.Context(), tenant, "p1")
	if err != nil || len(mine) != 1 || mine[0].Place != 1 {
		t.Errorf("who is left: %+v %v", mine, err)
	}
	l.reopen() // a list is kept
	l.clock.move(9 * time.Minute)
	if mine, err := l.desk.Waiting(t.Context(), tenant, "p1"); err != nil || len(mine) != 0 {
		t.Errorf("after its end: %+v %v", mine, err)
	}
	defer l.run()()
	await(t, "what is over is removed", func() bool {
		var left []booking.Wait
		must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) {
			left, err = tx.WaitsFor(tenant, "pool:pendulums", 9)
			return err
		}))
		return len(left) == 0
	})
	if got := l.effects.offers(); len(got) != 0 {
		t.Errorf("offered %q", got)
	}
}

func testWaitRefusals(t *testing.T, l *lab) {
	for name, c := range map[string]struct {
		change func(*booking.WaitRequest)
		code   lodge.Code
		rule   string
	}{
		"not a member":     {func(r *booking.WaitRequest) { r.Groups = nil }, lodge.CodeForbidden, "group"},
		"not the group's":  {func(r *booking.WaitRequest) { r.Pool, r.Slot = "", "pend01-physics-1" }, lodge.CodeForbidden, "group"},
		"unknown pool":     {func(r *booking.WaitRequest) { r.Pool = "no" }, lodge.CodeNotFound, ""},
		"slot and pool":    {func(r *booking.WaitRequest) { r.Slot = "pend00-everyone" }, lodge.CodeInvalid, ""},
		"nobody":           {func(r *booking.WaitRequest) { r.Person = "" }, lodge.CodeInvalid, ""},
		"no length":        {func(r *booking.WaitRequest) { r.Length = 0 }, lodge.CodeRefused, "interval"},
		"over already":     {func(r *booking.WaitRequest) { r.Until = at(-1) }, lodge.CodeRefused, "interval"},
		"too short":        {func(r *booking.WaitRequest) { r.Until = at(4) }, lodge.CodeRefused, "interval"},
		"too long a wait":  {func(r *booking.WaitRequest) { r.Until = noon.AddDate(0, 2, 0) }, lodge.CodeRefused, "max_wait"},
		"end of the world": {func(r *booking.WaitRequest) { r.Until = time.Date(290000, 1, 1, 0, 0, 0, 0, time.UTC) }, lodge.CodeRefused, "max_wait"},
	} {
		req := wish("ada")
		c.change(&req)
		_, err := l.desk.Join(t.Context(), req)
		if lodge.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rule, _ := wantCode(t, err, c.code)["rule"].(string); rule != c.rule {
			t.Errorf("%s: refused by %q, want %q", name, rule, c.rule)
		}
	}
	must(t, l.update(func(tx booking.Tx) error {
		for i := range 20 {
			if err := tx.PutWait(booking.Wait{ID: fmt.Sprint(i), Tenant: tenant, Person: "ada", Slot: fmt.Sprint(i), Within: span(0, 30), Since: noon, DueAt: at(30)}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := l.desk.Join(t.Context(), wish("ada"))
	if d := wantCode(t, err, lodge.CodeRefused); d["rule"] != "max_waits" {
		t.Errorf("one too many: %v", d)
	}
}

// testWaitAnotherWasFaster: who was told and finds it taken keeps their place.
func testWaitAnotherWasFaster(t *testing.T, l *lab) {
	defer l.run()()
	a, _ := l.fill(0)
	req := wish("p0")
	req.Until = at(9)
	must(t, waitErr(l.desk.Join(t.Context(), req)))
	must(t, errOf(l.desk.Cancel(t.Context(), tenant, a.ID, "")))
	l.offered("p0 pend00-everyone 0s-5m0s")
	quick := ask("quick")
	quick.Length = 10 * time.Minute
	taken, _ := l.book(quick)
	must(t, errOf(l.desk.Cancel(t.Context(), tenant, taken.ID, "")))
	stillTheirs := func() bool {
		mine, err := l.desk.Waiting(t.Context(), tenant, "p0")
		return err == nil && len(mine) == 1 && mine[0].Place == 1
	}
	if !stillTheirs() {
		t.Error("the place is lost")
	}
	taken, _ = l.book(quick)
	must(t, l.update(func(tx booking.Tx) error { return tx.StirWaits(tenant, nil, l.clock.Now()) }))
	await(t, "the offer is withdrawn", func() bool {
		mine, err := l.desk.Waiting(t.Context(), tenant, "p0")
		return err == nil && len(mine) == 1 && mine[0].ToldAt.IsZero()
	})
	must(t, errOf(l.desk.Cancel(t.Context(), tenant, taken.ID, "")))
	l.offered("p0 pend00-everyone 0s-5m0s", "p0 pend00-everyone 0s-5m0s")
}
