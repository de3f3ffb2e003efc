package gateway_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

func TestSurvey(t *testing.T) {
	l := newLab(t)
	ada, soren, grace, linus := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace"), l.signedIn("linus")
	for name, req := range map[string]gateway.SurveyRequest{
		"no questions":     {To: "all", Title: "S"},
		"no title":         {To: "all", Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}}},
		"one option":       {To: "all", Title: "S", Questions: []gateway.QuestionView{{Kind: "single", Text: "?", Options: []string{"a"}}}},
		"no such kind":     {To: "all", Title: "S", Questions: []gateway.QuestionView{{Kind: "essay", Text: "?"}}},
		"a scale to 1000":  {To: "all", Title: "S", Questions: []gateway.QuestionView{{Kind: "scale", Text: "?", Max: 1000}}},
		"an unknown group": {To: "group:nothing", Title: "S", Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}}},
	} {
		if p := grace.refused(422, "POST", "/api/v1/surveys", req); p.Code != "refused" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	ada.refused(403, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "all", Title: "S"})

	s := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
		To: "group:physics-1", Title: "Today", Questions: []gateway.QuestionView{
			{ID: "one", Kind: "single", Text: "Which?", Options: []string{"this", "that"}, Required: true},
			{ID: "many", Kind: "multiple", Text: "Which ones?", Options: []string{"a", "b", "c"}},
			{ID: "how", Kind: "scale", Text: "How?", Max: 5},
			{ID: "why", Kind: "text", Text: "Why?"},
		},
	})
	at := "/api/v1/surveys/" + s.ID
	answers := func(a map[string]gateway.Answer) gateway.AnswerRequest { return gateway.AnswerRequest{Answers: a} }
	good := map[string]gateway.Answer{"one": {Options: []int{1}}, "many": {Options: []int{0, 2}}, "how": {Number: 4}, "why": {Text: "=HYPERLINK(1)"}}
	for name, bad := range map[string]map[string]gateway.Answer{
		"nothing": {}, "without the required one": {"how": {Number: 1}}, "no such question": {"one": {Options: []int{0}}, "x": {Text: "x"}},
		"no such option": {"one": {Options: []int{7}}}, "two of one": {"one": {Options: []int{0, 1}}}, "off the scale": {"one": {Options: []int{0}}, "how": {Number: 9}},
	} {
		if p := ada.refused(422, "POST", at+"/answers", answers(bad)); p.Code != "refused" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	linus.refused(404, "POST", at+"/answers", answers(good))
	linus.refused(404, "GET", at, nil)
	linus.refused(404, "GET", at+"/results", nil)
	ada.refused(403, "GET", at+"/results", nil)
	ada.refused(403, "GET", at+".csv", nil)
	ada.refused(403, "POST", at+"/close", nil)
	for range 2 { // again is not twice
		if got := call[gateway.SurveyView](ada, 200, "POST", at+"/answers", answers(good)); got.Mine["how"].Number != 4 || got.Answered != 0 {
			t.Errorf("%+v", got)
		}
	}
	if got := call[gateway.SurveyView](soren, 200, "GET", at, nil); got.Mine != nil {
		t.Errorf("Søren sees %+v", got.Mine)
	}
	call[gateway.SurveyView](soren, 200, "POST", at+"/answers", answers(map[string]gateway.Answer{"one": {Options: []int{0}}}))
	tally := call[gateway.TallyView](grace, 200, "GET", at+"/results", nil)
	if tally.Answered != 2 || tally.Counts["one"][0] != 1 || tally.Counts["one"][1] != 1 || tally.Counts["how"][3] != 1 || len(tally.Texts["why"]) != 1 {
		t.Errorf("%+v", tally)
	}
	if got := call[gateway.SurveyView](grace, 200, "POST", at+"/close", nil); got.Open || got.Answered != 2 {
		t.Errorf("%+v", got)
	}
	ada.refused(409, "POST", at+"/answers", answers(map[string]gateway.Answer{"one": {Options: []int{0}}}))
	csv := grace.do("GET", at+".csv", nil)
	if !strings.Contains(string(csv.body), "Ada Lovelace") || strings.Contains(string(csv.body), ",=HYPERLINK") || !strings.HasPrefix(csv.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v\n%s", csv.header, csv.body)
	}
	if got := call[struct{ Surveys []gateway.SurveyView }](ada, 200, "GET", "/api/v1/surveys", nil); len(got.Surveys) != 1 || got.Surveys[0].Open {
		t.Errorf("%+v", got)
	}
	if got := call[struct{ Surveys []gateway.SurveyView }](linus, 200, "GET", "/api/v1/surveys", nil); len(got.Surveys) != 0 {
		t.Errorf("Linus is asked %+v", got)
	}
	grace.refused(404, "GET", "/api/v1/surveys/nothing", nil)
}

// What an instructor asks the users of an experiment is not its technician's to
// read.
func TestSurveyOfAnExperiment(t *testing.T) {
	l := newLab(t)
	grace, linus := l.signedIn("grace"), l.signedIn("linus")
	ask := func(b *browser) string {
		return "/api/v1/surveys/" + call[gateway.SurveyView](b, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
			To: "experiment:pend00", Title: "S", Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}},
		}).ID
	}
	hers, his := ask(grace), ask(linus)
	linus.refused(403, "GET", hers+"/results", nil)
	call[gateway.TallyView](linus, 200, "GET", his+"/results", nil)
	call[gateway.TallyView](grace, 200, "GET", his+"/results", nil)
}

// Presence in an experiment is attendance; being reachable is not.
func TestRegister(t *testing.T) {
	l := newLab(t)
	ada, soren, grace, linus := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace"), l.signedIn("linus")
	conn := ada.stream(ada.launch(ada.book("pend00-everyone")), "data")
	wstest.Eventually(t, "her stay has begun", func() bool { return l.gateway.Held()["stays"] == 1 })
	soren.messages().caughtUp()
	l.clock.pass(2 * time.Minute)

	for name, req := range map[string]gateway.RegisterRequest{
		"no title": {Group: "physics-1"}, "no group": {Title: "R"}, "an unknown group": {Title: "R", Group: "nothing"},
		"inverted":                   {Title: "R", Group: "physics-1", Start: l.clock.Now(), End: l.clock.Now().Add(-time.Hour)},
		"a week long":                {Title: "R", Group: "physics-1", Start: l.clock.Now(), End: l.clock.Now().Add(7 * 24 * time.Hour)},
		"at the end of the calendar": {Title: "R", Group: "physics-1", Start: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		if p := grace.refused(422, "POST", "/api/v1/registers", req); p.Code != "refused" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	r := call[gateway.RegisterView](grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "This hour", Group: "physics-1"})
	at := "/api/v1/registers/" + r.ID
	mark := func(b *browser, who string) gateway.MarkView {
		t.Helper()
		for _, m := range call[gateway.RegisterView](b, 200, "GET", at, nil).Marks {
			if m.Name == who {
				return m
			}
		}
		return gateway.MarkView{}
	}
	if m := mark(grace, "Ada Lovelace"); m.State != "present" || m.Source != "experiment" || m.Confirmed || m.Seconds != 120 {
		t.Errorf("Ada: %+v", m)
	}
	if m := mark(grace, "Søren Ó Briain"); m.State != "expected" {
		t.Errorf("Søren: %+v", m)
	}
	linus.refused(404, "GET", at, nil)
	linus.refused(404, "POST", at+"/marks", nil)
	linus.refused(404, "GET", at+".csv", nil)
	ada.refused(403, "POST", at+"/close", nil)
	ada.refused(403, "GET", at+".csv", nil)
	if got := call[gateway.RegisterView](ada, 200, "POST", at+"/marks", nil); len(got.Marks) != 1 || !got.Marks[0].Confirmed {
		t.Errorf("Ada confirms: %+v", got)
	}
	if m := mark(ada, "Søren Ó Briain"); m.Name != "" {
		t.Errorf("Ada sees Søren: %+v", m)
	}
	if got := call[struct{ Registers []gateway.RegisterView }](ada, 200, "GET", "/api/v1/registers", nil); len(got.Registers) != 1 || len(got.Registers[0].Marks) != 1 {
		t.Errorf("%+v", got)
	}
	l.must(conn.CloseNow())
	call[gateway.RegisterView](grace, 200, "POST", at+"/close", nil)
	if m := mark(grace, "Søren Ó Briain"); m.State != "absent" || m.Source != "closed" {
		t.Errorf("Søren, after closing: %+v", m)
	}
	soren.refused(409, "POST", at+"/marks", nil)
	if csv := grace.do("GET", at+".csv", nil); !strings.Contains(string(csv.body), "Ada Lovelace") {
		t.Errorf("%s", csv.body)
	}
	early := call[gateway.RegisterView](grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Later", Group: "physics-1", Start: l.clock.Now().Add(time.Hour)})
	ada.refused(422, "POST", "/api/v1/registers/"+early.ID+"/marks", nil)
	grace.refused(404, "GET", "/api/v1/registers/nothing", nil)
}

// A notice to each audience, its history and what became of it.
func TestNoticeAndReceipts(t *testing.T) {
	l := newLab(t)
	ada, grace, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("root")
	ada.book("pend00-everyone")
	socket := ada.messages()
	socket.caughtUp()
	sent := call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Title: "Note", Text: "Hello.", Priority: "important"})
	got := socket.notice("Hello.")
	if got.Topic != "group:physics-1" || got.ID != sent["id"] {
		t.Errorf("%+v for %v", got, sent)
	}
	state := func(want string) {
		t.Helper()
		wstest.Eventually(t, want, func() bool {
			r := call[gateway.ReceiptsView](grace, 200, "GET", "/api/v1/messages/"+sent["id"]+"/receipts", nil)
			for _, p := range r.People {
				if p.Name == "Ada Lovelace" {
					return p.State == want && p.Online && r.Sent == 2
				}
			}
			return false
		})
	}
	state("sent")
	socket.send(map[string]string{"type": "ack", "topic": got.Topic, "pos": got.Pos})
	state("delivered")
	socket.send(map[string]string{"type": "read", "topic": got.Topic, "pos": got.Pos})
	state("acknowledged")
	root.refused(404, "GET", "/api/v1/messages/"+sent["id"]+"/receipts", nil)
	ada.refused(404, "GET", "/api/v1/messages/"+sent["id"]+"/receipts", nil)
	for _, bad := range []gateway.MessageRequest{
		{To: "all"}, {To: "all", Text: " \n"}, {To: "all", Text: "x", Priority: "urgent"}, {Text: "x"}, {To: "user:nobody", Text: "x"},
		{To: "booking:nothing", Text: "x"}, {To: "experiment:nothing", Text: "x"}, {To: "group:", Text: "x"},
	} {
		grace.refused(422, "POST", "/api/v1/messages", bad)
	}

	type page struct {
		Messages []gateway.MessageView
		Before   string
	}
	for _, text := range []string{"one", "two", "three"} {
		l.clock.pass(time.Second)
		call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: text})
	}
	first := call[page](ada, 200, "GET", "/api/v1/messages?topic=all&limit=2", nil)
	if len(first.Messages) != 2 || first.Before == "" {
		t.Fatalf("%+v", first)
	}
	rest := call[page](ada, 200, "GET", "/api/v1/messages?topic=all&limit=2&before="+first.Before, nil)
	if len(rest.Messages) != 1 || rest.Before != "" || rest.Messages[0].Position == first.Messages[1].Position {
		t.Errorf("%+v", rest)
	}
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "topic=all&before=nonsense", "before=" + first.Before, "topic=group:physics-1&before=" + first.Before} {
		ada.refused(400, "GET", "/api/v1/messages?"+query, nil)
	}
	if p := l.browser().refused(401, "GET", "/api/v1/messages", nil); p.Code != "unauthenticated" {
		t.Errorf("%+v", p)
	}
	teach := grace.do("GET", "/teach", nil)
	if teach.status != 200 || !strings.Contains(string(teach.body), "Ada Lovelace") {
		t.Errorf("/teach: %d", teach.status)
	}
}

// Whoever sends too much waits.
func TestSendingHasARate(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 3 })
	grace := l.signedIn("grace")
	send := func() answer {
		return grace.do("POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "Hello."})
	}
	for range 3 {
		if got := send(); got.status != 202 {
			t.Fatalf("%d", got.status)
		}
	}
	if got := send(); got.status != 429 || got.header.Get("Retry-After") != "20" {
		t.Errorf("the fourth: %d %v", got.status, got.header)
	}
	form := grace.do("POST", "/teach/notices", url.Values{"to": {"all"}, "text": {"Typed at length."}})
	if form.status != 429 || !strings.Contains(string(form.body), "Typed at length.") {
		t.Errorf("the form: %d", form.status)
	}
	l.clock.pass(20 * time.Second)
	if got := send(); got.status != 202 {
		t.Errorf("later: %d", got.status)
	}
}

// The same events as server-sent ones, and what cannot be resumed.
func TestServerSentEvents(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/api/v1/messages/events", nil)
	l.must(err)
	res, err := ada.client.Do(req)
	l.must(err)
	defer func() { l.must(res.Body.Close()) }()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"lodge.caught-up"`) {
			break
		}
	}
	l.must(lines.Err())
	if got := ada.do("GET", "/api/v1/messages/events?resume=nonsense", nil); got.status != 400 {
		t.Errorf("events that resume nonsense: %d %s", got.status, got.body)
	}
	l.browser().refused(401, "GET", "/api/v1/messages/events", nil)
	if conn, status := wstest.TryDial(t, ada.client, "ws"+strings.TrimPrefix(l.url, "http")+"/api/v1/messages/ws?resume=x", http.Header{"Origin": {l.url}}); conn != nil || status != 400 {
		t.Errorf("a socket that resumes nonsense: %d", status)
	}
	cancel()
	if lines.Scan() && lines.Err() == nil {
		for lines.Scan() { // what was under way
		}
	}
}

func TestAvailabilityAndCalendar(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	free := call[gateway.AvailabilityView](ada, 200, "GET", "/api/v1/availability?group=everyone&from=2026-05-04T09:00:00Z&until=2026-05-04T10:00:00Z", nil)
	if len(free.Slots) != 2 || !free.Slots[0].Free[0].Start.Equal(booking.End) {
		t.Errorf("%+v", free)
	}
	got := ada.do("GET", booking.Links.ICS, nil)
	for _, line := range []string{
		"BEGIN:VCALENDAR", "UID:" + booking.ID + "@127.0.0.1", "DTSTART:20260504T090000Z", "DTEND:20260504T090500Z", "DTSTAMP:20260504T090000Z",
		"SUMMARY:Pendulum 0", "STATUS:CONFIRMED", "END:VEVENT", "END:VCALENDAR",
	} {
		if !strings.Contains(string(got.body), line+"\r\n") {
			t.Errorf("the calendar lacks %s:\n%s", line, got.body)
		}
	}
	if got.header.Get("Content-Type") != "text/calendar; charset=utf-8" || strings.Contains(string(got.body), booking.Reference) {
		t.Errorf("%v", got.header)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(got.body), "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
	call[gateway.BookingView](ada, 200, "DELETE", booking.Links.Self, nil)
	if got := ada.do("GET", booking.Links.ICS, nil); !strings.Contains(string(got.body), "STATUS:CANCELLED\r\n") {
		t.Errorf("%s", got.body)
	}
}

// Experiment pages come from their own host name only, and show no more than they
// hold.
func TestAssets(t *testing.T) {
	l := newLab(t)
	b := l.browser()
	got := b.do("GET", l.assets+"/assets/pendulum/", nil)
	if got.status != 200 || !strings.Contains(got.header.Get("Content-Security-Policy"), "frame-ancestors "+l.url) || len(got.header.Values("Set-Cookie")) > 0 {
		t.Errorf("a UI: %d %v", got.status, got.header)
	}
	for _, path := range []string{"/assets/", "/assets/..%2f", "/assets/pendulum/.git/config", "/assets/pendulum/../../", "/assets/nothing/", "/"} {
		if got := b.do("GET", l.assets+path, nil); got.status != 404 && got.status != 301 && got.status != 307 && got.status != 400 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	for _, host := range []string{strings.TrimPrefix(l.url, "http://"), "127.0.0.1", "evil.example"} {
		if got := b.do("GET", l.assets+"/assets/pendulum/", nil, pair{"Host", host}); got.status != 421 {
			t.Errorf("as %s: %d", host, got.status)
		}
	}
}
