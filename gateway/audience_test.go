package gateway_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
)

// Where more people are than a page lists, any of them is looked for and chosen,
// without scripts too, and what was typed and chosen stays.
func TestAnybodyCanBeFoundAndReached(t *testing.T) {
	l := newLab(t)
	grace := l.signedIn("grace")
	for i := range 120 {
		_, err := l.persons.Guest(t.Context(), lodge.DefaultTenant, lodge.PersonID(fmt.Sprintf("guest-%03d", i)), fmt.Sprintf("Guest Number%03d", i), fmt.Sprintf("Number%03d", i))
		l.must(err)
	}
	_, err := l.persons.Guest(t.Context(), lodge.DefaultTenant, "guest-last", "Živa Übermuth", "Žžž")
	l.must(err)
	const last = `value="user:guest-last"`
	listed := grace.page(200, "/teach")
	if strings.Contains(listed, last) || !strings.Contains(listed, `name="find"`) || strings.Count(listed, `value="user:`) != 100 {
		t.Fatalf("/teach lists %d people:\n%s", strings.Count(listed, `value="user:`), listed)
	}

	found := call[gateway.AudiencesView](grace, 200, "GET", "/api/v1/messages/audiences?q=ubermuth", nil)
	if len(found.Audiences) != 1 || found.Audiences[0] != (gateway.AudienceView{To: "user:guest-last", Name: "Živa Übermuth", Reach: 1}) || found.More {
		t.Errorf("found %+v", found)
	}
	if all := call[gateway.AudiencesView](grace, 200, "GET", "/api/v1/messages/audiences", nil); !all.More || all.Audiences[0].To != "all" || all.Audiences[0].Reach < 125 {
		t.Errorf("of all: %v, %+v", all.More, all.Audiences[0])
	}
	l.signedIn("ada").refused(403, "GET", "/api/v1/messages/audiences?q=ubermuth", nil)

	// The forms of a page without scripts: nothing is sent, and nothing typed is lost.
	type form struct {
		path  string
		more  url.Values
		holds []string
	}
	draft := grace.do("POST", "/teach/surveys", url.Values{"from": {""}, "to": {"all"}}).header.Get("Location")
	rev := between(t, grace.page(200, draft), `name="rev" value="`, `"`)
	for _, f := range []form{
		{"/teach/notices", url.Values{"title": {"Half a title"}, "text": {"half a thought"}}, []string{"Half a title", "half a thought"}},
		{"/teach/surveys", url.Values{"do": {"open"}}, []string{`data-testid="ask-now"`}},
		{draft, url.Values{"rev": {rev}, "title": {"Half a survey"}, "q-0-id": {"q1"}, "q-0-text": {"Half a question"}, "q-0-kind": {"text"}}, []string{"Half a survey", "Half a question"}},
		{"/teach/handins", url.Values{"title": {"Half a hand-in"}, "points": {"x"}}, []string{"Half a hand-in", `value="x"`}},
	} {
		f.more.Set("to", "all")
		f.more.Set("narrow", "yes")
		f.more.Set("find", "Ubermuth")
		page := grace.posted(200, f.path, f.more)
		for _, want := range append(f.holds, last, `value="Ubermuth"`, "(1 person)") {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q:\n%s", f.path, want, page)
			}
		}
		if strings.Contains(page, `<option value="all"`) {
			t.Errorf("%s: everybody is still offered, and chosen", f.path)
		}
		f.more.Set("find", "nobody at all")
		if page := grace.posted(200, f.path, f.more); !strings.Contains(page, `data-testid="to-none"`) || !strings.Contains(page, `<option value="all"`) {
			t.Errorf("%s: nobody found:\n%s", f.path, page)
		}
	}
	if page := grace.page(200, "/teach"); strings.Contains(page, "half a thought") {
		t.Error("looking for somebody sent the message")
	}

	// Who was chosen stays chosen where they are not listed.
	page := grace.posted(422, "/teach/notices", url.Values{"to": {"user:guest-last"}, "text": {""}})
	if !strings.Contains(page, last+` data-reach="1" selected`) {
		t.Errorf("after a mistake somebody else is chosen:\n%s", page)
	}
	if got := grace.do("POST", "/teach/notices", url.Values{"to": {"user:guest-last"}, "text": {"Found you."}, "key": {"k1"}}); got.status != 303 {
		t.Errorf("sent: %d %s", got.status, got.body)
	}
}

// posted sends a form and returns the page that comes back.
func (b *browser) posted(status int, path string, form url.Values) string {
	b.Helper()
	got := b.do("POST", path, form)
	if got.status != status {
		b.Fatalf("POST %s: %d, want %d\n%s", path, got.status, status, got.body)
	}
	return string(got.body)
}

// between is what stands between two texts.
func between(t *testing.T, page, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, before)
	value, _, closed := strings.Cut(rest, after)
	if !found || !closed {
		t.Fatalf("%q is not in\n%s", before, page)
	}
	return value
}
