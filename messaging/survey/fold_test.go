package survey

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// history draws the entries of a survey's topic, sensible and not, of one of some
// modes.
func history(rt *rapid.T, modes ...Mode) []messaging.Item {
	questions := lesson().Questions
	kinds := rapid.SampledFrom([]string{kindOpened, kindAnswered, kindAnswered, kindAnswered, kindAnswered, kindIssued, kindShow, kindReleased, kindClosed, "of-tomorrow", ""})
	items := []messaging.Item{}
	if rapid.Bool().Draw(rt, "well begun") {
		items = append(items, item(entry{Kind: kindOpened, Survey: "s", At: time.Unix(1, 0).UTC(), To: "all", Title: "T", Questions: questions,
			Mode: rapid.SampledFrom(modes).Draw(rt, "mode"), Small: rapid.IntRange(0, 3).Draw(rt, "small"), Pseudonyms: []byte("p")}))
	}
	for i := range rapid.IntRange(0, 30).Draw(rt, "entries") {
		e := entry{
			Kind:   kinds.Draw(rt, "kind"),
			Survey: rapid.SampledFrom([]string{"s", "s", "s", "s", "other", ""}).Draw(rt, "survey"),
			At:     time.Unix(int64(i+2), 0).UTC(),
			By:     lodge.PersonID(rapid.SampledFrom([]string{"a", "b", "c", "d", ""}).Draw(rt, "by")),
		}
		switch e.Kind {
		case kindOpened:
			e.Title, e.Questions = fmt.Sprint("T", i), questions
		case kindShow:
			e.Text, e.Show = rapid.SampledFrom([]string{"", "why~0~0", "why~1~0"}).Draw(rt, "words"), rapid.Bool().Draw(rt, "show")
		case kindIssued:
			e.Blinded = []byte{byte(i)}
		case kindAnswered:
			e.Answers = map[string]Answer{
				"how":  {Options: []int{rapid.IntRange(-1, 2).Draw(rt, "how")}},
				"rate": {Number: rapid.IntRange(-1, 7).Draw(rt, "rate")},
				"why":  {Text: rapid.String().Draw(rt, "why")},
			}
		}
		items = append(items, item(e))
	}
	return items
}

func item(e entry) messaging.Item {
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // an entry can always be written
	}
	return messaging.Item{Body: body}
}

func folded(items []messaging.Item) *state {
	var s state
	for _, it := range items {
		fold(&s, it)
	}
	return &s
}

func written(rt *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		rt.Fatal(err)
	}
	return string(b)
}

// A snapshot anywhere, and anything unknown anywhere, changes nothing.
func TestFoldIsTheSameThroughSnapshotsAndUnknownEntries(t *testing.T) {
	codec := messaging.JSON[state]("survey/3")
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, "", Identified, Pseudonymous, Unlinkable)
		want := written(rt, folded(items))
		cut := rapid.IntRange(0, len(items)).Draw(rt, "cut")
		data, err := codec.Marshal(folded(items[:cut]))
		if err != nil {
			rt.Fatal(err)
		}
		var s state
		if err := codec.Unmarshal(data, &s); err != nil {
			rt.Fatal(err)
		}
		for _, it := range items[cut:] {
			fold(&s, it)
		}
		if got := written(rt, &s); got != want {
			rt.Fatalf("through a snapshot %s, want %s", got, want)
		}
		noise := messaging.Item{Body: rapid.SampledFrom([][]byte{nil, []byte("{"), []byte(`[]`), []byte(`{"kind":"new","survey":"s","answers":{}}`), []byte(`{"kind":5}`)}).Draw(rt, "noise")}
		if got := written(rt, folded(slices.Insert(slices.Clone(items), cut, noise))); got != want {
			rt.Fatalf("with an unknown entry %s, want %s", got, want)
		}
	})
}

// What comes twice, or after the end, changes nothing.
func TestFoldTakesEachEntryOnceAndNoneAfterTheEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, "", Identified, Pseudonymous, Unlinkable)
		want := folded(items)
		twice := []messaging.Item{}
		for _, it := range items {
			twice = append(twice, it, it)
		}
		if got := folded(twice); written(rt, got) != written(rt, want) {
			rt.Fatalf("each twice: %s, want %s", written(rt, got), written(rt, want))
		}
		if want.ClosedAt.IsZero() {
			return
		}
		// Words are looked at, and results released, also when it is closed.
		later := folded(append(slices.Clone(items), history(rt, Identified)...))
		later.Shown, later.ReleasedAt = want.Shown, want.ReleasedAt
		if written(rt, later) != written(rt, want) {
			rt.Fatalf("after the end: %s, want %s", written(rt, later), written(rt, want))
		}
	})
}

// A person counts once, with the last answer while the survey was open, and the
// tally adds up.
func TestFoldCountsEachPersonOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		items := history(rt, "", Identified)
		last := map[lodge.PersonID]entry{}
		opened, closed := false, false
		for _, it := range items {
			var e entry
			if err := json.Unmarshal(it.Body, &e); err != nil {
				rt.Fatal(err)
			}
			switch {
			case e.Kind == kindOpened && !opened && e.Survey != "":
				opened = true
				if e.Survey != "s" {
					return // every other entry is of no concern then, or of another id
				}
			case !opened || closed || e.Survey != "s":
			case e.Kind == kindClosed:
				closed = true
			case e.Kind == kindAnswered && e.By != "":
				last[e.By] = e
			}
		}
		s := folded(items)
		tally := s.tally(ballotBox{})
		if tally.Answered != len(last) {
			rt.Fatalf("%d people, want %d", tally.Answered, len(last))
		}
		var how, rate, why int
		for person, e := range last {
			if got := s.mine(person); written(rt, got) != written(rt, e.Answers) {
				rt.Fatalf("%s answered %s, want %s", person, written(rt, got), written(rt, e.Answers))
			}
			if o := e.Answers["how"].Options[0]; o == 0 || o == 1 {
				how++
			}
			if n := e.Answers["rate"].Number; n >= 1 && n <= 5 {
				rate++
			}
			why++
		}
		if !opened {
			return
		}
		sum := func(counts []int) (n int) {
			for _, c := range counts {
				n += c
			}
			return n
		}
		if sum(tally.Of("how").Counts) != how || sum(tally.Of("rate").Counts) != rate || len(textsOf(tally)["why"]) != why {
			rt.Fatalf("counts %v and %d texts, want %d, %d, %d", countsOf(tally), len(textsOf(tally)["why"]), how, rate, why)
		}
	})
}

func TestIndexFollowsTheFirstOpeningAndTheFirstClosing(t *testing.T) {
	var x index
	for _, e := range []entry{
		{Kind: kindClosed, Survey: "a", At: time.Unix(1, 0)}, // never opened
		{Kind: kindOpened, Survey: "a", Title: "A", At: time.Unix(2, 0)},
		{Kind: kindOpened, Survey: "a", Title: "Not A", At: time.Unix(3, 0)},
		{Kind: kindOpened, Title: "Nameless"},
		{Kind: kindClosed, Survey: "a", At: time.Unix(4, 0), Answered: 7},
		{Kind: kindClosed, Survey: "a", At: time.Unix(5, 0), Answered: 8},
		{Kind: "of-tomorrow", Survey: "b"},
	} {
		foldIndex(&x, item(e))
	}
	foldIndex(&x, messaging.Item{Body: []byte("{")})
	s := x.Surveys["a"]
	if len(x.Surveys) != 1 || s.Title != "A" || s.Answered != 7 || !s.ClosedAt.Equal(time.Unix(4, 0)) {
		t.Errorf("listed: %+v", s)
	}
}

func FuzzFold(f *testing.F) {
	f.Add([]byte(`{"kind":"opened","survey":"s","questions":[{"id":"q","kind":"scale","max":-4}]}`), []byte(`{"kind":"answered","survey":"s","by":"p","answers":{"q":{"number":9,"options":[4]}}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := folded([]messaging.Item{{Body: first}, {Body: second}})
		s.tally(ballotBox{})
		if err := s.writeCSV(io.Discard, ballotBox{}); err != nil {
			t.Error(err)
		}
	})
}

// The list of surveys, too, is the same through a snapshot anywhere and with each entry
// twice; and nothing on it is a draft and open at once, or ends when it has.
func TestTheListIsTheSameThroughSnapshotsAndRepeats(t *testing.T) {
	kinds := rapid.SampledFrom([]string{kindOpened, kindOpened, kindClosed, kindReleased, kindTold, kindEnding, kindDropped, kindDrafted, kindDrafted, kindUndrafted, "of-tomorrow"})
	ids := rapid.SampledFrom([]string{"s", "r", ""})
	codec := messaging.JSON[index]("surveys/2")
	rapid.Check(t, func(rt *rapid.T) {
		var items []messaging.Item
		for i := range rapid.IntRange(0, 30).Draw(rt, "entries") {
			e := entry{Kind: kinds.Draw(rt, "kind"), Survey: ids.Draw(rt, "survey"), At: time.Unix(int64(i+1), 0).UTC(), By: "a", Told: rapid.SampledFrom([]string{Opened, Closed}).Draw(rt, "told"), Answered: i}
			if e.Kind == kindDrafted {
				e.Draft = &Saved{Draft: Draft{ID: e.Survey, Title: "T"}, Rev: i}
			}
			items = append(items, item(e))
		}
		cut := rapid.IntRange(0, len(items)).Draw(rt, "cut")
		var whole, halved, twice index
		for i, it := range items {
			if i == cut {
				data, err := codec.Marshal(&halved)
				halved = index{}
				if err == nil {
					err = codec.Unmarshal(data, &halved)
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			for _, x := range []*index{&whole, &halved, &twice, &twice} {
				foldIndex(x, it)
			}
		}
		if a, b, c := written(rt, &whole), written(rt, &halved), written(rt, &twice); a != b || a != c {
			rt.Fatalf("%s, through a snapshot %s, each twice %s", a, b, c)
		}
		for id, s := range whole.Surveys {
			if whole.Drafts[id] != nil || s.Ending && !s.open() {
				rt.Fatalf("%s is %+v and %+v", id, s, whole.Drafts[id])
			}
		}
	})
}
