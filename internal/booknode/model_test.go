package booknode

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// An entry is a live booking of an experiment's diary.
type entry struct {
	Key        string
	Start, End time.Duration
}

func (e entry) overlaps(start, end time.Duration) bool { return e.Start < end && start < e.End }

// input and output are one operation on one experiment, as porcupine sees it.
type input struct {
	Op         string
	Experiment string
	Key        string
	Start, End time.Duration // book
	By         time.Duration // extend
}

type output struct {
	Result string
	Diary  []entry
}

// model is a diary that does one thing at a time. Its state is the live bookings
// of one experiment, by start.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, op := range history {
			x := op.Input.(input).Experiment
			parts[x] = append(parts[x], op)
		}
		var out [][]porcupine.Operation
		for _, part := range parts {
			out = append(out, part)
		}
		return out
	},
	Init: func() any { return []entry(nil) },
	Step: func(state, in, out any) (bool, any) {
		diary, op, got := state.([]entry), in.(input), out.(output)
		result, after := step(diary, op)
		return result == got.Result && (op.Op != "read" || slices.Equal(got.Diary, diary)), after
	},
	Equal: func(a, b any) bool { return slices.Equal(a.([]entry), b.([]entry)) },
	DescribeOperation: func(in, out any) string {
		return fmt.Sprintf("%+v: %+v", in, out)
	},
}

// step is what one operation answers and leaves.
func step(diary []entry, op input) (result string, after []entry) {
	at := slices.IndexFunc(diary, func(e entry) bool { return e.Key == op.Key })
	meets := func(start, end time.Duration) bool {
		return slices.ContainsFunc(diary, func(e entry) bool { return e.Key != op.Key && e.overlaps(start, end) })
	}
	switch op.Op {
	case "book":
		if meets(op.Start, op.End) {
			return "clash", diary
		}
		after = append(slices.Clone(diary), entry{op.Key, op.Start, op.End})
		slices.SortFunc(after, func(a, b entry) int { return int(a.Start - b.Start) })
		return "ok", after
	case "extend":
		if at < 0 {
			return "gone", diary
		}
		if meets(diary[at].Start, diary[at].End+op.By) {
			return "clash", diary
		}
		after = slices.Clone(diary)
		after[at].End += op.By
		return "ok", after
	case "cancel":
		if at < 0 {
			return "ok", diary // it was cancelled before
		}
		return "ok", slices.Delete(slices.Clone(diary), at, at+1)
	}
	return "ok", diary // read
}

// The model finds what it is there to find.
func TestModelFindsDoubleAndLostBookings(t *testing.T) {
	const h = time.Hour
	book := func(key string, from, until time.Duration) input {
		return input{Op: "book", Experiment: "x", Key: key, Start: from * h, End: until * h}
	}
	read := func(entries ...entry) output { return output{Result: "ok", Diary: entries} }
	op := func(client int, call, ret int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Call: call, Return: ret, Input: in, Output: out}
	}
	ok, clash := output{Result: "ok"}, output{Result: "clash"}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		good    bool
	}{
		"back to back":    {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 1), ok), op(2, 1, 2, book("b", 1, 2), ok)}, true},
		"double":          {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 2), ok), op(2, 1, 2, book("b", 1, 3), ok)}, false},
		"one of two":      {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 2), ok), op(2, 1, 2, book("b", 1, 3), clash)}, true},
		"clash with none": {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 1), ok), op(2, 3, 4, book("b", 1, 3), clash)}, false},
		"lost":            {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 1), ok), op(2, 3, 4, input{Op: "read", Experiment: "x"}, read())}, false},
		"seen":            {[]porcupine.Operation{op(1, 1, 2, book("a", 0, 1), ok), op(2, 3, 4, input{Op: "read", Experiment: "x"}, read(entry{"a", 0, h}))}, true},
		"extended over another": {[]porcupine.Operation{
			op(1, 1, 2, book("a", 0, 1), ok), op(2, 3, 4, book("b", 1, 2), ok), op(1, 5, 6, input{Op: "extend", Experiment: "x", Key: "a", By: h}, ok),
		}, false},
		"cancelled, and still there": {[]porcupine.Operation{
			op(1, 1, 2, book("a", 0, 1), ok), op(1, 3, 4, input{Op: "cancel", Experiment: "x", Key: "a"}, ok), op(2, 5, 6, book("b", 0, 1), clash),
		}, false},
		"on another experiment": {[]porcupine.Operation{
			op(1, 1, 2, book("a", 0, 2), ok), op(2, 1, 2, input{Op: "book", Experiment: "y", Key: "b", Start: 0, End: h}, ok),
		}, true},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.good {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}
