package survey

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// What people say is in no entry and no state but sealed under their keys, and
// gone with them.
func TestSec45_AnErasedPersonsAnswersAreGone(t *testing.T) {
	log, keys := memory.New(), memory.NewPersonKeys()
	d := newNodeWith(t, log, keys)
	s := open(t, d, lesson())
	says := func(text string) map[string]Answer {
		return map[string]Answer{"how": {Options: []int{1}}, "why": {Text: text}}
	}
	for person, text := range map[lodge.PersonID]string{"ada": "hunter-of-ada", "eve": "hunter-of-eve"} {
		if _, err := d.Answer(t.Context(), tenant, s.ID, person, "Surname-of-"+string(person), says(text)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := d.topics.Read(t.Context(), tenant, "survey:"+s.ID, messaging.Pos{}, 100)
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d entries, %v", len(page.Items), err)
	}
	kept := ""
	for _, it := range page.Items {
		kept += string(it.Body)
	}
	err = d.shelf.With(tenant, topicOf(s.ID), func(p *messaging.Projection[state]) error {
		return p.View(t.Context(), func(s *state) {
			b, err := json.Marshal(s)
			if err != nil {
				t.Error(err)
			}
			kept += string(b)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(kept, "hunter") || strings.Contains(kept, "Surname") {
		t.Errorf("answers are in the clear: %s", kept)
	}

	if err := keys.Erase(t.Context(), tenant, "ada"); err != nil {
		t.Fatal(err)
	}
	for _, node := range []*Desk{d, newNodeWith(t, log, keys)} { // one that starts from the log
		if mine, err := node.Mine(t.Context(), tenant, s.ID, "ada"); err != nil || len(mine) != 0 {
			t.Errorf("she still says %v, %v", mine, err)
		}
		tally, err := node.Tally(t.Context(), tenant, s.ID)
		if err != nil || tally.Answered != 2 || tally.Of("how").Counts[1] != 1 || strings.Join(textsOf(tally)["why"], "|") != "hunter-of-eve" {
			t.Errorf("tally %+v, %v", tally, err)
		}
		var csv strings.Builder
		if err := node.CSV(t.Context(), tenant, s.ID, &csv); err != nil || strings.Contains(csv.String(), "ada") || !strings.Contains(csv.String(), "hunter-of-eve") {
			t.Errorf("csv %s, %v", csv.String(), err)
		}
	}
	if _, err := d.Answer(t.Context(), tenant, s.ID, "ada", "Ada", says("again")); !errors.Is(err, messaging.ErrErased) || lodge.CodeOf(err) != lodge.CodeForbidden {
		t.Errorf("answering again: %v", err)
	}
}

// Answers of before they were sealed count, and one sealed since replaces them.
func TestPlainAnswersOfBeforeStillCount(t *testing.T) {
	d, _ := newDesk(t)
	s := open(t, d, lesson())
	plain := entry{Kind: kindAnswered, Survey: s.ID, At: s.OpenedAt, By: "old", said: said{Name: "Old", Answers: map[string]Answer{"how": {Options: []int{0}}}}}
	msgs, err := plain.messages()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(msgs[0].Body), `"answers":{"how"`) {
		t.Fatalf("not as it was: %s", msgs[0].Body)
	}
	if _, err := d.topics.Append(t.Context(), tenant, "survey:"+s.ID, msgs...); err != nil {
		t.Fatal(err)
	}
	for i, answers := range []map[string]Answer{plain.Answers, {"how": {Options: []int{1}}}} {
		if i > 0 {
			answer(t, d, s.ID, "old", answers)
		}
		if mine, err := d.Mine(t.Context(), tenant, s.ID, "old"); err != nil || asJSON(t, mine) != asJSON(t, answers) {
			t.Errorf("%v, %v, want %v", mine, err, answers)
		}
		if tally, err := d.Tally(t.Context(), tenant, s.ID); err != nil || tally.Answered != 1 || tally.Of("how").Counts[i] != 1 {
			t.Errorf("%+v, %v", tally, err)
		}
	}
}
