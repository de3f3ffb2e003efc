package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/internal/mail/mailtest"
)

// A postbox is a mail.Sender that keeps what it is given, or fails as it is told.
type postbox struct {
	mu      sync.Mutex
	letters []mail.Letter // guarded by mu
	fail    error         // guarded by mu
	tries   int           // guarded by mu
}

func (p *postbox) Send(_ context.Context, l mail.Letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.fail != nil {
		return p.fail
	}
	p.letters = append(p.letters, l)
	return nil
}

func (p *postbox) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *postbox) all() []mail.Letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.letters)
}

// fast has mail looked for often.
func fast(c *gateway.Config) { c.MailPoll = 5 * time.Millisecond }

// until waits for a condition under the deadline.
func (l *lab) until(what string, ok func() bool) {
	l.Helper()
	late := time.After(deadline)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-late:
			l.Fatalf("did not come: %s", what)
		case <-tick.C:
		}
	}
}

// settled waits until n letters in all were sent or dropped.
func (l *lab) settled(n int) {
	l.Helper()
	l.until("letters", func() bool {
		c := l.gateway.MailCounts()
		return int(c.Sent+c.Dropped+c.GivenUp) >= n
	})
	if c := l.gateway.MailCounts(); int(c.Sent+c.Dropped+c.GivenUp) != n {
		l.Fatalf("counted %+v, want %d in all", c, n)
	}
}

// From the browser to a real mail server over TLS: made, extended, cancelled.
func TestMailOfABooking(t *testing.T) {
	server := mailtest.Start(t, false)
	smtp, err := mail.NewSMTP(mail.SMTPConfig{
		Host: server.Host, Port: server.Port, User: mailtest.User, Roots: server.Roots, From: netmail.Address{Name: "Laboratory", Address: "lab@example.org"},
		Password: func() (string, error) { return mailtest.Password, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newLabWithMail(t, smtp, fast)
	ada := l.browser()
	ada.do("GET", "/login/dev?login_hint=ada", nil, pair{"Accept-Language", "de-CH, en;q=0.5"})
	ada.signIn("ada")
	b := ada.book("pend00-everyone")
	server.Await(1)
	call[gateway.BookingView](ada, 200, "POST", b.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 300})
	server.Await(2)
	call[gateway.BookingView](ada, 200, "DELETE", b.Links.Self, gateway.CancelRequest{Reason: "The oil is out."})
	ids := map[string]bool{}
	for i, got := range server.Await(3) {
		m, err := netmail.ReadMessage(bytes.NewReader(got.Data))
		if err != nil {
			t.Fatal(err)
		}
		ids[m.Header.Get("Message-Id")] = true
		parts := bodies(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		text, html, calendar := parts["text/plain"], parts["text/html"], parts["text/calendar"]
		if got.To != "ada@example.org" || !got.Secure || got.User != mailtest.User || !strings.Contains(text, "Ada Lovelace") || !strings.Contains(html, "Ada Lovelace") {
			t.Errorf("letter %d: %+v %s", i, got, text)
		}
		want := []string{"confirmed", "extended", "The oil is out."}[i]
		if !strings.Contains(text, want) || !strings.Contains(html, want) || !strings.Contains(text, "Pendulum 0") {
			t.Errorf("letter %d does not say %q: %s", i, want, text)
		}
		if told := strings.Contains(text, b.Reference) && strings.Contains(html, b.Reference); told != (i < 2) {
			t.Errorf("letter %d and the reference: %s", i, text)
		}
		if i < 2 && !strings.Contains(text, l.url+"/bookings/"+b.ID) {
			t.Errorf("letter %d has no link: %s", i, text)
		}
		if status := []string{"CONFIRMED", "CONFIRMED", "CANCELLED"}[i]; !strings.Contains(calendar, "STATUS:"+status) || !strings.Contains(calendar, "UID:"+b.ID) {
			t.Errorf("letter %d: calendar %s", i, calendar)
		}
	}
	if len(ids) != 3 {
		t.Errorf("message ids %v", ids)
	}
	if strings.Contains(l.log.String(), b.Reference) || strings.Contains(l.log.String(), "ada@example.org") {
		t.Error("the log tells the reference or the address")
	}
	l.settled(3)
}

// bodies are the parts of a message by media type.
func bodies(t *testing.T, contentType, encoding string, body io.Reader) map[string]string {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	if strings.HasPrefix(media, "multipart/") {
		reader := multipart.NewReader(body, params["boundary"])
		for {
			part, err := reader.NextRawPart()
			if errors.Is(err, io.EOF) {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			for media, text := range bodies(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part) {
				all[media] = text
			}
		}
	}
	if encoding == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if encoding == "base64" {
		raw = unbase64(t, raw)
	}
	all[media] = string(raw)
	return all
}

// A letter that is not taken is tried again under the same id, and one that never
// is, or too often not, is given up where an operator sees it.
func TestMailIsRetriedAndGivenUp(t *testing.T) {
	box := &postbox{}
	box.failing(errors.New("451 later"))
	l := newLabWithMail(t, box, fast)
	b := l.signedIn("ada").book("pend00-everyone")
	l.until("a first try", func() bool { return l.gateway.MailCounts().Retried == 1 })
	l.clock.pass(29 * time.Second)
	box.failing(nil)
	l.clock.pass(time.Second)
	l.settled(1)
	if got := box.all(); len(got) != 1 || !strings.HasPrefix(got[0].ID, "lodge-") {
		t.Errorf("sent %+v", got)
	}

	box.failing(errors.Join(mail.ErrRefused, errors.New("550 no such mailbox")))
	soren := l.signedIn("soren").book("pend02-everyone")
	l.settled(2)
	l.givenUp(soren)

	box.failing(errors.New("451 later"))
	last := call[gateway.BookingView](l.signedIn("soren"), 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: "pend01-physics-1", Seconds: 600})
	// Other letters of the day are tried meanwhile, too.
	tried := func() (n int) {
		for line := range strings.Lines(l.log.String()) {
			if strings.Contains(line, "mail will be tried again") && strings.Contains(line, last.ID) {
				n++
			}
		}
		return n
	}
	for n := 1; n < 12; n++ {
		l.until("one more try", func() bool { l.clock.pass(time.Minute); return tried() >= n })
	}
	l.until("that it is given up", func() bool { l.clock.pass(time.Minute); return l.recordedGivenUp(last) })
	if b.Reference == "" || strings.Contains(l.log.String(), b.Reference) {
		t.Error("the log tells a reference")
	}
}

// givenUp expects the trail to say last that mail about a booking was.
func (l *lab) givenUp(b gateway.BookingView) {
	l.Helper()
	l.until("the record of "+b.ID, func() bool { return l.recordedGivenUp(b) })
}

func (l *lab) recordedGivenUp(b gateway.BookingView) bool {
	return slices.ContainsFunc(l.entries(audit.MailGivenUp), func(e audit.Entry) bool { return e.Object == "booking:"+b.ID && e.Actor == "lodge" })
}

// Of several nodes one sends each letter.
func TestMailFromOneNode(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	for range 2 {
		l.anotherWithDesk()
	}
	ada := l.signedIn("ada")
	first := ada.book("pend00-everyone")
	call[gateway.BookingView](ada, 200, "DELETE", first.Links.Self, nil)
	l.signedIn("soren").book("pend02-everyone")
	l.until("what there is to send", func() bool {
		taken, err := l.desk.TakeMails(t.Context(), 9, 0)
		return err == nil && len(taken) == 0 && len(box.all()) >= 2
	})
	ids := map[string]bool{}
	for _, letter := range box.all() {
		ids[letter.ID] = true
	}
	if len(ids) != len(box.all()) {
		t.Errorf("%d letters under %d ids", len(box.all()), len(ids))
	}
}

// A node that stops finishes the letter that is under way and leaves the others to
// those that go on: none is lost, none sent twice.
func TestMailOfANodeThatStops(t *testing.T) {
	box := &slowPostbox{begun: make(chan struct{}, 1), proceed: make(chan struct{})}
	l := newLabWithMail(t, box, func(c *gateway.Config) { c.MailPoll = time.Hour })
	ada := l.signedIn("ada")
	ada.book("pend00-everyone")
	cfg := l.cfg
	cfg.MailPoll = 5 * time.Millisecond
	parts := l.parts
	parts.Topics, parts.Desk = l.newTopics(), l.newDesk()
	node, err := gateway.New(cfg, parts)
	l.must(err)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- node.Run(ctx) }()
	select {
	case <-box.begun:
	case <-time.After(deadline):
		t.Fatal("no letter was begun")
	}
	stop()
	box.proceed <- struct{}{}
	l.must(<-stopped)
	if got := box.all(); len(got) != 1 || node.MailCounts().Sent != 1 {
		t.Errorf("sent %d letters, counted %+v", len(got), node.MailCounts())
	}
	left, err := l.desk.TakeMails(t.Context(), 9, time.Minute)
	if err != nil || len(left) != 0 {
		t.Errorf("left to send are %+v, %v", left, err)
	}
}

// A slowPostbox keeps each letter only when it is told to proceed.
type slowPostbox struct {
	postbox
	begun, proceed chan struct{}
}

func (p *slowPostbox) Send(ctx context.Context, l mail.Letter) error {
	p.begun <- struct{}{}
	select {
	case <-p.proceed:
		return p.postbox.Send(ctx, l)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSec21: an address is where mail goes, if its issuer vouches for it, and never
// who somebody is.
func TestSec21_MailOnlyWhereAnIssuerVouches(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	ada := l.signedIn("ada")
	view := call[gateway.MailView](ada, 200, "GET", "/api/v1/me/mail", nil)
	if want := (gateway.MailView{Sends: true, Address: "ada@example.org", Bookings: true, Reminders: true}); view != want {
		t.Errorf("%+v, want %+v", view, want)
	}
	// Another account that claims the address, without its issuer's word for it.
	other, err := l.persons.SignedIn(t.Context(), lodge.DefaultTenant, idp.Identity{Issuer: "dev", Subject: "eve", Name: "Eve", Email: "ada@example.org"})
	l.must(err)
	if got, err := l.persons.Mailbox(t.Context(), lodge.DefaultTenant, other.ID); err != nil || got.Address != "" {
		t.Errorf("mailbox %+v %v", got, err)
	}
	if string(other.ID) == ada.me().Person {
		t.Error("an address made two people one")
	}
}

// People choose; who opened a booking by its reference sees no more of the address
// than its owner needs to know it by.
func TestMailIsChosen(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	ada := l.signedIn("ada")
	yes, no := true, false
	b := ada.book("pend00-everyone")
	l.settled(1)
	visitor := l.lookUp(b)
	if view := call[gateway.MailView](visitor, 200, "GET", "/api/v1/me/mail", nil); view.Address != "a…@example.org" {
		t.Errorf("shown to a visitor: %+v", view)
	}
	ada.refused(400, "PUT", "/api/v1/me/mail", map[string]any{"bookings": false})
	view := call[gateway.MailView](ada, 200, "PUT", "/api/v1/me/mail", gateway.MailChoice{Bookings: &no, Reminders: &yes})
	if view.Bookings || !view.Reminders {
		t.Errorf("chosen: %+v", view)
	}
	call[gateway.BookingView](ada, 200, "DELETE", b.Links.Self, nil)
	l.settled(2)
	if got := box.all(); len(got) != 1 {
		t.Errorf("written to who wants no mail: %+v", got[1:])
	}
	if got := ada.do("POST", "/mail", url.Values{"get": {"bookings"}}); got.status != 303 || got.header.Get("Location") != "/mail?done=mail" {
		t.Errorf("the page: %d %s", got.status, got.header.Get("Location"))
	}
	if view = call[gateway.MailView](ada, 200, "GET", "/api/v1/me/mail", nil); !view.Bookings || view.Reminders {
		t.Errorf("chosen on the page: %+v", view)
	}
	if page := ada.do("GET", "/mail", nil); page.status != 200 || !strings.Contains(string(page.body), "ada@example.org") {
		t.Errorf("page: %d", page.status)
	}
	if got := call[gateway.Export](ada, 200, "GET", "/api/v1/me/export", nil).Mail; got.Address != "ada@example.org" || !got.Bookings || got.Reminders {
		t.Errorf("exported: %+v", got)
	}
	if page := l.browser().do("GET", "/mail", nil); page.status != 303 {
		t.Errorf("page for nobody: %d", page.status)
	}
}

// A guest is written to where their instructor says.
func TestMailToAGuest(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	grace := l.signedIn("grace")
	req := gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300, OnBehalf: &gateway.OnBehalf{Name: "Guest", Surname: "Guest", Email: "a@b.c, d@e.f"}}
	grace.refused(422, "POST", "/api/v1/bookings", req)
	req.OnBehalf.Email = "guest@example.org"
	b := call[gateway.BookingView](grace, 201, "POST", "/api/v1/bookings", req)
	l.until("the letter", func() bool {
		if l.gateway.MailCounts().Retried > 0 { // the guest was not written down when it was taken
			l.clock.pass(31 * time.Second)
		}
		return len(box.all()) == 1
	})
	if got := box.all()[0]; got.To != "guest@example.org" || !strings.Contains(got.Text, b.Reference) || !strings.Contains(got.Text, l.url+"/lookup") || strings.Contains(got.Text, "/bookings/") {
		t.Errorf("letter %+v", got)
	}
}

// In the language of the last sign-in, which is the browser's.
func TestMailInTheReadersLanguage(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	ada := l.signedIn("ada")
	address := "/login/dev?login_hint=ada"
	for range 3 { // to the issuer, back, and home
		got := ada.do("GET", address, nil, pair{"Accept-Language", "fr, de-CH;q=0.9, en;q=0.5"})
		if got.status != 303 {
			t.Fatalf("GET %s: %d", address, got.status)
		}
		address = got.header.Get("Location")
	}
	ada.book("pend00-everyone")
	l.until("the letter", func() bool { return len(box.all()) == 1 })
	if got := box.all()[0]; got.Language != "de" || !strings.HasPrefix(got.Subject, "Gebucht: ") || !strings.Contains(got.Text, "Ihre Buchung ist bestätigt.") {
		t.Errorf("letter %+v", got)
	}
}

// Reminders: one message and one letter a day before and a quarter of an hour
// before, on however many nodes; none to who wants none.
func TestReminders(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, fast)
	l.another()
	ada := l.signedIn("ada")
	soren := l.signedIn("soren")
	yes, no := true, false
	call[gateway.MailView](soren, 200, "PUT", "/api/v1/me/mail", gateway.MailChoice{Bookings: &yes, Reminders: &no})
	start := l.clock.Now().Add(2 * time.Hour)
	book := func(b *browser, slot string) gateway.BookingView {
		return call[gateway.BookingView](b, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: slot, Start: start, Seconds: 600})
	}
	one, other := book(ada, "pend01-physics-1"), book(soren, "pend00-physics-1")
	l.until("both confirmations", func() bool { return len(box.all()) == 2 })
	l.clock.pass(2*time.Hour - 15*time.Minute)
	visitors := map[string]*browser{one.ID: l.lookUp(one), other.ID: l.lookUp(other)}
	reminders := func(booking gateway.BookingView) int {
		got := visitors[booking.ID].do("GET", "/api/v1/messages?topic=booking:"+booking.ID, nil)
		return strings.Count(string(got.body), `"reminder"`)
	}
	l.until("the reminder", func() bool { return reminders(one) == 1 && len(box.all()) == 3 })
	if got := box.all()[2]; got.To != "ada@example.org" || !strings.HasPrefix(got.Subject, "Reminder: ") {
		t.Errorf("letter %+v", got)
	}
	l.until("that nothing is left", func() bool {
		taken, err := l.desk.TakeMails(t.Context(), 9, time.Minute)
		return err == nil && len(taken) == 0
	})
	if n := reminders(other); n != 0 {
		t.Errorf("%d reminders to who wants none", n)
	}
	if n := reminders(one); n != 1 {
		t.Errorf("%d reminders", n)
	}
}

// key is the secret of a mailed link.
var key = regexp.MustCompile(`/lookup/link\?key=(lodge_link_[A-Za-z0-9_-]+)`)

// Where no mail is sent, nothing is promised.
func TestNoMailWithoutAServer(t *testing.T) {
	l := newLab(t)
	b := l.signedIn("ada").book("pend00-everyone")
	l.browser().refused(422, "POST", lookupPath+"/link", gateway.LookupRequest{Surname: "Lovelace", Reference: b.Reference})
	if got := l.browser().do("GET", "/lookup/link", nil); got.status != 303 {
		t.Errorf("a link without a key: %d", got.status)
	}
	if view := call[gateway.MailView](l.lookUp(b), 200, "GET", "/api/v1/me/mail", nil); view.Sends {
		t.Errorf("%+v", view)
	}
	if c := l.gateway.MailCounts(); c != (gateway.MailCounts{}) {
		t.Errorf("counted %+v", c)
	}
}

func unbase64(t *testing.T, raw []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
