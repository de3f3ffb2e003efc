package web

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A group of many experiments is seen at a glance: their forms are folded, but for
// the one that was chosen.
func TestFormsOfManyExperimentsAreFolded(t *testing.T) {
	p := newPages(t)
	days := Days(testNow, 7, time.UTC)
	days[0].Chosen = true
	book := func(experiments int) string {
		view := Book{Layout: signedIn(), Days: days, Form: BookForm{Slot: "slot-3"}, Group: Group{Name: "g"}}
		for i := range experiments {
			view.Group.Slots = append(view.Group.Slots, Slot{
				Slot: fmt.Sprintf("slot-%d", i), Title: fmt.Sprintf("Rig %d", i), Online: true, MinSeconds: 300, MaxSeconds: 600,
				Free: []Interval{{testNow, testNow.Add(5 * time.Hour)}},
			})
		}
		content, _, _ := strings.Cut(render(t, p, fixture{PageBook, view}), "</main>")
		return content
	}
	if html := book(6); strings.Contains(html, "<details") {
		t.Error("six experiments are folded")
	}
	html := book(7)
	if n := strings.Count(html, "<details"); n != 7 {
		t.Errorf("%d of 7 experiments are folded", n)
	}
	if open := regexp.MustCompile(`data-slot="([^"]*)"[^>]*data-chosen>\s*<details open>`).FindAllStringSubmatch(html, -1); len(open) != 1 || open[0][1] != "slot-3" || strings.Count(html, "<details open") != 1 {
		t.Errorf("open: %q, not the chosen one", open)
	}
	if n := strings.Count(html, `data-testid="day"`); n != 7*7 {
		t.Errorf("%d days of 7 experiments in a week", n)
	}
}

// On a wall one question can stand alone, and what is there leads to the others.
func TestWallShowsOneQuestion(t *testing.T) {
	p := newPages(t)
	tally := Tally{Survey: Survey{ID: "s1", Title: "How was it?", Open: true}}
	for _, id := range []string{"q1", "q2"} {
		tally.Results = append(tally.Results, Result{Question: Question{ID: id, Kind: "single", Text: "Text of " + id, Options: []string{"Yes"}}, Counts: []int{1}})
	}
	wall := func(question string) string {
		return render(t, p, fixture{PageWall, SurveyResults{Layout: signedIn(), Tally: tally, Question: question}})
	}
	for question, want := range map[string][2]bool{"": {true, true}, "q1": {true, false}, "q2": {false, true}} {
		html := wall(question)
		for i, text := range []string{"Text of q1", "Text of q2"} {
			if strings.Contains(html, text) != want[i] {
				t.Errorf("question %q: %q is there: %t", question, text, !want[i])
			}
		}
		if n := strings.Count(html, `data-testid="wall-question"`); n != 2 {
			t.Errorf("question %q: %d links to questions", question, n)
		}
	}
}

// The first page leads each to their work, and nobody to what is not theirs.
func TestHomeLeadsStaffToTheirWork(t *testing.T) {
	p := newPages(t)
	for role, want := range map[string]string{"": "", "instructor": "/teach/registers", "technician": "/rigs", "administrator": "/admin/persons"} {
		l := signedIn()
		l.Person.Instructor, l.Person.Technician, l.Person.Administrator = role == "instructor", role == "technician", role == "administrator"
		_, duties, found := strings.Cut(render(t, p, fixture{PageHome, Home{Layout: l}}), `data-testid="duties"`)
		if found != (role != "") {
			t.Errorf("%q: there is something to look after: %t", role, found)
		}
		if !strings.Contains(duties, want) {
			t.Errorf("%q: no link to %s", role, want)
		}
	}
}

func signedIn() Layout {
	return Layout{Title: "Title", Now: testNow, Person: &Person{ID: "p1", Name: "Ada", Kind: "login"}}
}
