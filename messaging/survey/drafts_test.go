package survey

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

func save(t *testing.T, d *Desk, by lodge.PersonID, one Saved) Saved {
	t.Helper()
	saved, err := d.Save(t.Context(), tenant, by, one)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func TestDraftsAreTheirAuthorsAndTemplatesEverybodys(t *testing.T) {
	d, log := newDesk(t)
	other := newNode(t, log)
	unfinished := save(t, d, "grace", Saved{Draft: Draft{Title: " Half a th"}})
	if unfinished.Rev != 1 || unfinished.Title != "Half a th" || unfinished.By != "grace" {
		t.Fatalf("%+v", unfinished)
	}
	shared := save(t, d, "grace", Saved{Draft: lesson(), Template: true})
	for person, want := range map[lodge.PersonID]int{"grace": 2, "linus": 1} {
		if all, err := other.Drafts(t.Context(), tenant, person); err != nil || len(all) != want {
			t.Errorf("%s sees %d drafts, %v", person, len(all), err)
		}
	}
	if got, err := other.Draft(t.Context(), tenant, shared.ID, "linus"); err != nil || len(got.Questions) != 4 {
		t.Errorf("a template: %+v, %v", got, err)
	}
	_, err := other.Draft(t.Context(), tenant, unfinished.ID, "linus")
	wantCode(t, "another's draft", err, lodge.CodeNotFound)
	_, err = other.Save(t.Context(), tenant, "linus", shared)
	wantCode(t, "changing another's template", err, lodge.CodeNotFound)
	wantCode(t, "deleting it", other.Discard(t.Context(), tenant, shared.ID, "linus"), lodge.CodeNotFound)

	unfinished.Title = "A whole thought"
	newer := save(t, other, "grace", unfinished)
	unfinished.Title = "Meanwhile in another tab"
	_, err = d.Save(t.Context(), tenant, "grace", unfinished)
	wantCode(t, "a version that is gone", err, lodge.CodeConflict)
	again := Saved{Draft: Draft{ID: "key-1", Title: "T"}}
	if a, b := save(t, d, "grace", again), save(t, other, "grace", again); a.Rev != 1 || b.Rev != 1 {
		t.Errorf("a repeated request: %+v, %+v", a, b)
	}
	for range 2 {
		if err := d.Discard(t.Context(), tenant, newer.ID, "grace"); err != nil {
			t.Fatal(err)
		}
	}

	// What is opened is a draft no more, wherever the opening was cut off.
	draft := save(t, d, "grace", Saved{Draft: lesson()})
	if s := open(t, d, draft.Draft); s.ID != draft.ID {
		t.Errorf("opened as %s", s.ID)
	}
	_, err = other.Draft(t.Context(), tenant, draft.ID, "grace")
	wantCode(t, "the draft of what is open", err, lodge.CodeNotFound)
	_, err = other.Save(t.Context(), tenant, "grace", draft)
	wantCode(t, "changing what is open", err, lodge.CodeConflict)
}

func TestDraftsAreBounded(t *testing.T) {
	d, _ := newDesk(t)
	for name, c := range map[string]struct {
		saved Saved
		code  lodge.Code
	}{
		"51 questions":           {Saved{Draft: Draft{Questions: make([]Question, 51)}}, lodge.CodeTooLarge},
		"long":                   {Saved{Draft: Draft{Title: strings.Repeat("x", maxForm)}}, lodge.CodeTooLarge},
		"an id":                  {Saved{Draft: Draft{ID: "a b"}}, lodge.CodeRefused},
		"an audience":            {Saved{Draft: Draft{To: "everyone"}}, lodge.CodeRefused},
		"opens in the past":      {Saved{Draft: lesson(), Opens: time.Unix(1, 0)}, lodge.CodeRefused},
		"opens unfinished":       {Saved{Draft: Draft{Title: "T"}, Opens: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, lodge.CodeRefused},
		"a template that opens":  {Saved{Draft: lesson(), Template: true, Opens: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, lodge.CodeRefused},
		"closes before it opens": {Saved{Draft: func() Draft { l := lesson(); l.Closes = time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC); return l }(), Opens: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, lodge.CodeRefused},
	} {
		_, err := d.Save(t.Context(), tenant, "grace", c.saved)
		wantCode(t, name, err, c.code)
	}
	for range maxDrafts {
		save(t, d, "grace", Saved{Draft: Draft{Title: "T"}})
	}
	_, err := d.Save(t.Context(), tenant, "grace", Saved{Draft: Draft{Title: "T"}})
	wantCode(t, "one more", err, lodge.CodeRefused)
	save(t, d, "linus", Saved{Draft: Draft{Title: "T"}})
}

func TestWhatIsDueComesUpUntilItIsDone(t *testing.T) {
	d, log := newDesk(t)
	other := newNode(t, log)
	now := d.clock.Now()
	plan := Saved{Draft: lesson(), Opens: now.Add(30 * time.Second)}
	plan.Closes = now.Add(time.Minute)
	planned := save(t, d, "p-grace", plan)
	due, err := d.Due(t.Context(), tenant)
	if err != nil || len(due.Open) != 0 || !due.Next.Equal(plan.Opens) {
		t.Fatalf("early: %+v, %v", due, err)
	}
	pass := func(d *Desk, seconds int) {
		for range seconds {
			d.clock.Now()
		}
	}
	pass(d, 30)
	if due, err = d.Due(t.Context(), tenant); err != nil || len(due.Open) != 1 || due.Open[0].ID != planned.ID {
		t.Fatalf("when it opens: %+v, %v", due, err)
	}
	open(t, d, due.Open[0].Draft)
	if due, err = d.Due(t.Context(), tenant); err != nil || len(due.Open) != 0 || len(due.Tell) != 1 || !due.Next.Equal(plan.Closes) {
		t.Fatalf("once open: %+v, %v", due, err)
	}
	for range 2 {
		if err := other.Told(t.Context(), tenant, planned.ID, Opened); err != nil {
			t.Fatal(err)
		}
	}
	answer(t, d, planned.ID, "ada", good)
	pass(d, 60)
	// Nobody has closed it yet, and still it is closed.
	_, err = d.Answer(t.Context(), tenant, planned.ID, "eve", "Eve", good)
	wantCode(t, "an answer after its time", err, lodge.CodeConflict)
	if due, err = d.Due(t.Context(), tenant); err != nil || len(due.Tell) != 0 || len(due.Close) != 1 {
		t.Fatalf("when it closes: %+v, %v", due, err)
	}
	closed, err := d.Close(t.Context(), tenant, planned.ID, lodge.Principal{})
	if err != nil || !closed.ClosedAt.Equal(plan.Closes) {
		t.Fatalf("closed: %+v, %v", closed, err)
	}
	if due, err = other.Due(t.Context(), tenant); err != nil || len(due.Tell) != 1 || due.Tell[0].Open() {
		t.Fatalf("once closed: %+v, %v", due, err)
	}
	if err := d.Told(t.Context(), tenant, planned.ID, Closed); err != nil {
		t.Fatal(err)
	}
	if due, err = other.Due(t.Context(), tenant); err != nil || len(due.Open)+len(due.Close)+len(due.Tell) != 0 || !due.Next.IsZero() {
		t.Fatalf("in the end: %+v, %v", due, err)
	}

	// One that cannot open waits for its author.
	failed := save(t, d, "p-grace", Saved{Draft: lesson(), Opens: d.clock.Now().Add(time.Hour)})
	if err := d.Unplan(t.Context(), tenant, failed, "You teach nobody any more."); err != nil {
		t.Fatal(err)
	}
	got, err := other.Draft(t.Context(), tenant, failed.ID, "p-grace")
	if err != nil || got.Problem == "" || !got.Opens.IsZero() || got.Rev != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whoever looks at the results of a pseudonymous survey while it is open sees the
// answers of Small people change together, also when people change theirs, and
// also at the end.
func TestResultsWithoutNamesMoveInSteps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.IntRange(2, 5).Draw(rt, "small")
		s := &state{}
		fold(s, item(entry{Kind: kindOpened, Survey: "s", Mode: Pseudonymous, Small: small, Questions: lesson().Questions, Pseudonyms: []byte("salt")}))
		before := map[string]string{}
		look := func() {
			now := map[string]string{}
			for _, r := range s.rows(ballotBox{}) {
				now[r.name] = written(rt, r.answers)
			}
			moved := 0
			for name, answers := range now {
				if before[name] != answers {
					moved++
				}
			}
			if s.tally(ballotBox{}).Held {
				return // nothing is shown
			}
			if moved > 0 && moved < small {
				rt.Fatalf("%d moved", moved)
			}
			before = now
		}
		for i := range rapid.IntRange(0, 40).Draw(rt, "answers") {
			person := lodge.PersonID(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}).Draw(rt, "person"))
			fold(s, item(entry{Kind: kindAnswered, Survey: "s", By: person, At: time.Unix(int64(i+1), 0), said: said{Name: "N", Answers: map[string]Answer{"why": {Text: string(rune('A' + i))}}}}))
			look()
		}
		people := len(s.Responses)
		fold(s, item(entry{Kind: kindClosed, Survey: "s", At: time.Unix(1000, 0)}))
		if look(); people >= small && len(before) != people {
			rt.Fatalf("%d of %d are counted at the end", len(before), people)
		}
	})
}

func TestWordsAreShownWhenTheyWereLookedAt(t *testing.T) {
	d, log := newDesk(t)
	other := newNode(t, log)
	s := open(t, d, lesson())
	answer(t, d, s.ID, "ada", good)
	words := func() Words {
		t.Helper()
		tally, err := other.Tally(t.Context(), tenant, s.ID)
		if err != nil || len(tally.Of("why").Texts) != 1 {
			t.Fatalf("%+v, %v", tally, err)
		}
		if public := tally.Public().Of("why").Texts; len(public) == 1 != tally.Of("why").Texts[0].Shown {
			t.Errorf("those asked see %v of %v", public, tally.Of("why").Texts)
		}
		return tally.Of("why").Texts[0]
	}
	first := words()
	for _, show := range []bool{true, true, false, true} {
		if err := d.Show(t.Context(), tenant, s.ID, first.ID, show); err != nil {
			t.Fatal(err)
		}
		if words().Shown != show {
			t.Errorf("shown: %t", !show)
		}
	}
	answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{0}}, "why": {Text: "something rude"}})
	if words().Shown {
		t.Error("what was changed is shown unseen")
	}
	wantCode(t, "what is not there", d.Show(t.Context(), tenant, s.ID, first.ID, true), lodge.CodeNotFound)
	released, err := d.ReleaseResults(t.Context(), tenant, s.ID, grace)
	if err != nil || released.ReleasedAt.IsZero() {
		t.Fatalf("%+v, %v", released, err)
	}
	if again, err := other.ReleaseResults(t.Context(), tenant, s.ID, grace); err != nil || !again.ReleasedAt.Equal(released.ReleasedAt) {
		t.Errorf("%+v, %v", again, err)
	}
}

// Without names the exports have none, nor times, and pseudonyms are of one survey.
func TestWithoutNamesThereAreNone(t *testing.T) {
	d, _ := newDesk(t)
	draft := lesson()
	draft.Mode, draft.Small = Pseudonymous, 2
	names := map[string]bool{}
	for range 2 {
		s := open(t, d, draft)
		answer(t, d, s.ID, "ada", good)
		if lines, err := d.Lines(t.Context(), tenant, s.ID); err != nil || len(lines) != 0 {
			t.Fatalf("of one person: %+v, %v", lines, err)
		}
		answer(t, d, s.ID, "eve", good)
		if _, err := d.Close(t.Context(), tenant, s.ID, grace); err != nil {
			t.Fatal(err)
		}
		var csv strings.Builder
		if err := d.CSV(t.Context(), tenant, s.ID, &csv); err != nil || strings.Contains(csv.String(), "ada") || strings.Contains(csv.String(), "2026") || !strings.HasPrefix(csv.String(), "pseudonym,") {
			t.Errorf("%s, %v", csv.String(), err)
		}
		lines, err := d.Lines(t.Context(), tenant, s.ID)
		if err != nil || len(lines) != 2 {
			t.Fatalf("%+v, %v", lines, err)
		}
		for _, line := range lines {
			names[line.Pseudonym] = true
			if line.Name != "" || line.Person != "" || !line.At.IsZero() {
				t.Errorf("%+v", line)
			}
		}
	}
	if len(names) != 4 {
		t.Errorf("pseudonyms %v", names)
	}
}

func TestNumbersAndCorrectAnswers(t *testing.T) {
	d, _ := newDesk(t)
	draft := Draft{To: "all", Title: "T", Questions: []Question{
		{ID: "g", Kind: Number, Text: "g?", Lowest: number(0), Highest: number(20), Correct: &Answer{Value: number(9.81)}, Tolerance: 0.05},
		{ID: "unit", Kind: Short, Text: "Its unit?", Correct: &Answer{Text: "m/s²"}},
		{ID: "agree", Kind: Scale, Max: 3, Labels: []string{"no", "so so", "yes"}, Text: "Sure?"},
		{ID: "pick", Kind: Multiple, Options: []string{"a", "b", "c"}, Text: "Which?", Correct: &Answer{Options: []int{0, 2}}},
	}}
	s := open(t, d, draft)
	for person, v := range map[lodge.PersonID]float64{"a": 9.8, "b": 9.9, "c": 0, "e": 9.86} {
		answer(t, d, s.ID, person, map[string]Answer{"g": {Value: &v}, "unit": {Text: " M/S² "}, "agree": {Number: 3}, "pick": {Options: []int{2, 0}}})
	}
	for name, bad := range map[string]Answer{"above": {Value: number(20.1)}, "below": {Value: number(-0.1)}, "a scale's": {Number: 4}} {
		_, err := d.Answer(t.Context(), tenant, s.ID, "d", "D", map[string]Answer{"g": bad})
		wantCode(t, name, err, lodge.CodeRefused)
	}
	_, err := d.Answer(t.Context(), tenant, s.ID, "d", "D", map[string]Answer{"unit": {Text: strings.Repeat("x", 201)}})
	wantCode(t, "a long line", err, lodge.CodeRefused)
	tally, err := d.Tally(t.Context(), tenant, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	g := tally.Of("g")
	if g.Right != 2 || g.Answered != 4 || g.Median < 9.82 || g.Median > 9.84 || g.Values[0] != 0 {
		t.Errorf("g: %+v", g)
	}
	if tally.Of("unit").Right != 4 || tally.Of("agree").Mean != 3 || tally.Of("pick").Right != 4 {
		t.Errorf("%+v", tally)
	}
	draft.Questions[0].Correct = &Answer{Value: number(21)}
	_, err = d.Open(t.Context(), tenant, grace, draft)
	wantCode(t, "a correct answer out of bounds", err, lodge.CodeRefused)
}
