package bookingtest

import (
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (l *lab) share(id string) booking.Share {
	l.t.Helper()
	s, err := l.desk.ShareFor(l.t.Context(), tenant, id)
	must(l.t, err)
	return s
}

func partners(s booking.Share) []string {
	var out []string
	for _, p := range s.Partners {
		out = append(out, string(p.Person))
	}
	return out
}

func member(person string) booking.Member {
	return booking.Member{Person: lodge.PersonID(person), Name: "Name of " + person}
}

func nobodyAway(lodge.PersonID) bool { return false }

// testShare: a code lets others in until it is replaced, and nobody twice.
func testShare(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	if s := l.share(b.ID); s.Partners != nil || s.Controller(b.Owner) != "ada" {
		t.Errorf("unshared: %+v", s)
	}
	code, err := l.desk.NewShareCode(t.Context(), tenant, b.ID)
	must(t, err)
	for range 2 {
		got, err := l.desk.JoinShare(t.Context(), tenant, code, member("soren"))
		must(t, err)
		if got.ID != b.ID {
			t.Errorf("joined %q", got.ID)
		}
	}
	must(t, errOf(l.desk.JoinShare(t.Context(), tenant, code, member("ada"))))
	must(t, l.desk.AddPartner(t.Context(), tenant, b.ID, member("grace")))
	if s := l.share(b.ID); !slices.Equal(partners(s), []string{"soren", "grace"}) || s.Partners[0].Name != "Name of soren" || !s.Partners[0].Since.Equal(noon) {
		t.Errorf("shared: %+v", s)
	}
	other, err := l.desk.NewShareCode(t.Context(), tenant, b.ID)
	must(t, err)
	for _, bad := range []string{code, "lodge_share_x", "", other + "x"} {
		_, err := l.desk.JoinShare(t.Context(), tenant, bad, member("linus"))
		wantCode(t, err, lodge.CodeNotFound)
	}
	_, err = l.desk.JoinShare(t.Context(), "elsewhere", other, member("linus"))
	wantCode(t, err, lodge.CodeNotFound)
	must(t, l.desk.EndShareCode(t.Context(), tenant, b.ID))
	_, err = l.desk.JoinShare(t.Context(), tenant, other, member("linus"))
	wantCode(t, err, lodge.CodeNotFound)
	for range 2 {
		must(t, l.desk.RemovePartner(t.Context(), tenant, b.ID, "soren"))
	}
	if s := l.share(b.ID); !slices.Equal(partners(s), []string{"grace"}) {
		t.Errorf("left: %+v", s)
	}
	want := []booking.EffectKind{booking.EffectBooked, booking.EffectControl, booking.EffectControl, booking.EffectControl}
	if kinds := l.effects.kinds(); !slices.Equal(kinds, want) {
		t.Errorf("effects %v", kinds)
	}
}

// testShareEnds: a booking that is over is shared with nobody new, and is still
// found by those it was shared with.
func testShareEnds(t *testing.T, l *lab) {
	l.opts.MaxPartners = 1
	l.renew()
	b, _ := l.book(ask("ada"))
	code, err := l.desk.NewShareCode(t.Context(), tenant, b.ID)
	must(t, err)
	must(t, errOf(l.desk.JoinShare(t.Context(), tenant, code, member("soren"))))
	_, err = l.desk.JoinShare(t.Context(), tenant, code, member("linus"))
	if d := wantCode(t, err, lodge.CodeRefused); d["rule"] != "partners" {
		t.Errorf("one too many: %v", d)
	}
	shared := func(want ...string) {
		t.Helper()
		list, err := l.desk.SharedWith(t.Context(), tenant, "soren", "ada")
		must(t, err)
		var ids []string
		for _, b := range list {
			ids = append(ids, b.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("shared with soren: %v, want %v", ids, want)
		}
	}
	shared() // whoever is soren is ada too
	if list, err := l.desk.SharedWith(t.Context(), tenant, "soren"); err != nil || len(list) != 1 || list[0].State != booking.Booked {
		t.Errorf("shared with soren: %+v %v", list, err)
	}
	heard := func(owner lodge.PersonID, ids ...lodge.PersonID) {
		t.Helper()
		if list, err := l.desk.Heard(t.Context(), tenant, owner, ids...); err != nil || len(list) != 1 || list[0].ID != b.ID || list[0].State != booking.Booked {
			t.Errorf("heard by %s: %+v %v", owner, list, err)
		}
	}
	heard("ada", "ada")
	heard("ada", "ada", "soren")
	heard("soren", "soren")
	must(t, errOf(l.desk.Cancel(t.Context(), tenant, b.ID, "")))
	_, err = l.desk.JoinShare(t.Context(), tenant, code, member("soren"))
	wantCode(t, err, lodge.CodeNotFound)
	wantCode(t, l.desk.AddPartner(t.Context(), tenant, b.ID, member("grace")), lodge.CodeConflict)
	_, err = l.desk.TakeControl(t.Context(), tenant, b.ID, "ada", nobodyAway)
	wantCode(t, err, lodge.CodeConflict)
	l.clock.move(30 * 24 * time.Hour)
	if list, err := l.desk.SharedWith(t.Context(), tenant, "soren"); err != nil || len(list) != 0 {
		t.Errorf("long over: %+v %v", list, err)
	}
}

// testControl: one person has control, and it changes hands only as it may.
func testControl(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	for _, p := range []string{"soren", "grace"} {
		must(t, l.desk.AddPartner(t.Context(), tenant, b.ID, member(p)))
	}
	holds := func(want string) {
		t.Helper()
		if got := l.share(b.ID).Controller(b.Owner); string(got) != want {
			t.Errorf("%q has control, want %q", got, want)
		}
	}
	take := func(who string, away func(lodge.PersonID) bool) error {
		_, err := l.desk.TakeControl(t.Context(), tenant, b.ID, lodge.PersonID(who), away)
		return err
	}
	give := func(from, to string) error {
		_, err := l.desk.GiveControl(t.Context(), tenant, b.ID, lodge.PersonID(from), lodge.PersonID(to))
		return err
	}
	holds("ada")
	wantCode(t, take("soren", nobodyAway), lodge.CodeConflict)
	wantCode(t, give("soren", "soren"), lodge.CodeConflict)
	wantCode(t, give("ada", "linus"), lodge.CodeNotFound)
	l.clock.move(time.Second)
	for range 2 {
		s, err := l.desk.AskControl(t.Context(), tenant, b.ID, "soren")
		must(t, err)
		if p, _ := s.Partner("soren"); !p.Asked.Equal(noon.Add(time.Second)) {
			t.Errorf("asked: %+v", p)
		}
	}
	must(t, give("ada", "soren"))
	holds("soren")
	if p, _ := l.share(b.ID).Partner("soren"); !p.Asked.IsZero() {
		t.Errorf("asks still: %+v", p)
	}
	must(t, give("soren", "grace"))
	holds("grace")
	must(t, take("soren", func(holder lodge.PersonID) bool { return holder == "grace" }))
	holds("soren")
	must(t, take("ada", nobodyAway))
	holds("ada")
	must(t, give("ada", "grace"))
	must(t, l.desk.RemovePartner(t.Context(), tenant, b.ID, "grace"))
	holds("ada")
	var changes []string
	l.effects.mu.Lock()
	for _, e := range l.effects.done {
		if e.Kind == booking.EffectControl {
			changes = append(changes, e.Reason)
		}
	}
	l.effects.mu.Unlock()
	if want := []string{"joined", "joined", "asked", "given", "given", "taken", "taken", "given", "left"}; !slices.Equal(changes, want) {
		t.Errorf("changes %v", changes)
	}
}

// testShareOfOne: two people who turn out to be one are one partner, and nothing
// is left of one who is erased.
func testShareOfOne(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	for _, p := range []string{"soren", "other"} {
		must(t, l.desk.AddPartner(t.Context(), tenant, b.ID, member(p)))
	}
	must(t, shareErr(l.desk.GiveControl(t.Context(), tenant, b.ID, "ada", "other")))
	_, err := l.desk.Reassign(t.Context(), tenant, map[lodge.PersonID]lodge.PersonID{"other": "soren"})
	must(t, err)
	if s := l.share(b.ID); !slices.Equal(partners(s), []string{"soren"}) || s.Controller(b.Owner) != "soren" {
		t.Errorf("as one: %+v", s)
	}
	_, err = l.desk.Anonymise(t.Context(), tenant, "soren", "other")
	must(t, err)
	if s := l.share(b.ID); len(s.Partners) != 0 || s.Holder != "" {
		t.Errorf("erased: %+v", s)
	}
}

func shareErr(_ booking.Share, err error) error { return err }
