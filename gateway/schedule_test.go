package gateway_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

const scheduledPath = "/api/v1/messages/scheduled"

// scheduled lists what of somebody's waits, as "text state".
func (b *browser) scheduled(headers ...pair) []string {
	b.Helper()
	var out []string
	for _, m := range call[struct{ Messages []gateway.ScheduledView }](b, 200, "GET", scheduledPath, nil, headers...).Messages {
		out = append(out, m.Text+" "+m.State)
	}
	return out
}

func (b *browser) schedules(to, text string, at time.Time, headers ...pair) gateway.Accepted {
	b.Helper()
	return call[gateway.Accepted](b, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: to, Text: text, At: at.Format(time.RFC3339)}, headers...)
}

// sentInTrail looks for what was decided when a message's time came, without a
// request and so from no address.
func (l *lab) sentInTrail(action audit.Action, who, object string) {
	l.Helper()
	wstest.Eventually(l, string(action)+" of "+object+" by "+who, func() bool {
		entries, err := l.trail.List(l.Context(), lodge.DefaultTenant, audit.Filter{Limit: 100})
		l.must(err)
		return slices.ContainsFunc(entries, func(e audit.Entry) bool {
			return e.Action == action && e.Actor == who && e.Object == object && e.Address == ""
		})
	})
}

// A message waits for its time, can be changed and taken back until then, and
// comes once.
func TestScheduledMessages(t *testing.T) {
	l := newLab(t)
	ada, grace, linus := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("linus")
	socket := ada.messages()
	socket.caughtUp()
	now := l.clock.Now()
	key := pair{"Idempotency-Key", "later"}
	later := grace.schedules("all", "in an hour", now.Add(time.Hour), key)
	if again := grace.schedules("all", "in an hour", now.Add(time.Hour), key); again != later || later.Position != "" || !later.At.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, then %+v", later, again)
	}
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "in an hour"}, key)
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "in an hour", At: now.Add(2 * time.Hour).Format(time.RFC3339)}, key)
	changed := grace.schedules("all", "to be changed", now.Add(2*time.Hour))
	taken := grace.schedules("all", "to be taken back", now.Add(time.Minute))
	if got := grace.scheduled(); !slices.Equal(got, []string{"to be taken back waiting", "in an hour waiting", "to be changed waiting"}) {
		t.Errorf("%q", got)
	}
	if got := linus.scheduled(); len(got) != 0 {
		t.Errorf("another's: %q", got)
	}
	if got := call[gateway.ScheduledView](grace, 200, "PUT", scheduledPath+"/"+changed.ID, gateway.MessageRequest{To: "group:physics-1", Text: "changed", At: "2026-05-04T11:10", Zone: "Europe/Berlin", Replies: true}); !got.At.Equal(now.Add(10*time.Minute)) || got.To != "group:physics-1" {
		t.Errorf("%+v", got)
	}
	grace.refused(422, "PUT", scheduledPath+"/"+changed.ID, gateway.MessageRequest{To: "all", Text: "no time"})
	grace.refused(422, "PUT", scheduledPath+"/"+changed.ID, gateway.MessageRequest{To: "all", Text: "past", At: now.Format(time.RFC3339)})
	linus.refused(404, "DELETE", scheduledPath+"/"+taken.ID, nil)
	linus.refused(403, "PUT", scheduledPath+"/"+taken.ID, gateway.MessageRequest{To: "all", Text: "x", At: now.Add(time.Hour).Format(time.RFC3339)})
	if got := grace.do("DELETE", scheduledPath+"/"+taken.ID, nil); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
	grace.refused(404, "DELETE", scheduledPath+"/"+taken.ID, nil)
	grace.refused(409, "GET", "/api/v1/messages/"+later.ID+"/receipts", nil)

	l.clock.pass(20 * time.Minute)
	if got := socket.notice("changed"); got.ID != changed.ID || got.Topic != "group:physics-1" {
		t.Errorf("%+v", got)
	}
	l.sentInTrail(audit.Send, "person:"+grace.me().Person, "group:physics-1")
	wstest.Eventually(t, "one waits still", func() bool { return slices.Equal(grace.scheduled(), []string{"in an hour waiting"}) })
	grace.refused(409, "DELETE", scheduledPath+"/"+changed.ID, nil)
	grace.refused(409, "PUT", scheduledPath+"/"+changed.ID, gateway.MessageRequest{To: "all", Text: "x", At: l.clock.Now().Add(time.Hour).Format(time.RFC3339)})
	if r := call[gateway.ReceiptsView](grace, 200, "GET", "/api/v1/messages/"+changed.ID+"/receipts", nil); r.Sent != 2 {
		t.Errorf("%+v", r)
	}
	if page := string(grace.do("GET", "/teach", nil).body); !strings.Contains(page, "in an hour") || strings.Count(page, `data-id="`+changed.ID+`"`) != 1 {
		t.Error("/teach does not show what waits, or what was sent")
	}
	if got := strings.Count(strings.Join(ada.texts(""), " "), "changed"); got != 1 {
		t.Errorf("it came %d times", got)
	}
	if got := ada.texts("?topic=all"); len(got) != 0 {
		t.Errorf("sent early, or taken back in vain: %q", got)
	}
}

// When its time comes, a message is looked at again: its sender's rights, and whom
// it is for.
func TestScheduledMessagesAreLookedAtAgain(t *testing.T) {
	l := newLab(t)
	ada, grace, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("root")
	service := l.service(lodge.DefaultTenant, []string{"messages:send"}, []string{"all"})
	now := l.clock.Now()
	visitor, code := l.browser(), authorization(service.Code)
	visitor.schedules("all", "of a service", now.Add(time.Minute), code)
	grace.schedules("all", "of somebody barred", now.Add(time.Minute))
	root.schedules("all", "of root", now.Add(time.Minute))
	barred := grace.me().Person
	if got := visitor.scheduled(code); !slices.Equal(got, []string{"of a service waiting"}) {
		t.Errorf("%q", got)
	}
	l.must(l.gateway.RevokeCode(t.Context(), lodge.DefaultTenant, service.Session.ID, "over"))
	if got := root.do("PUT", "/api/v1/admin/persons/"+barred+"/disabled", gateway.DisableRequest{Disabled: true}); got.status > 299 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	l.clock.pass(2 * time.Minute)
	wstest.Eventually(t, "root's is sent", func() bool { return slices.Equal(ada.texts("?topic=all"), []string{"of root"}) })
	l.sentInTrail(audit.Deny, "service:"+service.Session.ID, "all")
	l.sentInTrail(audit.Deny, "person:"+barred, "all")
}

// A form schedules, with its zone; one that is refused keeps what was typed.
func TestSchedulingByForm(t *testing.T) {
	l := newLab(t)
	grace := l.signedIn("grace")
	form := url.Values{"to": {"all"}, "text": {"From a form."}, "priority": {"info"}, "at": {"2026-05-04T12:00"}, "expires": {"2026-05-04T13:00"}, "zone": {"Europe/Berlin"}, "key": {"k"}}
	for range 2 {
		if got := grace.do("POST", "/teach/notices", form); got.status != 303 || got.header.Get("Location") != "/teach?done=scheduled" {
			t.Fatalf("%d %v %s", got.status, got.header, got.body)
		}
	}
	waiting := call[struct{ Messages []gateway.ScheduledView }](grace, 200, "GET", scheduledPath, nil).Messages
	if len(waiting) != 1 || !waiting[0].At.Equal(time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) || !waiting[0].Expires.Equal(time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v", waiting)
	}
	page := "/teach/notices/" + waiting[0].ID
	if got := grace.do("GET", page, nil); got.status != 200 || !strings.Contains(string(got.body), "2026-05-04T10:00") || !strings.Contains(string(got.body), "From a form.") {
		t.Errorf("%d %s", got.status, got.body)
	}
	form.Set("at", "2026-05-04T01:00")
	form.Set("text", "Typed anew.")
	if got := grace.do("POST", page, form); got.status != 422 || !strings.Contains(string(got.body), "Typed anew.") {
		t.Errorf("%d", got.status)
	}
	form.Set("at", "2026-05-04T12:30")
	if got := grace.do("POST", page, form); got.status != 303 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := grace.scheduled(); !slices.Equal(got, []string{"Typed anew. waiting"}) {
		t.Errorf("%q", got)
	}
	if got := grace.do("POST", page+"/cancel", nil); got.status != 303 {
		t.Errorf("%d", got.status)
	}
	if got := grace.do("POST", page+"/cancel", nil); got.status != 404 {
		t.Errorf("%d", got.status)
	}
	if got := grace.do("GET", page, nil); got.status != 404 || len(grace.scheduled()) != 0 {
		t.Errorf("%d", got.status)
	}
}

// So many may wait, and scheduling counts as sending.
func TestSchedulingIsBounded(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 201 })
	grace := l.signedIn("grace")
	for i := range 200 {
		grace.schedules("all", fmt.Sprint(i), l.clock.Now().Add(time.Hour))
	}
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "x", At: l.clock.Now().Add(time.Hour).Format(time.RFC3339)})
	if got := grace.do("POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "x", At: l.clock.Now().Add(time.Hour).Format(time.RFC3339)}); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}
