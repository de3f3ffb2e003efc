package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// two are ada and soren, who turn out to be one, with what each has left behind.
type two struct {
	*lab
	ada, soren, grace, root *browser
	from, into              string // soren's id and ada's
	survey, register        string // addresses
}

func newTwo(t *testing.T) *two {
	l := newLab(t)
	w := &two{lab: l, ada: l.signedIn("ada"), soren: l.signedIn("soren"), grace: l.signedIn("grace"), root: l.signedIn("root")}
	w.from, w.into = w.soren.me().Person, w.ada.me().Person
	w.survey = "/api/v1/surveys/" + call[gateway.SurveyView](w.grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
		To: "group:physics-1", Title: "Today", Questions: []gateway.QuestionView{{ID: "q", Kind: "scale", Text: "How?", Max: 5}},
	}).ID
	w.register = "/api/v1/registers/" + call[gateway.RegisterView](w.grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Monday", Group: "physics-1"}).ID
	return w
}

func (w *two) answer(b *browser, n int) {
	w.Helper()
	w.clock.pass(time.Minute)
	call[gateway.SurveyView](b, 200, "POST", w.survey+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Number: n}}})
}

func (w *two) merge(from, into string) gateway.MergePreview {
	w.Helper()
	at := "/api/v1/admin/persons/" + from + "/merge"
	preview := call[gateway.MergePreview](w.root, 200, "GET", at+"?into="+into, nil)
	call[gateway.PersonView](w.root, 200, "POST", at, gateway.MergeRequest{Into: into, Version: preview.Version})
	return preview
}

// wantCounts expects how often each number was answered, as the instructor sees
// it, and the states of the register's marks, by name.
func (w *two) wantCounts(counts [5]int, marks map[string]string) {
	w.Helper()
	got := call[gateway.TallyView](w.grace, 200, "GET", w.survey+"/results", nil)
	if [5]int(got.Counts["q"]) != counts {
		w.Errorf("the tally is %v, want %v", got.Counts["q"], counts)
	}
	register := call[gateway.RegisterView](w.grace, 200, "GET", w.register, nil)
	if len(register.Marks) != len(marks) {
		w.Errorf("marks %+v, want %v", register.Marks, marks)
	}
	for _, m := range register.Marks {
		if marks[m.Person] != m.State {
			w.Errorf("%s is %s, want %s", m.Name, m.State, marks[m.Person])
		}
	}
}

func (b *browser) bookingIDs() string {
	b.Helper()
	var ids []string
	for _, one := range call[struct{ Bookings []gateway.BookingView }](b, 200, "GET", "/api/v1/bookings", nil).Bookings {
		ids = append(ids, one.ID)
	}
	return strings.Join(ids, " ")
}

func TestMergeAndUnmerge(t *testing.T) {
	w := newTwo(t)
	good := w.hosted()
	his, hers := w.soren.book("pend00-everyone"), w.ada.book("pend02-everyone")
	reached := w.lookUp(his)
	w.answer(w.soren, 2)
	w.answer(w.ada, 4)
	call[gateway.RegisterView](w.soren, 200, "POST", w.register+"/marks", nil)
	w.wantCounts([5]int{0, 1, 0, 1, 0}, map[string]string{w.from: "present", w.into: "expected"})
	notice := call[map[string]string](w.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "user:" + w.from, Text: "for Søren"})
	stream := &socket{t, w.soren.stream(w.soren.launch(his), "data")}

	preview := w.merge(w.from, w.into)
	if len(preview.Bookings) != 1 || preview.Bookings[0].ID != his.ID || len(preview.Identities) != 1 || len(preview.Sessions) != 3 {
		t.Errorf("preview %+v", preview)
	}
	if a := preview.Answers; len(a) != 1 || !a[0].Clash || a[0].Counts != "into" {
		t.Errorf("answers that clash: %+v", a)
	}
	if m := preview.Marks; len(m) != 1 || !m[0].Clash || m[0].Counts != "from" || m[0].State != "present" || m[0].Other != "expected" {
		t.Errorf("marks that clash: %+v", m)
	}

	// They count as one: the later answer, present before expected.
	w.wantCounts([5]int{0, 0, 0, 1, 0}, map[string]string{w.into: "present"})
	w.soren.refused(401, "GET", "/api/v1/me", nil)
	reached.refused(401, "GET", "/api/v1/me", nil)
	stream.closed(4403)
	good()
	if got := w.ada.bookingIDs(); !strings.Contains(got, his.ID) || !strings.Contains(got, hers.ID) {
		t.Errorf("the survivor has %s", got)
	}
	w.ada.refused(422, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Start: his.End, Seconds: 300}) // two at once
	again := w.signedIn("soren")
	if again.me().Person != w.into {
		t.Errorf("the merged one's account signs in %s, want %s", again.me().Person, w.into)
	}
	again.messages().notice("for Søren")
	if got := call[gateway.ReceiptsView](w.grace, 200, "GET", "/api/v1/messages/"+notice["id"]+"/receipts", nil); len(got.People) != 1 || got.People[0].Person != w.into {
		t.Errorf("receipts of the merged one's message: %+v", got)
	}
	reopened := w.lookUp(his)
	w.answer(again, 5)
	w.wantCounts([5]int{0, 0, 0, 0, 1}, map[string]string{w.into: "present"})
	found := call[gateway.PersonsView](w.root, 200, "GET", "/api/v1/admin/persons?q="+w.from, nil)
	if len(found.Persons) != 1 || found.Persons[0].MergedInto != w.into {
		t.Errorf("the administrator finds %+v", found)
	}

	// Taken apart, each has what was theirs; what came since stays.
	call[gateway.PersonView](w.root, 200, "POST", "/api/v1/admin/persons/"+w.from+"/unmerge", nil)
	again.refused(401, "GET", "/api/v1/me", nil)
	reopened.refused(401, "GET", "/api/v1/me", nil)
	w.ada.me()
	good()
	w.wantCounts([5]int{0, 1, 0, 0, 1}, map[string]string{w.from: "present", w.into: "expected"})
	soren := w.signedIn("soren")
	if soren.me().Person != w.from || soren.bookingIDs() != his.ID || w.ada.bookingIDs() != hers.ID {
		t.Errorf("%s has %s and ada %s", soren.me().Person, soren.bookingIDs(), w.ada.bookingIDs())
	}
	w.root.refused(409, "POST", "/api/v1/admin/persons/"+w.from+"/unmerge", nil)
	w.audited(w.root, audit.Merge, "person:"+w.from)
	w.audited(w.root, audit.Unmerge, "person:"+w.from)
}

func TestMergeRefusals(t *testing.T) {
	w := newTwo(t)
	at := "/api/v1/admin/persons/" + w.from + "/merge"
	w.ada.refused(403, "GET", at+"?into="+w.into, nil)
	w.ada.refused(403, "POST", at, gateway.MergeRequest{Into: w.into})
	w.ada.refused(403, "POST", "/api/v1/admin/persons/"+w.from+"/unmerge", nil)
	w.root.refused(404, "GET", at+"?into=nobody", nil)
	w.root.refused(404, "POST", "/api/v1/admin/persons/nobody/unmerge", nil)
	w.root.refused(422, "GET", at+"?into="+w.from, nil)
	preview := call[gateway.MergePreview](w.root, 200, "GET", at+"?into="+w.into, nil)
	w.answer(w.soren, 3)
	w.root.refused(409, "POST", at, gateway.MergeRequest{Into: w.into, Version: preview.Version})
	w.soren.me()
	w.merge(w.from, w.into)
	w.root.refused(409, "GET", at+"?into="+w.grace.me().Person, nil)
	w.root.refused(422, "GET", "/api/v1/admin/persons/"+w.into+"/merge?into="+w.from, nil) // in a circle
}

// The disabled lose what they have under every id.
func TestSec10_DisablingReachesTheMerged(t *testing.T) {
	w := newTwo(t)
	w.merge(w.from, w.into)
	again := w.signedIn("soren")
	w.root.refused(409, "PUT", "/api/v1/admin/persons/"+w.from+"/disabled", gateway.DisableRequest{Disabled: true})
	call[gateway.PersonView](w.root, 200, "PUT", "/api/v1/admin/persons/"+w.into+"/disabled", gateway.DisableRequest{Disabled: true})
	again.refused(401, "GET", "/api/v1/me", nil)
	b := w.browser()
	if at := b.follow("/login/dev?login_hint=soren"); b.do("GET", "/api/v1/me", nil).status != 401 {
		t.Errorf("signed in at %s", at)
	}
}

// The whole of it with plain forms: search, choose, preview, merge, un-merge.
func TestMergePages(t *testing.T) {
	w := newTwo(t)
	w.answer(w.soren, 2)
	w.answer(w.ada, 4)
	call[gateway.RegisterView](w.soren, 200, "POST", w.register+"/marks", nil)
	w.soren.book("pend00-everyone")
	page := func(path string, want ...string) {
		t.Helper()
		got := w.root.do("GET", path, nil)
		for _, one := range want {
			if got.status != 200 || !strings.Contains(string(got.body), one) {
				t.Errorf("%s: %d, without %q\n%s", path, got.status, one, got.body)
			}
		}
	}
	page("/admin", "/admin/persons")
	page("/admin/persons?q=lovelace", "Ada Lovelace", "dev:ada")
	page("/admin/persons?q=briain", `href="/admin/persons?merge=`+w.from)
	page("/admin/persons?q=lovelace&merge="+w.from, `href="/admin/persons/`+w.from+"/merge?into="+w.into)
	at := "/admin/persons/" + w.from + "/merge"
	page(at+"?into="+w.into, "both answered", "of Ada Lovelace, counts", "both are in it", "Søren Ó Briain counts", "pend00")
	stale := w.root.do("POST", at, url.Values{"into": {w.into}, "version": {"old"}})
	if stale.status != http.StatusConflict || !strings.Contains(string(stale.body), "look at it again") {
		t.Errorf("a stale version: %d %s", stale.status, stale.body)
	}
	version := call[gateway.MergePreview](w.root, 200, "GET", "/api/v1"+at+"?into="+w.into, nil).Version
	if !strings.Contains(string(stale.body), version) {
		t.Error("the page that refuses does not offer what is there now")
	}
	if got := w.root.do("POST", at, url.Values{"into": {w.into}, "version": {version}}); got.status != 303 {
		t.Fatalf("merge: %d %s", got.status, got.body)
	}
	page("/admin/persons?q="+w.from, "merged into "+w.into, "/unmerge")
	if got := w.root.do("POST", "/admin/persons/"+w.from+"/unmerge", url.Values{}); got.status != 303 {
		t.Fatalf("un-merge: %d %s", got.status, got.body)
	}
	page("/admin/persons?q="+w.from+"&done=unmerged", "Each has what was theirs")
	if got := w.ada.do("GET", "/admin/persons", nil); got.status != 403 {
		t.Errorf("somebody else sees the page: %d", got.status)
	}
}

// What a node that failed half way has left over is carried out by whoever runs.
func TestMergesAreCarriedOutAfterAFailure(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.RefreshPoll = 10 * time.Millisecond })
	soren, ada := l.signedIn("soren"), l.signedIn("ada")
	his := soren.book("pend00-everyone")
	_, err := l.persons.Merge(t.Context(), idp.Merge{
		Tenant: lodge.DefaultTenant, From: lodge.PersonID(soren.me().Person), Into: lodge.PersonID(ada.me().Person), At: l.clock.Now(),
	})
	l.must(err)
	wstest.Eventually(t, "the end of the merged one's sessions", func() bool { return soren.do("GET", "/api/v1/me", nil).status == 401 })
	wstest.Eventually(t, "the merge is settled", func() bool {
		left, err := l.persons.Unsettled(t.Context())
		return err == nil && len(left) == 0
	})
	if got := ada.bookingIDs(); got != his.ID {
		t.Errorf("the survivor has %q, want %s", got, his.ID)
	}
}
