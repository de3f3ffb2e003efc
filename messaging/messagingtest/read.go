package messagingtest

import (
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var reading = []property{
	{"a topic nobody wrote to is empty", readEmpty},
	{"reading resumes from every position, by pages of any size", readEverywhere},
	{"a limit of 0 gives the bounds", readBounds},
	{"large bodies come in pages that go on", readLarge},
	{"heads come in the order asked for", readHeads},
}

func readEmpty(t *testing.T, log messaging.Log) {
	p := page(t, log, topic, messaging.Pos{}, 10)
	back, err := log.ReadBack(within(t), topic, messaging.Pos{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []messaging.Page{p, back} {
		if len(p.Entries) != 0 || p.More || !p.Floor.IsZero() || !p.Head.IsZero() {
			t.Fatalf("an empty topic reads %+v", p)
		}
	}
	if head := headOf(t, log, topic); !head.IsZero() {
		t.Fatalf("its head is %+v", head)
	}
}

func readEverywhere(t *testing.T, log messaging.Log) {
	const n = 12
	want := fill(t, log, topic, "m", n)
	head := want[n-1].Pos
	check := func(what string, p messaging.Page, err error, want []messaging.Entry, limit int) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		same(t, what, p.Entries, want[:min(limit, len(want))])
		if p.More != (len(want) > limit) || !p.Floor.IsZero() || p.Head != head {
			t.Fatalf("%s: more %v, floor %+v, head %+v", what, p.More, p.Floor, p.Head)
		}
	}
	for from := range n + 1 {
		var at messaging.Pos
		if from > 0 {
			at = want[from-1].Pos
		}
		for limit := 1; limit <= n+1; limit++ {
			p, err := log.Read(within(t), topic, at, limit)
			check(fmt.Sprintf("%d after %d", limit, from), p, err, want[from:], limit)
			before := reversed(want[:max(from-1, 0)])
			if from == 0 {
				before = reversed(want)
			}
			p, err = log.ReadBack(within(t), topic, at, limit)
			check(fmt.Sprintf("%d before %d", limit, from), p, err, before, limit)
		}
	}
}

func readBounds(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	discard(t, log, topic, want[0].Pos)
	for what, c := range map[string]struct {
		at   messaging.Pos
		more bool
	}{"floor": {want[0].Pos, true}, "middle": {want[1].Pos, true}, "head": {want[2].Pos, false}} {
		p := page(t, log, topic, c.at, 0)
		if len(p.Entries) != 0 || p.More != c.more || p.Floor != want[0].Pos || p.Head != want[2].Pos {
			t.Fatalf("from the %s: %+v", what, p)
		}
	}
	p, err := log.ReadBack(within(t), topic, messaging.Pos{}, 0)
	if err != nil || len(p.Entries) != 0 || !p.More || p.Floor != want[0].Pos || p.Head != want[2].Pos {
		t.Fatalf("back: %+v, %v", p, err)
	}
}

func readLarge(t *testing.T, log messaging.Log) {
	var want []messaging.Entry
	for i := range 12 {
		m := msg(fmt.Sprint("m", i))
		m.Body = make([]byte, messaging.MaxBody)
		m.Body[i] = 1
		want = append(want, messaging.Entry{Pos: put(t, log, topic, m)[0], ID: m.ID, Body: m.Body})
	}
	same(t, "large bodies", all(t, log, topic, messaging.Pos{}, 100), want)
	same(t, "large bodies, back", allBack(t, log, topic, messaging.Pos{}, 100), reversed(want))
}

func readHeads(t *testing.T, log messaging.Log) {
	a := put(t, log, "a", msgs("m", 3)...)[2]
	b := put(t, log, "b", msgs("m", 5)...)[4]
	got, err := log.Heads(within(t), []messaging.Topic{"b", "nobody", "a", "b"})
	if err != nil || len(got) != 4 || got[0] != b || !got[1].IsZero() || got[2] != a || got[3] != b {
		t.Fatalf("heads: %+v, %v", got, err)
	}
	if got, err := log.Heads(within(t), nil); err != nil || len(got) != 0 {
		t.Fatalf("heads of nothing: %+v, %v", got, err)
	}
	many := make([]messaging.Topic, 3000)
	for i := range many {
		many[i] = messaging.Topic(fmt.Sprint("topic", i))
	}
	many[2999] = "a"
	if got, err := log.Heads(within(t), many); err != nil || len(got) != 3000 || got[2999] != a || !got[0].IsZero() {
		t.Fatalf("3000 heads: %d, %v", len(got), err)
	}
}
