package survey

import (
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
)

func TestDraftsThatCannotBeAreRefusedWithTheRemedy(t *testing.T) {
	d, _ := newDesk(t)
	question := func(q Question) func(*Draft) {
		return func(d *Draft) { d.Questions[1] = q }
	}
	long := strings.Repeat("é", 1001)
	for name, c := range map[string]struct {
		spoil func(*Draft)
		says  string
	}{
		"no audience":        {func(d *Draft) { d.To = "" }, "whom the survey is for"},
		"unknown audience":   {func(d *Draft) { d.To = "everyone" }, "whom the survey is for"},
		"all of something":   {func(d *Draft) { d.To = "all:x" }, "whom the survey is for"},
		"group of nothing":   {func(d *Draft) { d.To = "group:" }, "whom the survey is for"},
		"internal topic":     {func(d *Draft) { d.To = "survey:x" }, "whom the survey is for"},
		"no title":           {func(d *Draft) { d.Title = "  " }, "title"},
		"long title":         {func(d *Draft) { d.Title = long }, "200 characters"},
		"title of no text":   {func(d *Draft) { d.Title = "\xff" }, "title"},
		"id":                 {func(d *Draft) { d.ID = "a:b" }, "letters, digits"},
		"no questions":       {func(d *Draft) { d.Questions = nil }, "1 to 50 questions"},
		"too many questions": {func(d *Draft) { d.Questions = make([]Question, 51) }, "1 to 50 questions"},
		"same id":            {question(Question{ID: "how", Kind: Text, Text: "Why?"}), `Question 2 has the id "how"`},
		"generated id taken": {func(d *Draft) { d.Questions[0].ID, d.Questions[1].ID = "q2", "" }, "Question 2 has the id"},
		"question id":        {question(Question{ID: "a b", Kind: Text, Text: "Why?"}), "Question 2: its id"},
		"no text":            {question(Question{Kind: Text}), "Question 2: write the question"},
		"long text":          {question(Question{Kind: Text, Text: long}), "1000 characters"},
		"no kind":            {question(Question{Text: "Why?"}), `Question 2 ("Why?"): its kind must be`},
		"options of a text":  {question(Question{Kind: Text, Text: "Why?", Options: []string{"a", "b"}}), "only single and multiple"},
		"options of a scale": {question(Question{Kind: Scale, Max: 5, Text: "Why?", Options: []string{"a", "b"}}), "only single and multiple"},
		"one option":         {question(Question{Kind: Single, Text: "Why?", Options: []string{"a"}}), "2 to 50 options"},
		"empty option":       {question(Question{Kind: Multiple, Text: "Why?", Options: []string{"a", " "}}), "write option 2"},
		"same option":        {question(Question{Kind: Multiple, Text: "Why?", Options: []string{"a", "b", " a"}}), "option 3 is there already"},
		"no scale":           {question(Question{Kind: Scale, Text: "Why?"}), "2 to 10"},
		"long scale":         {question(Question{Kind: Scale, Text: "Why?", Max: 11}), "2 to 10"},
		"scale of a text":    {question(Question{Kind: Text, Text: "Why?", Max: 3}), "only a scale"},
	} {
		t.Run(name, func(t *testing.T) {
			draft := lesson()
			c.spoil(&draft)
			_, err := d.Open(t.Context(), tenant, grace, draft)
			wantCode(t, "open", err, lodge.CodeRefused)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q, want %q", err, c.says)
			}
		})
	}
	if all, err := d.List(t.Context(), tenant); err != nil || len(all) != 0 {
		t.Errorf("refused drafts are listed: %v, %v", all, err)
	}
}

func TestQuestionsWithoutIDsGetThem(t *testing.T) {
	d, _ := newDesk(t)
	draft := lesson()
	for i := range draft.Questions {
		draft.Questions[i].ID = ""
	}
	s := open(t, d, draft)
	if s.Questions[0].ID != "q1" || s.Questions[3].ID != "q4" || draft.Questions[0].ID != "" {
		t.Errorf("ids %q, %q, %q", s.Questions[0].ID, s.Questions[3].ID, draft.Questions[0].ID)
	}
}

func TestAnswersThatCannotBeAreRefusedWithTheRemedy(t *testing.T) {
	d, _ := newDesk(t)
	s := open(t, d, lesson())
	good := map[string]Answer{"how": {Options: []int{0}}}
	for name, c := range map[string]struct {
		question string
		answer   Answer
		says     string
	}{
		"required":          {"how", Answer{}, `Question 1 ("How was it?") needs an answer`},
		"two of one":        {"how", Answer{Options: []int{0, 1}}, "choose one"},
		"option too high":   {"how", Answer{Options: []int{2}}, "options 0 to 1"},
		"option below":      {"what", Answer{Options: []int{-1}}, "options 0 to 2"},
		"option twice":      {"what", Answer{Options: []int{1, 1}}, `Question 2 ("What did you use?"): choose each option once`},
		"number of options": {"what", Answer{Number: 1}, "of kind multiple"},
		"text of options":   {"what", Answer{Text: "x"}, "of kind multiple"},
		"scale above":       {"rate", Answer{Number: 6}, `Question 3 ("How hard?"): choose a number from 1 to 5`},
		"scale below":       {"rate", Answer{Number: -1}, "1 to 5"},
		"options of scale":  {"rate", Answer{Options: []int{1}}, "of kind scale"},
		"options of text":   {"why", Answer{Options: []int{1}}, "of kind text"},
		"long text":         {"why", Answer{Text: strings.Repeat("é", 4001)}, `Question 4 ("Anything else?"): shorten`},
		"not text":          {"why", Answer{Text: "\xff"}, "plain text"},
		"no such question":  {"nope", Answer{Text: "x"}, `no question "nope"`},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]Answer{"how": good["how"], c.question: c.answer}
			_, err := d.Answer(t.Context(), tenant, s.ID, "ada", "Ada", answers)
			wantCode(t, "answer", err, lodge.CodeRefused)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q, want %q", err, c.says)
			}
		})
	}
	_, err := d.Answer(t.Context(), tenant, s.ID, "", "", good)
	wantCode(t, "answer of nobody", err, lodge.CodeUnauthenticated)
	if got, err := d.Get(t.Context(), tenant, s.ID); err != nil || got.Answered != 0 {
		t.Fatalf("refused answers count: %+v, %v", got, err)
	}
	optional := lesson()
	optional.Questions[0].Required = false
	s = open(t, d, optional)
	_, err = d.Answer(t.Context(), tenant, s.ID, "ada", "Ada", map[string]Answer{"why": {Text: " \n"}})
	wantCode(t, "answer of nothing", err, lodge.CodeRefused)
}
