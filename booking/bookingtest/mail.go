package bookingtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// A mail is one node's alone until it is given back, and comes back as it was.
func testMails(t *testing.T, l *lab) {
	first := booking.Mail{ID: "m1", Tenant: tenant, Kind: booking.MailCancelled, Booking: "b1", Reason: "oil; ☃", At: noon}
	offer := booking.Mail{
		ID: "m2", Tenant: "other", Kind: booking.MailOffer, Person: "ada", Pool: "pendulums",
		Free: booking.Interval{Start: at(10), End: at(20)}, Until: at(5), At: noon.Add(time.Second),
	}
	must(t, l.update(func(tx booking.Tx) error {
		again := first
		again.Reason = "another one of that id"
		return errors.Join(tx.PutMail(offer), tx.PutMail(first), tx.PutMail(again))
	}))
	due := func(now time.Time, limit int) (list []booking.Mail) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) { list, err = tx.DueMails(now, limit); return err }))
		return list
	}
	if got := due(noon.Add(-time.Second), 9); len(got) != 0 {
		t.Errorf("due before they were queued: %+v", got)
	}
	if got := due(at(1), 9); !slices.Equal(got, []booking.Mail{first, offer}) {
		t.Errorf("due %+v", got)
	}
	if got := due(at(1), 1); !slices.Equal(got, []booking.Mail{first}) {
		t.Errorf("the first that is due: %+v", got)
	}
	take := func(id, node string, now, until time.Time) (ours bool) {
		t.Helper()
		must(t, l.update(func(tx booking.Tx) (err error) { ours, err = tx.TakeMail(tenant, id, node, now, until); return err }))
		return ours
	}
	if take("m2", "a", at(1), at(2)) || take("m0", "a", at(1), at(2)) {
		t.Error("took another tenant's mail, or none")
	}
	if !take("m1", "a", at(1), at(3)) || take("m1", "b", at(2), at(9)) || take("m1", "a", at(2), at(9)) {
		t.Error("it is not one node's for the time it was taken for")
	}
	if got := due(at(2), 9); !slices.Equal(got, []booking.Mail{offer}) {
		t.Errorf("due beside what is taken: %+v", got)
	}
	if !take("m1", "b", at(3), at(5)) {
		t.Error("what was not given back in time belongs to nobody")
	}
	must(t, l.update(func(tx booking.Tx) error { // the node that was late changes nothing
		return errors.Join(tx.PostponeMail(tenant, "m1", "a", at(1)), tx.DropMail(tenant, "m1", "a"))
	}))
	must(t, l.update(func(tx booking.Tx) error { return tx.PostponeMail(tenant, "m1", "b", at(4)) }))
	first.Tries = 2
	if got := due(at(4), 9); !slices.Equal(got, []booking.Mail{offer, first}) {
		t.Errorf("after it was given back: %+v", got)
	}
	if !take("m1", "b", at(4), at(5)) {
		t.Error("cannot be taken again")
	}
	must(t, l.update(func(tx booking.Tx) error { return tx.DropMail(tenant, "m1", "b") }))
	if got := due(at(9), 9); !slices.Equal(got, []booking.Mail{offer}) {
		t.Errorf("after it was dropped: %+v", got)
	}
}

// Each change of a booking queues one mail with it, in one step; a desk that
// sends no mail queues none.
func testMailFollowsBookings(t *testing.T, l *lab) {
	quiet, _ := l.book(course("curie", at(300), 10*time.Minute))
	l.opts.Mail = true
	l.renew()
	b, _ := l.book(ask("ada"))
	_, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute)
	must(t, err)
	l.clock.move(time.Second)
	_, err = l.desk.Cancel(t.Context(), tenant, b.ID, "oil")
	must(t, err)
	_, err = l.desk.Cancel(t.Context(), tenant, b.ID, "oil") // again: nothing
	must(t, err)
	_, _, err = l.desk.Book(t.Context(), booking.Request{Tenant: tenant, Person: "ada", Surname: "A", Slot: "none", Length: time.Minute})
	wantCode(t, err, lodge.CodeNotFound)
	must(t, l.update(func(tx booking.Tx) error {
		return l.desk.MailOffer(tx, booking.Offer{ID: "o1", Tenant: tenant, Person: "ada", Pool: "pendulums", Free: booking.Interval{Start: at(1), End: at(2)}})
	}))

	mails, err := l.desk.TakeMails(t.Context(), 9, time.Minute)
	must(t, err)
	var kinds []string
	for _, m := range mails {
		kinds = append(kinds, string(m.Kind))
		if m.Kind != booking.MailOffer && m.Booking != b.ID || m.Booking == quiet.ID || m.Tries != 1 || m.ID == "" {
			t.Errorf("queued %+v", m)
		}
		if m.Kind == booking.MailCancelled && m.Reason != "oil" {
			t.Errorf("cancelled without its reason: %+v", m)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"booked", "cancelled", "extended", "offer"}) {
		t.Errorf("queued %v", kinds)
	}
	if again, err := l.desk.TakeMails(t.Context(), 9, time.Minute); err != nil || len(again) != 0 {
		t.Errorf("taken twice: %+v %v", again, err)
	}
	must(t, l.desk.PostponeMail(t.Context(), mails[0], time.Hour))
	must(t, l.desk.MailSent(t.Context(), mails[1]))
	l.clock.move(time.Hour)
	again, err := l.desk.TakeMails(t.Context(), 9, time.Minute)
	if err != nil || len(again) != 3 || slices.ContainsFunc(again, func(m booking.Mail) bool { return m.ID == mails[1].ID || m.Tries != 2 }) {
		t.Errorf("an hour later: %+v %v", again, err)
	}
}

// Of several desks at once, one gets each mail.
func testMailsAmongNodes(t *testing.T, l *lab) {
	const mails = 60
	l.opts.Mail = true
	must(t, l.update(func(tx booking.Tx) error {
		for i := range mails {
			if err := tx.PutMail(booking.Mail{ID: string(rune('a' + i)), Tenant: tenant, Kind: booking.MailLink, At: noon}); err != nil {
				return err
			}
		}
		return nil
	}))
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 3 {
		l.renew()
		desk := l.desk
		wg.Go(func() {
			for range mails {
				list, err := desk.TakeMails(context.Background(), 7, time.Hour)
				if err != nil {
					t.Error(err)
				}
				taken.Add(int32(len(list)))
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != mails {
		t.Errorf("%d mails were taken %d times", mails, n)
	}
}

// Owners are reminded once, whichever node comes first, and never of what has
// begun, was cancelled, or was booked at shorter notice.
func testReminders(t *testing.T, l *lab) {
	l.opts.Mail, l.opts.Reminders = true, []time.Duration{24 * time.Hour, 15 * time.Minute, 15 * time.Minute}
	l.renew()
	l.book(ask("soren")) // at once: no reminder
	b, _ := l.book(course("ada", noon.Add(20*time.Hour), 10*time.Minute))
	gone, _ := l.book(course("curie", noon.Add(21*time.Hour), 10*time.Minute))
	_, err := l.desk.Cancel(t.Context(), tenant, gone.ID, "")
	must(t, err)
	late, _ := l.book(course("curie", noon.Add(23*time.Hour), 10*time.Minute))
	missed, _ := l.book(course("curie", noon.Add(22*time.Hour), 10*time.Minute))

	due := func() (list []booking.DueReminder) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) { list, err = tx.DueReminders(l.clock.Now(), 9); return err }))
		return list
	}
	l.clock.move(20*time.Hour - 15*time.Minute - time.Second)
	if got := due(); len(got) != 0 {
		t.Errorf("due too early: %v", got)
	}
	l.clock.move(time.Second)
	if got := due(); !slices.Equal(got, []booking.DueReminder{{Tenant: tenant, Booking: b.ID}}) {
		t.Errorf("due: %v", got)
	}
	reminders := func() int {
		n := 0
		for _, kind := range l.effects.kinds() {
			if kind == booking.EffectReminder {
				n++
			}
		}
		return n
	}
	nodes := func() (stop func()) {
		var stops []func()
		for range 3 {
			l.renew()
			stops = append(stops, l.run())
		}
		return func() {
			for _, stop := range stops {
				stop()
			}
		}
	}
	stop := nodes()
	await(t, "the reminder", func() bool { return reminders() > 0 })
	stop()
	// Of a booking that is under way by now none is made; of one with two due, one.
	must(t, l.update(func(tx booking.Tx) error {
		return tx.SetReminders(tenant, late.ID, []time.Time{noon.Add(time.Hour), noon.Add(22 * time.Hour), noon.Add(23 * time.Hour)})
	}))
	l.clock.move(2*time.Hour + 30*time.Minute)
	stop = nodes()
	await(t, "the other reminders", func() bool { return reminders() > 1 && len(due()) == 0 })
	stop()
	if n := reminders(); n != 2 {
		t.Errorf("%d reminders", n)
	}
	for _, e := range l.effects.done {
		if e.Kind == booking.EffectReminder && e.Booking.ID == missed.ID {
			t.Error("reminded of what has begun")
		}
	}
	mails, err := l.desk.TakeMails(t.Context(), 99, time.Minute)
	must(t, err)
	var of []string
	for _, m := range mails {
		if m.Kind == booking.MailReminder {
			of = append(of, m.Booking)
		}
	}
	if want := []string{b.ID, late.ID}; !slices.Equal(of, want) {
		t.Errorf("mail reminds of %v, want %v", of, want)
	}
}

// A policy's own reminders are instead of the installation's.
func testPolicyReminders(t *testing.T, l *lab) {
	l.opts.Reminders = []time.Duration{time.Hour}
	l.renew()
	c, err := l.desk.Catalogue(t.Context(), tenant)
	must(t, err)
	other := *c
	other.Policies = map[string]booking.Policy{}
	for name, p := range c.Policies {
		p.Reminders = &[]booking.Duration{booking.Duration(30 * time.Minute)}
		other.Policies[name] = p
	}
	must(t, l.desk.Apply(t.Context(), "other", other))
	for _, tn := range []lodge.Tenant{tenant, "other"} {
		req := course("ada", at(120), 10*time.Minute)
		req.Tenant = tn
		l.book(req)
	}
	l.clock.move(time.Hour)
	var due []booking.DueReminder
	must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) { due, err = tx.DueReminders(l.clock.Now(), 9); return err }))
	if len(due) != 1 || due[0].Tenant != tenant {
		t.Errorf("an hour before: %v", due)
	}
}

// A link opens its booking once and for half an hour; what is stored opens
// nothing.
func testLinks(t *testing.T, l *lab) {
	b, reference := l.book(ask("ada"))
	wantCode(t, l.desk.RequestLink(t.Context(), tenant, b.Surname, reference, "192.0.2.1"), lodge.CodeRefused)
	l.opts.Mail = true
	l.renew()
	ctx := t.Context()
	wantCode(t, l.desk.RequestLink(ctx, tenant, b.Surname, "AEIOUY", "192.0.2.1"), lodge.CodeRefused)
	wantCode(t, l.desk.RequestLink(ctx, tenant, "!", reference, "192.0.2.1"), lodge.CodeRefused)
	must(t, l.desk.RequestLink(ctx, tenant, "obriain", reference, "192.0.2.1"))
	must(t, l.desk.RequestLink(ctx, tenant, "Nobody", reference, "192.0.2.1"))
	mails, err := l.desk.TakeMails(ctx, 9, time.Minute)
	must(t, err)
	var of []string
	for _, m := range mails {
		of = append(of, m.Booking)
		if m.Kind != booking.MailLink || !m.Until.Equal(noon.Add(booking.LinkLife)) {
			t.Errorf("queued %+v", m)
		}
	}
	slices.Sort(of)
	if !slices.Equal(of, []string{"", b.ID}) {
		t.Errorf("links for %q", of)
	}

	until := noon.Add(booking.LinkLife)
	one, err := l.desk.NewLink(ctx, tenant, b.ID, until)
	must(t, err)
	two, err := l.desk.NewLink(ctx, tenant, b.ID, until)
	must(t, err)
	if one == two || !strings.HasPrefix(one, "lodge_link_") || len(one) < 43 {
		t.Errorf("links %q and %q", one, two)
	}
	_, err = l.desk.OpenLink(ctx, "other", one)
	wantCode(t, err, lodge.CodeNotFound)
	hash := sha256.Sum256([]byte(one))
	for _, wrong := range []string{"", "lodge_link_", string(hash[:]), strings.TrimPrefix(one, "lodge_link_"), one + "A"} {
		_, err = l.desk.OpenLink(ctx, tenant, wrong)
		wantCode(t, err, lodge.CodeNotFound)
	}
	if got, err := l.desk.OpenLink(ctx, tenant, one); err != nil || got.ID != b.ID {
		t.Errorf("opened %+v %v", got, err)
	}
	_, err = l.desk.OpenLink(ctx, tenant, one)
	wantCode(t, err, lodge.CodeNotFound)
	l.clock.move(booking.LinkLife)
	_, err = l.desk.OpenLink(ctx, tenant, two)
	wantCode(t, err, lodge.CodeNotFound)
	must(t, l.update(func(tx booking.Tx) error { return tx.ForgetLinks(l.clock.Now()) }))
}

// Guesses at who gets a link are limited by address and overall, never by
// surname, and one booking's owner gets few, whatever is answered.
func testSec33LinkLimits(t *testing.T, l *lab) {
	l.opts.Mail, l.opts.Lookup.Links, l.opts.Lookup.Overall = true, booking.Rate{Burst: 5, Every: time.Minute}, booking.Rate{Burst: 9, Every: time.Minute}
	l.renew()
	b, reference := l.book(ask("ada"))
	booked, err := l.desk.TakeMails(t.Context(), 9, time.Hour)
	must(t, err)
	if len(booked) != 1 {
		t.Fatalf("queued %+v", booked)
	}
	limited := func(surname, address string) bool {
		t.Helper()
		err := l.desk.RequestLink(t.Context(), tenant, surname, reference, address)
		if err != nil {
			wantCode(t, err, lodge.CodeTooMany)
		}
		return err != nil
	}
	for i := range 5 {
		if limited(b.Surname, "192.0.2.1") {
			t.Fatalf("limited at the %dth", i+1)
		}
	}
	if !limited(b.Surname, "192.0.2.1") || !limited("Nobody", "192.0.2.1") {
		t.Error("no limit of one address, for a hit or a miss")
	}
	for range 4 {
		if limited("Nobody", "192.0.2.2") {
			t.Error("another address is limited too")
		}
	}
	if !limited("Nobody", "192.0.2.3") {
		t.Error("no limit overall")
	}
	mails, err := l.desk.TakeMails(t.Context(), 99, time.Minute)
	must(t, err)
	hits := 0
	for _, m := range mails {
		if m.Booking != "" {
			hits++
		}
	}
	if len(mails) != 9 || hits != 3 {
		t.Errorf("%d mails, %d of them to the owner", len(mails), hits)
	}
}
