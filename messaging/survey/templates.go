package survey

// A Reader says an English text in somebody's language.
type Reader func(english string) string

// T says a text.
func (r Reader) T(english string) string { return r(english) }

// Templates are those that every installation has, in the words of who is to open
// them: what is asked most often in a laboratory class, each open in two clicks.
func Templates(r Reader) []Saved {
	agree := []string{r.T("Strongly disagree"), r.T("Disagree"), r.T("Neither"), r.T("Agree"), r.T("Strongly agree")}
	template := func(id, title, intro string, mode Mode, questions ...Question) Saved {
		for i := range questions {
			questions[i].ID = string(rune('a' + i))
		}
		return Saved{Draft: Draft{ID: id, Title: title, Intro: intro, Mode: mode, Questions: questions}, Template: true}
	}
	return []Saved{
		template("lodge-pace", r.T("How is the pace?"), "", Pseudonymous,
			Question{Kind: Scale, Text: r.T("How is the pace?"), Max: 5, Labels: []string{
				r.T("Much too slow"), r.T("Too slow"), r.T("Just right"), r.T("Too fast"), r.T("Much too fast"),
			}, Required: true}),
		template("lodge-choice", r.T("Which is it: A, B, C or D?"), r.T("The question is on the board."), Pseudonymous,
			Question{Kind: Single, Text: r.T("Your choice"), Options: []string{"A", "B", "C", "D"}, Required: true}),
		template("lodge-number", r.T("What did you measure?"), "", Identified,
			Question{Kind: Number, Text: r.T("Your result"), Required: true},
			Question{Kind: Number, Text: r.T("Its uncertainty")}),
		template("lodge-exit", r.T("Before you go"), r.T("Two minutes, so that the next class is better."), Pseudonymous,
			Question{Kind: Text, Text: r.T("What is the most important thing you learned today?")},
			Question{Kind: Text, Text: r.T("What is still unclear?")}),
		template("lodge-experiment", r.T("How was the experiment?"), "", Unlinkable,
			Question{Section: r.T("The experiment"), Kind: Scale, Text: r.T("The experiment worked as it should."), Max: 5, Labels: agree},
			Question{Kind: Scale, Text: r.T("The instructions were clear."), Max: 5, Labels: agree},
			Question{Kind: Scale, Text: r.T("I had enough time."), Max: 5, Labels: agree},
			Question{Section: r.T("In your words"), Kind: Text, Text: r.T("What should change?")}),
	}
}
