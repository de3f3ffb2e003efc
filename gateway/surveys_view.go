package gateway

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"

	"github.com/lodge-gateway/lodge/messaging/survey"
)

// draft is what a request asks for, by the installation's rules.
func (g *Gateway) draft(req SurveyRequest) survey.Draft {
	return survey.Draft{
		To: req.To, Title: req.Title, Intro: req.Intro, Mode: survey.Mode(req.Mode), Questions: questions(req.Questions),
		After: req.After, Closes: req.Closes, Small: max(req.Small, g.cfg.SurveySmall),
	}
}

func questions(views []QuestionView) []survey.Question {
	var all []survey.Question
	for _, q := range views {
		one := survey.Question{
			ID: q.ID, Section: q.Section, Kind: survey.Kind(q.Kind), Text: q.Text, Options: q.Options, Max: q.Max, Labels: q.Labels,
			Lowest: q.Lowest, Highest: q.Highest, Required: q.Required, Tolerance: q.Tolerance,
		}
		if q.Correct != nil {
			correct := survey.Answer(*q.Correct)
			one.Correct = &correct
		}
		all = append(all, one)
	}
	return all
}

// questionViews are the questions, with what is correct for those who may know.
func questionViews(all []survey.Question, correct bool) []QuestionView {
	views := []QuestionView{}
	for _, q := range all {
		view := QuestionView{
			ID: q.ID, Section: q.Section, Kind: string(q.Kind), Text: q.Text, Options: q.Options, Max: q.Max, Labels: q.Labels,
			Lowest: q.Lowest, Highest: q.Highest, Required: q.Required,
		}
		if correct && q.Correct != nil {
			right := Answer(*q.Correct)
			view.Correct, view.Tolerance = &right, q.Tolerance
		}
		views = append(views, view)
	}
	return views
}

// surveyView is a survey for those it is put to; how many have answered, and what
// is correct, is for who conducts it.
func surveyView(one survey.Survey, mine map[string]survey.Answer, conducts bool) SurveyView {
	released := !one.ReleasedAt.IsZero()
	view := SurveyView{
		ID: one.ID, To: one.To, Title: one.Title, Intro: one.Intro, Mode: string(one.Mode), Questions: questionViews(one.Questions, conducts || released),
		Open: one.Open(), OpenedAt: one.OpenedAt, After: one.After, Closes: one.Closes, Released: released,
	}
	for question, a := range mine {
		if view.Mine == nil {
			view.Mine = map[string]Answer{}
		}
		view.Mine[question] = Answer(a)
	}
	if conducts {
		view.Answered = one.Answered
	}
	if one.Open() && one.Unlinkable() {
		view.BallotKey = ballotKey(one.PublicKey)
	}
	return view
}

// ballotKey is a survey's public key; nil when there is none that can be read.
func ballotKey(public []byte) *BallotKey {
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil
	}
	return &BallotKey{
		N: base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		E: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

func tallyView(t survey.Tally) TallyView {
	view := TallyView{
		ID: t.ID, Title: t.Title, Open: t.Open(), Mode: string(t.Mode), Answered: t.Answered, Counted: t.Counted, Small: t.Small, Held: t.Held,
		HeldBack: []string{}, Gave: map[string]int{}, Right: map[string]int{}, Counts: map[string][]int{}, Numbers: map[string]NumbersView{}, Texts: map[string][]WordsView{},
	}
	for _, q := range t.Questions {
		view.Gave[q.ID] = q.Answered
		if q.Held {
			view.HeldBack = append(view.HeldBack, q.ID)
		}
		if q.Held || t.Held {
			continue
		}
		if q.Correct != nil {
			view.Right[q.ID] = q.Right
		}
		switch {
		case q.Kind.Worded():
			view.Texts[q.ID] = []WordsView{}
			for _, w := range q.Texts {
				view.Texts[q.ID] = append(view.Texts[q.ID], WordsView(w))
			}
		case q.Kind != survey.Number:
			view.Counts[q.ID] = q.Counts
		}
		if (q.Kind == survey.Scale || q.Kind == survey.Number) && q.Answered > 0 {
			view.Numbers[q.ID] = NumbersView{Mean: q.Mean, Median: q.Median, Values: q.Values}
		}
	}
	return view
}

func draftView(one survey.Saved, own bool) DraftView {
	return DraftView{
		ID: one.ID, To: one.To, Title: one.Title, Intro: one.Intro, Mode: string(modeOf(one.Mode)), Questions: questionViews(one.Questions, true),
		After: one.After, Opens: one.Opens, Closes: one.Closes, Small: one.Small, Template: one.Template, Own: own, Changed: one.Changed,
		Rev: one.Rev, Problem: one.Problem,
	}
}

func modeOf(mode survey.Mode) survey.Mode {
	if mode == "" {
		return survey.Identified
	}
	return mode
}
