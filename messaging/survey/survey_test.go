package survey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant lodge.Tenant = "t"

var grace = lodge.Principal{Tenant: tenant, Person: "p-grace", Name: "Grace"}

// clock is a lodge.Clock that moves a second at each look.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)} }

// keys are those of the people of all tests, save where people are erased.
var keys = memory.NewPersonKeys()

// newNode returns a desk on a log, as one more node would have it.
func newNode(t *testing.T, log messaging.Log) *Desk { return newNodeWith(t, log, keys) }

func newNodeWith(t *testing.T, log messaging.Log, keys messaging.PersonKeys) *Desk {
	t.Helper()
	root := []byte("0123456789abcdef0123456789abcdef")
	topics, err := messaging.NewTopics(log, messaging.Keyring{
		Names: root, Seals: map[string][]byte{"k1": root}, Current: "k1",
	}, messaging.TopicsOptions{SnapshotEvery: 50})
	if err != nil {
		t.Fatal(err)
	}
	d := NewDesk(topics, keys, newClock())
	t.Cleanup(d.Release)
	return d
}

func newDesk(t *testing.T) (*Desk, messaging.Log) {
	log := memory.New()
	return newNode(t, log), log
}

// lesson is a draft with a question of each kind.
func lesson() Draft {
	return Draft{To: "group:physics-1", Title: "Pendulum", Questions: []Question{
		{ID: "how", Kind: Single, Text: "How was it?", Options: []string{"Good", "Bad"}, Required: true},
		{ID: "what", Kind: Multiple, Text: "What did you use?", Options: []string{"Drive", "Camera", "Plot"}},
		{ID: "rate", Kind: Scale, Text: "How hard?", Max: 5},
		{ID: "why", Kind: Text, Text: "Anything else?"},
	}}
}

func open(t *testing.T, d *Desk, draft Draft) Survey {
	t.Helper()
	s, err := d.Open(t.Context(), tenant, grace, draft)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answer(t *testing.T, d *Desk, id string, person lodge.PersonID, answers map[string]Answer) Survey {
	t.Helper()
	s, err := d.Answer(t.Context(), tenant, id, person, "Name of "+string(person), answers)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t *testing.T, what string, err error, code lodge.Code) {
	t.Helper()
	if lodge.CodeOf(err) != code {
		t.Fatalf("%s: %v, want code %s", what, err, code)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSurveyFromOpenToClosed(t *testing.T) {
	d, log := newDesk(t)
	ctx := t.Context()
	s := open(t, d, lesson())
	if !s.Open() || s.Answered != 0 || s.By != grace.Person || len(s.Questions) != 4 || s.OpenedAt.IsZero() {
		t.Fatalf("opened: %+v", s)
	}
	answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{0}}, "what": {Options: []int{2, 0}}, "rate": {Number: 5}, "why": {Text: " more time "}})
	answer(t, d, s.ID, "soren", map[string]Answer{"how": {Options: []int{0}}, "rate": {Number: 1}})
	// Ada thinks again: hers is replaced, and keeps its place.
	if s = answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{1}}, "what": {Options: []int{2, 0}}, "why": {Text: "less"}}); s.Answered != 2 {
		t.Fatalf("%d people answered, want 2", s.Answered)
	}
	check := func(d *Desk) {
		t.Helper()
		tally, err := d.Tally(ctx, tenant, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := asJSON(t, countsOf(tally)), `{"how":[1,1],"rate":[1,0,0,0,0],"what":[1,0,1]}`; got != want {
			t.Errorf("counts %s, want %s", got, want)
		}
		if got, want := asJSON(t, textsOf(tally)), `{"why":["less"]}`; got != want {
			t.Errorf("texts %s, want %s", got, want)
		}
		mine, err := d.Mine(ctx, tenant, s.ID, "ada")
		if got, want := asJSON(t, mine), `{"how":{"options":[1]},"what":{"options":[0,2]},"why":{"text":"less"}}`; got != want || err != nil {
			t.Errorf("ada's %s, want %s; %v", got, want, err)
		}
		if mine, err := d.Mine(ctx, tenant, s.ID, "grace"); mine != nil || err != nil {
			t.Errorf("who did not answer has %v, %v", mine, err)
		}
	}
	check(d)
	check(newNode(t, log))
	for range 2 {
		closed, err := d.Close(ctx, tenant, s.ID, grace)
		if err != nil || closed.Open() || closed.Answered != 2 {
			t.Fatalf("closed: %+v, %v", closed, err)
		}
		if !s.ClosedAt.IsZero() && !closed.ClosedAt.Equal(s.ClosedAt) {
			t.Fatalf("closed at %v, then at %v", s.ClosedAt, closed.ClosedAt)
		}
		s = closed
	}
	check(newNode(t, log))
	_, err := d.Answer(ctx, tenant, s.ID, "late", "Late", map[string]Answer{"how": {Options: []int{0}}})
	wantCode(t, "answer after closing", err, lodge.CodeConflict)
	// The repetition of an answer that made it is told so.
	answer(t, d, s.ID, "soren", map[string]Answer{"how": {Options: []int{0}}, "rate": {Number: 1}})
	check(d)
}

func TestListIsNewestFirstAndTheSameOnEveryNode(t *testing.T) {
	d, log := newDesk(t)
	var ids []string
	for i := range 5 {
		draft := lesson()
		draft.Title = fmt.Sprint("Survey ", i)
		s := open(t, d, draft)
		answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{0}}})
		if i%2 == 0 {
			if _, err := d.Close(t.Context(), tenant, s.ID, grace); err != nil {
				t.Fatal(err)
			}
		}
		ids = append([]string{s.ID}, ids...)
	}
	for _, d := range []*Desk{d, newNode(t, log)} {
		all, err := d.List(t.Context(), tenant)
		if err != nil || len(all) != 5 {
			t.Fatalf("%d surveys, %v", len(all), err)
		}
		for i, s := range all {
			if s.ID != ids[i] || s.Answered != 1 || s.Open() != (i%2 == 1) || len(s.Questions) != 4 {
				t.Errorf("survey %d: %+v, want %s", i, s, ids[i])
			}
		}
		if other, err := d.List(t.Context(), "other"); err != nil || len(other) != 0 {
			t.Errorf("another tenant has %v, %v", other, err)
		}
		for what, call := range map[string]func() error{
			"get":     func() error { _, err := d.Get(t.Context(), "other", ids[0]); return err },
			"tally":   func() error { _, err := d.Tally(t.Context(), "other", ids[0]); return err },
			"mine":    func() error { _, err := d.Mine(t.Context(), "other", ids[0], "ada"); return err },
			"csv":     func() error { return d.CSV(t.Context(), "other", ids[0], &strings.Builder{}) },
			"close":   func() error { _, err := d.Close(t.Context(), "other", ids[0], grace); return err },
			"answer":  func() error { _, err := d.Answer(t.Context(), "other", ids[0], "ada", "Ada", nil); return err },
			"made up": func() error { _, err := d.Get(t.Context(), tenant, "../nowhere"); return err },
		} {
			wantCode(t, what, call(), lodge.CodeNotFound)
		}
	}
}

func TestOpeningMayBeRepeated(t *testing.T) {
	d, log := newDesk(t)
	draft := lesson()
	draft.ID = "key-1"
	draft.Questions[3].Options = []string{} // as a JSON body may have it
	first := open(t, d, draft)
	again := open(t, newNode(t, log), draft)
	if first.ID != "key-1" || again.ID != first.ID || !again.OpenedAt.Equal(first.OpenedAt) {
		t.Fatalf("opened %+v, then %+v", first, again)
	}
	if all, err := d.List(t.Context(), tenant); err != nil || len(all) != 1 {
		t.Fatalf("%d surveys, %v", len(all), err)
	}
	draft.Title = "Another"
	_, err := d.Open(t.Context(), tenant, grace, draft)
	wantCode(t, "another survey with that id", err, lodge.CodeConflict)
}

// cut is a log that fails at its nth append, as a process does that dies there.
type cut struct {
	messaging.Log
	mu   sync.Mutex
	left int
}

func (c *cut) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	c.mu.Lock()
	c.left--
	dead := c.left < 0
	c.mu.Unlock()
	if dead {
		return nil, messaging.ErrUnavailable
	}
	return c.Log.Append(ctx, topic, msgs, ifHead)
}

func TestWhatWasCutOffIsCompletedByRepeating(t *testing.T) {
	log := memory.New()
	draft := lesson()
	draft.ID = "key-1"
	_, err := newNode(t, &cut{Log: log, left: 1}).Open(t.Context(), tenant, grace, draft)
	wantCode(t, "opening", err, lodge.CodeUnavailable)
	d := newNode(t, log)
	open(t, d, draft)
	answer(t, d, "key-1", "ada", map[string]Answer{"how": {Options: []int{0}}})
	_, err = newNode(t, &cut{Log: log, left: 2}).Close(t.Context(), tenant, "key-1", grace)
	wantCode(t, "closing", err, lodge.CodeUnavailable)
	for range 2 {
		all, err := newNode(t, log).List(t.Context(), tenant)
		if err != nil || len(all) != 1 || all[0].Open() || all[0].Answered != 1 {
			t.Fatalf("listed: %+v, %v", all, err)
		}
		if _, err := d.Close(t.Context(), tenant, "key-1", grace); err != nil {
			t.Fatal(err)
		}
	}
}

// A closing that was cut off, wherever, is due until it is whole: the ballots' key is
// not left behind, and nobody is asked any more.
func TestAClosingThatWasCutOffIsDue(t *testing.T) {
	for left := 1; left <= 2; left++ {
		log := memory.New()
		d := newNode(t, log)
		draft := lesson()
		draft.Mode, draft.After = Unlinkable, true
		s := open(t, d, draft)
		_, err := newNode(t, &cut{Log: log, left: left}).Close(t.Context(), tenant, s.ID, grace)
		wantCode(t, "closing", err, lodge.CodeUnavailable)
		due, err := d.Due(t.Context(), tenant)
		if err != nil || !slices.Equal(due.Close, []string{s.ID}) || len(due.After) != 0 {
			t.Fatalf("cut off after %d: %+v, %v", left, due, err)
		}
		if _, err := d.Close(t.Context(), tenant, s.ID, lodge.Principal{}); err != nil {
			t.Fatal(err)
		}
		if due, err := d.Due(t.Context(), tenant); err != nil || len(due.Close)+len(due.After) != 0 || len(due.Tell) != 1 || due.Tell[0].Open() {
			t.Errorf("afterwards %+v, %v", due, err)
		}
		if _, err := d.keys.Key(t.Context(), tenant, keyOwner(s.ID)); !errors.Is(err, messaging.ErrErased) {
			t.Errorf("the key that ballots were signed with: %v", err)
		}
	}
}

// However many submissions race on however many nodes, there is one answer a
// person.
func TestRel24_ThousandRacingSubmissionsAreOneAnswerAPerson(t *testing.T) {
	for name, people := range map[string]int{"one person": 1, "ten people": 10, "a thousand people": 1000} {
		t.Run(name, func(t *testing.T) {
			d, log := newDesk(t)
			nodes := []*Desk{d, newNode(t, log), newNode(t, log)}
			s := open(t, d, lesson())
			const submissions = 1000
			start := make(chan struct{})
			var wg sync.WaitGroup
			for i := range submissions {
				wg.Go(func() {
					<-start
					person := lodge.PersonID(fmt.Sprint("p", i%people))
					_, err := nodes[i%len(nodes)].Answer(t.Context(), tenant, s.ID, person, "P",
						map[string]Answer{"how": {Options: []int{i / people % 2}}, "rate": {Number: 1 + i/people%5}})
					if err != nil {
						t.Errorf("submission %d: %v", i, err)
					}
				})
			}
			close(start)
			wg.Wait()
			var first string
			for _, d := range append(nodes, newNode(t, log)) {
				tally, err := d.Tally(t.Context(), tenant, s.ID)
				if err != nil {
					t.Fatal(err)
				}
				if n := tally.Of("how").Counts[0] + tally.Of("how").Counts[1]; n != people || tally.Answered != people {
					t.Errorf("%d answers of %d people, want %d", n, tally.Answered, people)
				}
				counts := asJSON(t, countsOf(tally))
				if first == "" {
					first = counts
				}
				if counts != first {
					t.Errorf("one node counts %s, another %s", first, counts)
				}
			}
		})
	}
}

// Closing and answering race: what Answer said is in, is in, and stays.
func TestAnswersRacingWithClosingCountIfAccepted(t *testing.T) {
	for round := range 20 {
		d, log := newDesk(t)
		nodes := []*Desk{d, newNode(t, log)}
		s := open(t, d, lesson())
		accepted := make(chan struct{}, 40)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if i == 10+round {
					if _, err := nodes[i%2].Close(t.Context(), tenant, s.ID, grace); err != nil {
						t.Errorf("close: %v", err)
					}
					return
				}
				_, err := nodes[i%2].Answer(t.Context(), tenant, s.ID, lodge.PersonID(fmt.Sprint("p", i)), "P", map[string]Answer{"how": {Options: []int{0}}})
				switch lodge.CodeOf(err) {
				case "":
					accepted <- struct{}{}
				case lodge.CodeConflict:
				default:
					t.Errorf("answer: %v", err)
				}
			})
		}
		wg.Wait()
		tally, err := newNode(t, log).Tally(t.Context(), tenant, s.ID)
		if err != nil || tally.Answered != len(accepted) {
			t.Fatalf("%d answers count, %d were accepted; %v", tally.Answered, len(accepted), err)
		}
	}
}

// More surveys than are kept in memory go on working.
func TestSurveysLeaveMemoryAndComeBack(t *testing.T) {
	d, _ := newDesk(t)
	var ids []string
	for range keepIdle + 20 {
		s := open(t, d, lesson())
		ids = append(ids, s.ID)
		answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{1}}})
	}
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := d.Answer(t.Context(), tenant, id, "soren", "Søren", map[string]Answer{"how": {Options: []int{0}}}); err != nil {
					t.Error(err)
				}
			}
			if s, err := d.Get(t.Context(), tenant, id); err != nil || s.Answered != 2-i%2 {
				t.Errorf("survey %d: %+v, %v", i, s, err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, id := range ids {
		if d.shelf.Has(tenant, topicOf(id)) {
			n++
		}
	}
	if n != keepIdle {
		t.Errorf("%d surveys are in memory, want %d", n, keepIdle)
	}
}

// countsOf are the counts of the questions that have some.
func countsOf(t Tally) map[string][]int {
	all := map[string][]int{}
	for _, r := range t.Questions {
		if r.Counts != nil {
			all[r.ID] = r.Counts
		}
	}
	return all
}

func textsOf(t Tally) map[string][]string {
	all := map[string][]string{}
	for _, r := range t.Questions {
		for _, w := range r.Texts {
			all[r.ID] = append(all[r.ID], w.Text)
		}
	}
	return all
}
