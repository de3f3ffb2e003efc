package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// listed writes the directory of tenant t.
func listed(t *testing.T, topics *messaging.Topics) string {
	t.Helper()
	all, err := topics.Directory(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, one := range all {
		out += fmt.Sprintf("%s=%s ", one.Name, one.Class)
	}
	return out
}

func TestTheDirectoryListsWhatWasAppendedTo(t *testing.T) {
	log := newLog(t)
	nodes := []*messaging.Topics{newListedNode(t, log, messaging.TopicsOptions{}), newListedNode(t, log, messaging.TopicsOptions{})}
	if got := listed(t, nodes[0]); got != "" {
		t.Errorf("a tenant without topics has %s", got)
	}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			name := []string{"all", "user:p", "survey:s", "presence", "cursors", "sent:p"}[i%6]
			if _, err := nodes[i%2].Append(t.Context(), "t", name, message("", "x")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	appendAll(t, nodes[0], "u", "of another tenant", "x")
	const want = "all=notices cursors=internal presence=presence sent:p=notices survey:s=classroom topics=internal user:p=notices "
	for _, node := range append(nodes, newListedNode(t, log, messaging.TopicsOptions{})) {
		if got := listed(t, node); got != want {
			t.Errorf("listed %s, want %s", got, want)
		}
	}
	page, err := nodes[0].Read(t.Context(), "t", "topics", messaging.Pos{}, 100)
	if err != nil || len(page.Items) != 6 {
		t.Errorf("the directory has %d entries, %v", len(page.Items), err)
	}
	for range 2 {
		if err := nodes[0].Drop(t.Context(), "t", "survey:s"); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(t, nodes[1]); got != "all=notices cursors=internal presence=presence sent:p=notices topics=internal user:p=notices " {
		t.Errorf("after dropping: %s", got)
	}
	if got := show(readAll(t, nodes[1], "t", "survey:s", messaging.Pos{})); got != "" {
		t.Errorf("the dropped topic holds %s", got)
	}
	appendAll(t, nodes[0], "t", "survey:s", "again")
	if got := listed(t, nodes[1]); got != want {
		t.Errorf("made again: %s", got)
	}
}

// A topic that could not be listed takes nothing: nobody would ever discard it.
func TestNothingIsAppendedUnlisted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	node := newListedNode(t, newLog(t), messaging.TopicsOptions{})
	if _, err := node.Append(ctx, "t", "all", message("", "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := show(readAll(t, node, "t", "all", messaging.Pos{})) + listed(t, node); got != "" {
		t.Errorf("there is %s", got)
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func notices(t *testing.T, node *messaging.Topics, name string, minutes ...int) {
	t.Helper()
	for _, m := range minutes {
		e, err := messaging.NewEvent(messaging.TypeNotice, "x", noon.Add(time.Duration(m)*time.Minute), map[string]int{"minute": m})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := node.Append(t.Context(), "t", name, msg); err != nil {
			t.Fatal(err)
		}
	}
}

// minutes are those of the events that are left.
func minutes(t *testing.T, node *messaging.Topics, name string) string {
	t.Helper()
	page, err := node.Read(t.Context(), "t", name, messaging.Pos{}, 1000)
	if lost, ok := errors.AsType[*messaging.PosLostError](err); ok {
		page, err = node.Read(t.Context(), "t", name, lost.Floor, 1000)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, it := range page.Items {
		e, err := messaging.ParseEvent(it.Body)
		if err != nil {
			out += "? "
			continue
		}
		var data struct{ Minute int }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprint(data.Minute, " ")
	}
	return out
}

func TestSec45_EventsAreDiscardedByTheirTime(t *testing.T) {
	log := newLog(t)
	node, other := newListedNode(t, log, messaging.TopicsOptions{}), newListedNode(t, log, messaging.TopicsOptions{})
	notices(t, node, "all", 0, 1, 2)
	appendAll(t, node, "t", "all", "no event")
	notices(t, node, "all", 3, 2, 5)
	for _, c := range []struct {
		before int
		gone   int
		want   string
	}{
		{0, 0, "0 1 2 ? 3 2 5 "},
		{2, 2, "2 ? 3 2 5 "},
		{3, 1, "? 3 2 5 "}, // what is no event goes with what follows it
		{3, 0, "? 3 2 5 "},
		{5, 3, "5 "},
		{9, 1, ""},
		{9, 0, ""},
	} {
		gone, err := node.Discard(t.Context(), "t", "all", noon.Add(time.Duration(c.before)*time.Minute))
		if got := minutes(t, other, "all"); err != nil || gone != c.gone || got != c.want {
			t.Errorf("before minute %d: %d gone, left %s, %v; want %d and %s", c.before, gone, got, err, c.gone, c.want)
		}
	}
	notices(t, other, "all", 20)
	if got := minutes(t, node, "all"); got != "20 " {
		t.Errorf("left %s", got)
	}
	if gone, err := node.Discard(t.Context(), "t", "never there", noon); gone != 0 || err != nil {
		t.Errorf("of no topic: %d, %v", gone, err)
	}
}

// Several nodes that discard at once, while one writes, discard no more than one
// alone would.
func TestNodesDiscardTogether(t *testing.T) {
	log := newLog(t)
	var many []int
	for m := range 2500 {
		many = append(many, m)
	}
	notices(t, newListedNode(t, log, messaging.TopicsOptions{}), "all", many...)
	var wg sync.WaitGroup
	for range 3 {
		node := newListedNode(t, log, messaging.TopicsOptions{})
		wg.Go(func() {
			if _, err := node.Discard(t.Context(), "t", "all", noon.Add(2490*time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
	notices(t, newListedNode(t, log, messaging.TopicsOptions{}), "all", 2500)
	wg.Wait()
	if got := minutes(t, newListedNode(t, log, messaging.TopicsOptions{}), "all"); got != "2490 2491 2492 2493 2494 2495 2496 2497 2498 2499 2500 " {
		t.Errorf("left %s", got)
	}
}

type sum struct{ N int }

func foldSum(s *sum, _ messaging.Item) { s.N++ }

// Entries are removed behind a stored snapshot only, and whoever starts, or was
// behind, has the whole state.
func TestCompactingKeepsTheState(t *testing.T) {
	log := newLog(t)
	node := newListedNode(t, log, messaging.TopicsOptions{SnapshotEvery: 10})
	project := func(codec string, earlier ...string) *messaging.Projection[sum] {
		p := messaging.Project(newListedNode(t, log, messaging.TopicsOptions{SnapshotEvery: 10}), "t", "count", foldSum, messaging.JSON[sum](codec, earlier...))
		t.Cleanup(p.Close)
		return p
	}
	count := func(p *messaging.Projection[sum]) (n int) {
		t.Helper()
		if err := p.View(t.Context(), func(s *sum) { n = s.N }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	entries := func() (n int) {
		t.Helper()
		page, err := node.Read(t.Context(), "t", "count", messaging.Pos{}, 1000)
		if lost, ok := errors.AsType[*messaging.PosLostError](err); ok {
			page, err = node.Read(t.Context(), "t", "count", lost.Floor, 1000)
		}
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items)
	}
	behind := project("sum/1")
	appendAll(t, node, "t", "count", numbered(5)...)
	if n := count(behind); n != 5 {
		t.Fatalf("%d", n)
	}
	if err := node.Compact(t.Context(), "t", "count"); err != nil || entries() != 5 {
		t.Errorf("without a snapshot %d entries are left, %v", entries(), err)
	}
	more := make([]string, 30)
	appendAll(t, node, "t", "count", more...)
	p := project("sum/1")
	if n := count(p); n != 35 {
		t.Fatalf("%d", n)
	}
	for range 2 {
		if err := node.Compact(t.Context(), "t", "count"); err != nil || entries() != 0 {
			t.Errorf("behind the snapshot %d entries are left, %v", entries(), err)
		}
	}
	appendAll(t, node, "t", "count", "x", "y")
	if err := p.Compact(t.Context()); err != nil || entries() != 0 {
		t.Errorf("%d entries are left, %v", entries(), err)
	}
	for _, one := range []*messaging.Projection[sum]{behind, project("sum/1"), project("sum/2", "sum/1")} {
		if n := count(one); n != 37 {
			t.Errorf("a node counts %d", n)
		}
	}
	// What is in a snapshot of another version alone is not to be guessed.
	if err := project("sum/2").View(t.Context(), func(*sum) {}); !errors.Is(err, messaging.ErrUnavailable) {
		t.Errorf("of another version: %v", err)
	}
}
