package survey

// Templates are those that every installation has: what is asked most often in a
// laboratory class, each open in two clicks.
func Templates() []Saved {
	agree := []string{"Strongly disagree", "Disagree", "Neither", "Agree", "Strongly agree"}
	template := func(id, title, intro string, mode Mode, questions ...Question) Saved {
		for i := range questions {
			questions[i].ID = string(rune('a' + i))
		}
		return Saved{Draft: Draft{ID: id, Title: title, Intro: intro, Mode: mode, Questions: questions}, Template: true}
	}
	return []Saved{
		template("lodge-pace", "How is the pace?", "", Pseudonymous,
			Question{Kind: Scale, Text: "How is the pace?", Max: 5, Labels: []string{"Much too slow", "Too slow", "Just right", "Too fast", "Much too fast"}, Required: true}),
		template("lodge-choice", "Which is it: A, B, C or D?", "The question is on the board.", Pseudonymous,
			Question{Kind: Single, Text: "Your choice", Options: []string{"A", "B", "C", "D"}, Required: true}),
		template("lodge-number", "What did you measure?", "", Identified,
			Question{Kind: Number, Text: "Your result", Required: true},
			Question{Kind: Number, Text: "Its uncertainty"}),
		template("lodge-exit", "Before you go", "Two minutes, so that the next class is better.", Pseudonymous,
			Question{Kind: Text, Text: "What is the most important thing you learned today?"},
			Question{Kind: Text, Text: "What is still unclear?"}),
		template("lodge-experiment", "How was the experiment?", "", Unlinkable,
			Question{Section: "The experiment", Kind: Scale, Text: "The experiment worked as it should.", Max: 5, Labels: agree},
			Question{Kind: Scale, Text: "The instructions were clear.", Max: 5, Labels: agree},
			Question{Kind: Scale, Text: "I had enough time.", Max: 5, Labels: agree},
			Question{Section: "In your words", Kind: Text, Text: "What should change?"}),
	}
}
