package attendance

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// stay is a presence in the experiment, in minutes past ten.
func stay(from, to int) mark {
	return mark{Spans: map[Source]spans{FromExperiment: {{From: at(from).UnixMicro(), To: at(to).UnixMicro()}}}}
}

func TestRules(t *testing.T) {
	rules := terms{Late: 10 * time.Minute, Least: 5 * time.Minute}
	by := func(s State, minute int) mark {
		return mark{Changes: []Change{{State: s, Reason: "r", At: at(minute)}}}
	}
	sorry := func(state string) mark { return mark{Apology: Apology{Words: "ill", At: at(-60), State: state}} }
	for name, c := range map[string]struct {
		of     []mark
		state  State
		source Source
	}{
		"nothing":                          {nil, Absent, FromClosing},
		"in time":                          {[]mark{stay(2, 20)}, Present, FromExperiment},
		"to the minute":                    {[]mark{stay(10, 20)}, Present, FromExperiment},
		"late":                             {[]mark{stay(11, 20)}, Late, FromExperiment},
		"too short":                        {[]mark{stay(2, 6)}, Absent, FromRules},
		"short pieces":                     {[]mark{stay(2, 5), stay(30, 33)}, Present, FromExperiment},
		"a late tap":                       {[]mark{{ConfirmedAt: at(12)}}, Late, FromMember},
		"a late tap after a stay":          {[]mark{{ConfirmedAt: at(12)}, stay(1, 9)}, Present, FromExperiment},
		"a code":                           {[]mark{{CodeAt: at(3)}}, Present, FromCode},
		"messages alone":                   {[]mark{{Spans: map[Source]spans{FromMessages: {{From: at(1).UnixMicro(), To: at(50).UnixMicro()}}}}}, Absent, FromClosing},
		"an apology":                       {[]mark{sorry(Pending)}, Absent, FromClosing},
		"an accepted apology":              {[]mark{sorry(Accepted)}, Excused, FromApology},
		"an accepted apology, yet there":   {[]mark{sorry(Accepted), stay(2, 20)}, Present, FromExperiment},
		"a correction":                     {[]mark{stay(2, 20), by(Absent, 70)}, Absent, FromHand},
		"a correction of a correction":     {[]mark{by(Absent, 70), by(Excused, 80)}, Excused, FromHand},
		"a correction that was taken back": {[]mark{stay(20, 30), by(Absent, 70), by("", 80)}, Late, FromExperiment},
	} {
		var all mark
		for _, one := range c.of {
			all = all.with(one)
		}
		r := &register{Start: at(0), End: at(60), ClosedAt: at(60), terms: rules}
		if m := (&record{mark: all}).view("ada", r); m.State != c.state || m.Source != c.source {
			t.Errorf("%s: %s by %s, want %s by %s", name, m.State, m.Source, c.state, c.source)
		}
	}
}

var genMark = rapid.Custom(func(t *rapid.T) mark {
	minute := func(label string) int { return rapid.IntRange(0, 59).Draw(t, label) }
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		from := minute("from")
		return stay(from, from+rapid.IntRange(0, 20).Draw(t, "length"))
	case 1:
		return mark{ConfirmedAt: at(minute("tap"))}
	case 2:
		return mark{CodeAt: at(minute("code"))}
	case 3:
		return mark{Apology: Apology{Words: "ill", At: at(minute("sorry")), State: rapid.SampledFrom([]string{Pending, Accepted, Declined}).Draw(t, "decision"), DecidedAt: at(minute("decided"))}}
	case 4:
		return mark{Spans: map[Source]spans{FromMessages: {{From: at(minute("on")).UnixMicro(), To: at(59).UnixMicro()}}}}
	default:
		return mark{Changes: []Change{{State: rapid.SampledFrom([]State{Present, Late, Excused, Absent, ""}).Draw(t, "state"), Reason: "r", By: "grace", At: at(minute("change"))}}}
	}
})

func gathered(marks []mark) mark {
	var all mark
	for _, one := range marks {
		all = all.with(one)
	}
	return all
}

// In whatever order, and however often, what is known of a member adds up to one
// mark; more of their presence never makes it worse; and the last correction wins.
func TestMarksObeyTheirLaws(t *testing.T) {
	rank := map[State]int{Absent: 0, Expected: 0, Excused: 1, Late: 2, Present: 3}
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOfN(genMark, 0, 8).Draw(t, "marks")
		r := &register{Start: at(0), End: at(60), terms: terms{
			Late: time.Duration(rapid.IntRange(0, 30).Draw(t, "late")) * time.Minute, Least: time.Duration(rapid.IntRange(0, 20).Draw(t, "least")) * time.Minute,
		}}
		if rapid.Bool().Draw(t, "closed") {
			r.ClosedAt = at(60)
		}
		see := func(marks []mark) Mark { return (&record{mark: gathered(marks)}).view("ada", r) }
		sum := see(marks)
		if other := see(append(rapid.Permutation(marks).Draw(t, "order"), marks...)); !reflect.DeepEqual(sum, other) {
			t.Fatalf("%+v, in another order %+v", sum, other)
		}
		var last *Change
		for _, c := range gathered(marks).Changes {
			last = &c
		}
		if last != nil && last.State != "" && (sum.State != last.State || sum.Source != FromHand) {
			t.Fatalf("%s by %s, corrected to %s", sum.State, sum.Source, last.State)
		}
		more := genMark.Filter(func(m mark) bool { return len(m.Changes) == 0 && m.Apology.State == "" }).Draw(t, "more presence")
		if better := see(append(slices.Clone(marks), more)); rank[better.State] < rank[sum.State] {
			t.Fatalf("from %s to %s by more presence", sum.State, better.State)
		}
	})
}

// Whatever entries come, in whatever registers, folding them again gives the same,
// and so does going on from half of them, and each of them twice.
func TestFoldIsTheSameEachTime(t *testing.T) {
	kinds := []string{kindOpened, kindMarked, kindClosed, kindDropped, kindJoined, kindCorrected, kindPlanned, kindUnplanned, kindTold, "new"}
	rapid.Check(t, func(t *rapid.T) {
		var items []messaging.Item
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			e := entry{
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Register: rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "register"), At: at(rapid.IntRange(0, 9).Draw(t, "at")),
				Reason: rapid.SampledFrom([]string{"", "no"}).Draw(t, "reason"), Told: Opened,
			}
			e.Members = map[lodge.PersonID]string{"ada": ""}
			e.Marks = map[lodge.PersonID]sealed{"ada": {byte(len(items))}}
			m, err := e.message()
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, messaging.Item{Body: m.Body})
		}
		codec := messaging.JSON[state]("x")
		var whole, halved, twice state
		cut := rapid.IntRange(0, len(items)).Draw(t, "snapshot")
		for i, it := range items {
			for _, s := range []*state{&whole, &halved, &twice, &twice} {
				fold(s, it)
			}
			if i == cut {
				data, err := codec.Marshal(&halved)
				halved = state{}
				if err == nil {
					err = codec.Unmarshal(data, &halved)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		a, err := codec.Marshal(&whole)
		b, err2 := codec.Marshal(&halved)
		c, err3 := codec.Marshal(&twice)
		if errors.Join(err, err2, err3) != nil || string(a) != string(b) || string(a) != string(c) {
			t.Fatalf("%s, through a snapshot %s, each twice %s (%v)", a, b, c, errors.Join(err, err2, err3))
		}
		for id, r := range whole.Registers {
			if whole.Plans[id] != nil {
				t.Fatalf("%s is planned and open", id)
			}
			for _, rec := range r.Members {
				if rec == nil {
					t.Fatal("a member of whom nothing is kept")
				}
			}
		}
	})
}
