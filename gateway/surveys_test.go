package gateway_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging/survey"
)

const draftsPath = surveysPath + "/drafts"

func asked(b *browser) []string {
	b.Helper()
	var titles []string
	for _, s := range call[struct{ Surveys []gateway.SurveyView }](b, 200, "GET", surveysPath, nil).Surveys {
		titles = append(titles, s.Title)
	}
	return titles
}

func TestDraftsFromTheFirstWordToTheClass(t *testing.T) {
	l := newLab(t)
	ada, grace, linus := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("linus")
	ada.refused(403, "GET", draftsPath, nil)
	ada.refused(403, "POST", draftsPath, gateway.DraftRequest{Title: "T"})
	ada.refused(403, "POST", surveysPath+"/import", "{}")

	d := call[gateway.DraftView](grace, 201, "POST", draftsPath, gateway.DraftRequest{Title: "Half"}, pair{"Idempotency-Key", "one"})
	again := call[gateway.DraftView](grace, 201, "POST", draftsPath, gateway.DraftRequest{Title: "Half"}, pair{"Idempotency-Key", "one"})
	if d.ID != again.ID || again.Rev != 1 || !d.Own {
		t.Errorf("%+v, then %+v", d, again)
	}
	at := draftsPath + "/" + d.ID
	linus.refused(404, "GET", at, nil)
	linus.refused(404, "PUT", at, gateway.DraftRequest{Rev: 1})
	grace.refused(422, "POST", at+"/open", nil)
	grace.refused(400, "PUT", at, gateway.DraftRequest{Title: "no version"})
	changed := call[gateway.DraftView](grace, 200, "PUT", at, gateway.DraftRequest{
		Rev: 1, Title: "Whole", To: "group:physics-1", Questions: []gateway.QuestionView{{Kind: "short", Text: "Its unit?", Correct: &gateway.Answer{Text: "m"}}},
	})
	grace.refused(409, "PUT", at, gateway.DraftRequest{Rev: 1, Title: "Late"})
	if got := call[gateway.DraftView](grace, 200, "GET", at, nil); got.Rev != 2 || got.Title != "Whole" || changed.Rev != 2 {
		t.Errorf("%+v", got)
	}
	if p := grace.refused(422, "PUT", at, gateway.DraftRequest{Rev: 2, Title: "T", To: "group:physics-1", Opens: l.clock.Now().Add(-time.Hour)}); !strings.Contains(p.Detail, "passed") {
		t.Errorf("%+v", p)
	}

	// It leaves as a file and comes back as another draft.
	file := grace.do("GET", surveysPath+"/"+d.ID+"/document", nil)
	if file.status != 200 || !strings.Contains(file.header.Get("Content-Disposition"), "survey.json") {
		t.Fatalf("%d %v", file.status, file.header)
	}
	linus.refused(404, "GET", surveysPath+"/"+d.ID+"/document", nil)
	back := call[gateway.DraftView](linus, 201, "POST", surveysPath+"/import", string(file.body))
	if back.Title != "Whole" || back.To != "" || back.Questions[0].Correct.Text != "m" {
		t.Errorf("%+v", back)
	}
	linus.refused(422, "POST", surveysPath+"/import", `{"lodge_survey":"v2"}`)
	linus.refused(413, "POST", surveysPath+"/import", `"`+strings.Repeat("x", 200_000)+`"`)
	if got := grace.do("GET", "/api/survey.schema.json", nil); got.status != 200 || !json.Valid(got.body) {
		t.Errorf("the schema: %d", got.status)
	}

	opened := call[gateway.SurveyView](grace, 201, "POST", at+"/open", nil)
	if opened.ID != d.ID || !slices.Contains(asked(ada), "Whole") {
		t.Errorf("%+v; Ada is asked %v", opened, asked(ada))
	}
	if got := call[gateway.SurveyView](ada, 200, "GET", surveysPath+"/"+d.ID, nil); got.Questions[0].Correct != nil {
		t.Errorf("Ada sees the right answer: %+v", got)
	}
	grace.refused(404, "GET", at, nil)
	// Of a draft nobody is asked; one that is not wanted goes.
	gone := call[gateway.DraftView](grace, 201, "POST", draftsPath, gateway.DraftRequest{From: d.ID, To: "all"})
	if got := grace.do("DELETE", draftsPath+"/"+gone.ID, nil); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
	list := call[struct{ Drafts []gateway.DraftView }](grace, 200, "GET", draftsPath, nil).Drafts
	if len(list) != 5 {
		t.Errorf("%d drafts and templates", len(list))
	}
}

// What those asked see, and when.
func TestReleasedResultsAndWordsThatWereLookedAt(t *testing.T) {
	l := newLab(t)
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace")
	s := call[gateway.SurveyView](grace, 201, "POST", surveysPath, gateway.SurveyRequest{To: "group:physics-1", Title: "S", Questions: []gateway.QuestionView{
		{ID: "g", Kind: "number", Text: "g?", Correct: &gateway.Answer{Value: new(9.81)}, Tolerance: 0.1}, {ID: "why", Kind: "text", Text: "Why?"},
	}})
	at := surveysPath + "/" + s.ID
	call[gateway.SurveyView](ada, 200, "POST", at+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"g": {Value: new(9.8)}, "why": {Text: "kind words"}}})
	call[gateway.SurveyView](soren, 200, "POST", at+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"g": {Value: new(1.0)}, "why": {Text: "rude words"}}})
	tally := call[gateway.TallyView](grace, 200, "GET", at+"/results", nil)
	if tally.Right["g"] != 1 || tally.Numbers["g"].Values[0] != 1 || len(tally.Texts["why"]) != 2 {
		t.Fatalf("%+v", tally)
	}
	for _, w := range tally.Texts["why"] {
		if w.Text == "kind words" {
			if got := grace.do("PUT", at+"/words", gateway.WordsRequest{Words: w.ID, Shown: true}); got.status != 204 {
				t.Errorf("showing: %d %s", got.status, got.body)
			}
			ada.refused(403, "PUT", at+"/words", gateway.WordsRequest{Words: w.ID})
		}
	}
	grace.refused(404, "PUT", at+"/words", gateway.WordsRequest{Words: "nothing", Shown: true})
	ada.refused(403, "GET", at+"/results", nil)
	ada.refused(403, "POST", at+"/release", nil)
	ada.refused(403, "GET", at+"/answers", nil)
	socket := ada.messages()
	socket.caughtUp()
	for range 2 {
		if got := call[gateway.SurveyView](grace, 200, "POST", at+"/release", nil); !got.Released {
			t.Errorf("%+v", got)
		}
	}
	seen := call[gateway.TallyView](ada, 200, "GET", at+"/results", nil)
	if len(seen.Texts["why"]) != 1 || seen.Texts["why"][0].Text != "kind words" || seen.Right["g"] != 1 {
		t.Errorf("%+v", seen)
	}
	page := string(ada.do("GET", "/surveys/"+s.ID, nil).body)
	if !strings.Contains(page, "kind words") || strings.Contains(page, "rude words") || !strings.Contains(page, "9.81 ± 0.1") {
		t.Error("the page shows something else")
	}
	if wall := string(grace.do("GET", "/teach/surveys/"+s.ID+"/wall", nil).body); strings.Contains(wall, "rude words") || !strings.Contains(wall, "kind words") {
		t.Error("the wall shows something else")
	}
	if got := grace.do("POST", "/teach/surveys/"+s.ID, url.Values{"do": {"show-all"}, "question": {"why"}}); got.status != 303 {
		t.Errorf("showing all: %d", got.status)
	}
	if seen = call[gateway.TallyView](ada, 200, "GET", at+"/results", nil); len(seen.Texts["why"]) != 2 {
		t.Errorf("%+v", seen)
	}
	lines := call[gateway.LinesView](grace, 200, "GET", at+"/answers", nil)
	if len(lines.Lines) != 2 || lines.Lines[0].Name == "" {
		t.Errorf("%+v", lines)
	}
}

// openings are the messages that told somebody of a survey.
func openings(l *lab, b *browser, id string) int {
	l.Helper()
	n := 0
	for _, m := range call[struct{ Messages []gateway.MessageView }](b, 200, "GET", "/api/v1/messages?limit=200", nil).Messages {
		raw, err := json.Marshal(m.Data)
		l.must(err)
		if m.Type == "lodge.survey" && strings.Contains(string(raw), id) && strings.Contains(string(raw), `"opened"`) {
			n++
		}
	}
	return n
}

// Three nodes: a survey opens at its time and closes at its time, once.
func TestASurveyOpensAndClosesByItself(t *testing.T) {
	l := newLab(t)
	l.another()
	l.another()
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	d := call[gateway.DraftView](grace, 201, "POST", draftsPath, gateway.DraftRequest{
		From: "lodge-number", To: "group:physics-1", Opens: l.clock.Now().Add(time.Minute), Closes: l.clock.Now().Add(10 * time.Minute),
	})
	if titles := asked(ada); len(titles) != 0 {
		t.Fatalf("too early: %v", titles)
	}
	l.clock.pass(time.Minute)
	wstest.Eventually(t, "it opens", func() bool { return len(asked(ada)) == 1 && openings(l, ada, d.ID) == 1 })
	l.clock.pass(10 * time.Minute)
	ada.refused(409, "POST", surveysPath+"/"+d.ID+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"a": {Value: new(1.0)}}})
	wstest.Eventually(t, "it closes", func() bool {
		return !call[gateway.SurveyView](grace, 200, "GET", surveysPath+"/"+d.ID, nil).Open
	})
	if n := openings(l, ada, d.ID); n != 1 {
		t.Errorf("told %d times", n)
	}

	// An author who may not ask them any more when its time has come finds it as a draft.
	linus := l.signedIn("linus")
	refusedOne := call[gateway.DraftView](linus, 201, "POST", draftsPath, gateway.DraftRequest{From: "lodge-number", To: "experiment:pend00", Opens: l.clock.Now().Add(time.Minute)})
	who := lodge.PersonID(linus.me().Person)
	l.must(l.persons.SetDisabled(t.Context(), lodge.DefaultTenant, who, true))
	l.clock.pass(time.Minute)
	node := survey.NewDesk(l.newTopics(), l.parts.PersonKeys, l.clock)
	defer node.Release()
	wstest.Eventually(t, "it is found as a draft", func() bool {
		one, err := node.Draft(t.Context(), lodge.DefaultTenant, refusedOne.ID, who)
		return err == nil && one.Problem != "" && one.Opens.IsZero()
	})
}

// Each person is asked when their experiment ends: by its time, or because they
// finished early; once over three nodes, and nobody else.
func TestASurveyGoesWithTheEndOfEachExperiment(t *testing.T) {
	l := newLab(t)
	l.another()
	l.another()
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace")
	rig1 := func(b *browser) gateway.BookingView {
		t.Helper()
		return call[gateway.BookingView](b, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: "pend01-physics-1", Seconds: 300})
	}
	before := rig1(soren)
	l.clock.pass(20 * time.Minute) // one that ended before it was asked
	s := call[gateway.SurveyView](grace, 201, "POST", surveysPath, gateway.SurveyRequest{
		To: "all", After: true, Title: "Afterwards", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}},
	})
	at := surveysPath + "/" + s.ID
	booked := ada.book("pend00-everyone")
	guest := l.lookUp(booked)
	ada.refused(404, "GET", at, nil)
	if titles := slices.Concat(asked(ada), asked(soren)); len(titles) != 0 {
		t.Fatalf("asked too early: %v, and of %s", titles, before.ID)
	}
	socket := ada.messages()
	socket.caughtUp()
	call[gateway.Activity](ada, 200, "POST", booked.Links.Self+"/activity", nil)
	l.clock.pass(2 * time.Minute)
	call[gateway.BookingView](ada, 200, "DELETE", booked.Links.Self, nil) // finished early
	wstest.Eventually(t, "she is told", func() bool { return openings(l, ada, s.ID) == 1 })
	call[gateway.SurveyView](guest, 200, "POST", at+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: "by reference, after all"}}})
	if got := call[gateway.SurveyView](ada, 200, "GET", at, nil); got.Mine["q"].Text == "" {
		t.Errorf("%+v", got)
	}
	if titles := asked(soren); len(titles) != 0 {
		t.Errorf("Søren is asked %v", titles)
	}
	// Now his ends by its time, when he has left.
	his := rig1(soren)
	l.clock.pass(his.End.Sub(l.clock.Now()) + time.Second)
	wstest.Eventually(t, "he is told", func() bool { return openings(l, soren, s.ID) == 1 })
	if titles := asked(soren); !slices.Equal(titles, []string{"Afterwards"}) {
		t.Errorf("Søren is asked %v", titles)
	}
	// Whoever starts later tells nobody again.
	l.another()
	l.clock.pass(2 * time.Minute)
	third := ada.book("pend00-everyone")
	l.clock.pass(third.End.Sub(l.clock.Now()))
	wstest.Eventually(t, "she is told of the next one", func() bool { return openings(l, ada, s.ID) == 2 })
	if n := openings(l, soren, s.ID); n != 1 {
		t.Errorf("Søren was told %d times", n)
	}
}
