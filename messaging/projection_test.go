package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// A till is the state of the tests: who holds the one key, and what happened.
type till struct {
	Count  int
	Holder string
	Told   []string
	Seen   map[string]bool
}

func foldTill(s *till, it messaging.Item) {
	verb, who, _ := strings.Cut(string(it.Body), " ")
	switch verb {
	case "take":
		s.Holder = who
	case "tell":
		s.Told = append(s.Told, who)
	default:
		return
	}
	s.Count++
	if s.Seen == nil {
		s.Seen = make(map[string]bool)
	}
	s.Seen[it.ID] = true
}

var errTaken = errors.New("taken")

func newTill(t testing.TB, node *messaging.Topics, version string) *messaging.Projection[till] {
	p := messaging.Project(node, "t", "till", foldTill, messaging.JSON[till](version))
	t.Cleanup(p.Close)
	return p
}

func view(t testing.TB, p *messaging.Projection[till]) (got till) {
	t.Helper()
	if err := p.View(testContext(t), func(s *till) { got = *s }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAProjectionFoldsWhatEveryNodeAppended(t *testing.T) {
	log := newLog(t)
	a, b := newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})
	p, q := newTill(t, a, "1"), newTill(t, b, "1")
	if got := view(t, p); got.Count != 0 {
		t.Errorf("%+v", got)
	}
	ctx := testContext(t)
	runNode(t, b)
	for i, p := range []*messaging.Projection[till]{p, q, p} {
		if err := p.Append(ctx, message("", fmt.Sprintf("tell %d", i)), message("", "something newer")); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*messaging.Projection[till]{p, q} {
		if got := view(t, p); got.Count != 3 || strings.Join(got.Told, "") != "012" {
			t.Errorf("%+v", got)
		}
	}
	select {
	case <-q.Changed():
	case <-ctx.Done():
		t.Error("nothing changed")
	}
}

func TestOneOfManyDecidersWins(t *testing.T) {
	const deciders, rounds = 24, 5
	log := newLog(t)
	nodes := []*messaging.Topics{newNode(t, log, messaging.TopicsOptions{SnapshotEvery: 3}), newNode(t, log, messaging.TopicsOptions{SnapshotEvery: 3})}
	ctx := testContext(t)
	for round := range rounds {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var winners []string
		for d := range deciders {
			wg.Go(func() {
				p := newTill(t, nodes[d%2], "1")
				who := fmt.Sprintf("%d-%d", round, d)
				err := p.Decide(ctx, func(s *till) ([]messaging.Message, error) {
					if strings.HasPrefix(s.Holder, fmt.Sprint(round)) {
						return nil, errTaken
					}
					return []messaging.Message{message("", "take "+who), message("", "tell "+who)}, nil
				})
				if err == nil {
					mu.Lock()
					winners = append(winners, who)
					mu.Unlock()
				} else if !errors.Is(err, errTaken) {
					t.Error(err)
				}
			})
			wg.Go(func() { // others go on meanwhile
				if _, err := nodes[d%2].Append(ctx, "t", "till", message("", "noise")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := view(t, newTill(t, nodes[round%2], "1"))
		if len(winners) != 1 || got.Holder != winners[0] || len(got.Told) != round+1 || got.Told[round] != winners[0] {
			t.Fatalf("%v won; the topic says %+v", winners, got)
		}
	}
}

// TestADecisionOfUnknownOutcomeIsNotTakenTwice loses the reply to the append:
// fn must not see its own decision as somebody else's.
func TestADecisionOfUnknownOutcomeIsNotTakenTwice(t *testing.T) {
	for _, f := range []fault{lostReply, lostRequest} {
		log := newLog(t)
		left := 2
		node := newNode(t, &faultyLog{Log: log, next: func() fault {
			if left--; left >= 0 {
				return f
			}
			return fine
		}}, messaging.TopicsOptions{})
		p := newTill(t, node, "1")
		calls := 0
		err := p.Decide(testContext(t), func(s *till) ([]messaging.Message, error) {
			calls++
			if s.Holder != "" {
				return nil, errTaken
			}
			return []messaging.Message{message("", "take me"), message("", "tell me")}, nil
		})
		if err != nil || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
		if got := view(t, p); got.Count != 2 {
			t.Errorf("%+v", got)
		}
	}
}

func TestDecideEndsWithItsContextOrRefusal(t *testing.T) {
	log := newLog(t)
	p := newTill(t, newNode(t, log, messaging.TopicsOptions{}), "1")
	if err := p.Decide(testContext(t), func(*till) ([]messaging.Message, error) { return nil, errTaken }); !errors.Is(err, errTaken) {
		t.Errorf("%v", err)
	}
	if err := p.Decide(testContext(t), func(*till) ([]messaging.Message, error) { return nil, nil }); err != nil {
		t.Errorf("deciding on nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err := p.View(ctx, func(*till) {
		cancel()
		if err := p.View(ctx, func(*till) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for one's turn: %v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// countingLog counts the entries that are read.
type countingLog struct {
	messaging.Log
	entries int
}

func (l *countingLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	page, err := l.Log.Read(ctx, topic, after, limit)
	l.entries += len(page.Entries)
	return page, err
}

func TestAProjectionStartsFromItsSnapshot(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	node := newNode(t, spy, messaging.TopicsOptions{SnapshotEvery: 10})
	ctx := testContext(t)
	writer := newTill(t, node, "1")
	for i := range 95 {
		if err := writer.Append(ctx, message("", fmt.Sprintf("tell %d", i))); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			view(t, writer)
		}
	}
	want := view(t, writer)
	if n := node.Stats(); n.Snapshots != 9 {
		t.Errorf("%+v", n)
	}
	topic := spy.last()
	start := func(version string) (got till, read int, n messaging.Stats) {
		counting := &countingLog{Log: log}
		node := newNode(t, counting, messaging.TopicsOptions{})
		got = view(t, newTill(t, node, version))
		return got, counting.entries, node.Stats()
	}
	if got, read, _ := start("1"); got.Count != want.Count || len(got.Told) != 95 || read != 5 {
		t.Errorf("%d entries read for %d", read, got.Count)
	}
	if got, read, n := start("2"); got.Count != want.Count || read != 95 || n.Rejected != 0 {
		t.Errorf("with another version: %d entries read for %d; %+v", read, got.Count, n)
	}

	// What lies behind the snapshot may be discarded.
	snap, rev, err := log.LoadSnapshot(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(snap.Data), "Told") {
		t.Error("the snapshot is readable in the back end")
	}
	if err := log.Discard(ctx, topic, snap.At); err != nil {
		t.Fatal(err)
	}
	if got, read, _ := start("1"); got.Count != want.Count || read != 5 {
		t.Errorf("after the discard: %d entries read for %d", read, got.Count)
	}

	// A snapshot that was changed is not believed.
	snap.Data[len(snap.Data)/2] ^= 1
	if _, err := log.SaveSnapshot(ctx, topic, rev, snap); err != nil {
		t.Fatal(err)
	}
	if got, read, n := start("1"); got.Count != 5 || read != 5 || n.Rejected != 1 {
		t.Errorf("with a forged snapshot: %d entries read for %d; %+v", read, got.Count, n)
	}
}

func TestAProjectionFollowsADiscardAndADrop(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	ahead, behind := newNode(t, spy, messaging.TopicsOptions{SnapshotEvery: 4}), newNode(t, log, messaging.TopicsOptions{SnapshotEvery: 1000})
	p, slow := newTill(t, ahead, "1"), newTill(t, behind, "1")
	tell := func(n int) {
		t.Helper()
		for i := range n {
			if err := p.Append(testContext(t), message("", fmt.Sprintf("tell %d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	tell(2)
	if got := view(t, slow); got.Count != 2 {
		t.Errorf("%+v", got)
	}
	tell(6)
	view(t, p) // leaves a snapshot
	ctx := testContext(t)
	snap, _, err := log.LoadSnapshot(ctx, spy.last())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Discard(ctx, spy.last(), snap.At); err != nil {
		t.Fatal(err)
	}
	tell(1)
	if got := view(t, slow); got.Count != 9 {
		t.Errorf("behind the floor: %+v", got)
	}
	if err := slow.Decide(ctx, func(*till) ([]messaging.Message, error) { return []messaging.Message{message("", "take it")}, nil }); err != nil {
		t.Fatal(err)
	}
	if err := log.Drop(ctx, spy.last()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*messaging.Projection[till]{p, slow} {
		if got := view(t, p); got.Count != 0 || got.Holder != "" {
			t.Errorf("after the drop: %+v", got)
		}
	}
	tell(3)
	for _, p := range []*messaging.Projection[till]{p, slow} {
		if got := view(t, p); got.Count != 3 {
			t.Errorf("in the new epoch: %+v", got)
		}
	}

	// One that missed the drop starts from the new epoch's snapshot, and from
	// nothing else.
	if err := log.Drop(ctx, spy.last()); err != nil {
		t.Fatal(err)
	}
	tell(5)
	view(t, p)
	if got := view(t, slow); got.Count != 5 || len(got.Seen) != 5 {
		t.Errorf("from the new epoch's snapshot: %+v", got)
	}
	if n := ahead.Stats(); n.Snapshots != 2 {
		t.Errorf("%+v", n)
	}
}

func TestASnapshotAheadOfItsTopicIsNotUsed(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	p := newTill(t, newNode(t, spy, messaging.TopicsOptions{SnapshotEvery: 6}), "1")
	for i := range 6 {
		if err := p.Append(testContext(t), message("", fmt.Sprintf("tell %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	view(t, p)
	cut := newNode(t, tampered(t, log, spy.last(), func(es []messaging.Entry) []messaging.Entry { return es[:3] }), messaging.TopicsOptions{})
	if got := view(t, newTill(t, cut, "1")); got.Count != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAProjectionOfATamperedTopicLeavesTheGapOut(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	node := newNode(t, spy, messaging.TopicsOptions{})
	for i := range 6 {
		appendAll(t, node, "t", "till", fmt.Sprintf("tell %d", i))
	}
	evil := newNode(t, tampered(t, log, spy.last(), func(es []messaging.Entry) []messaging.Entry {
		es[2].Body[20] ^= 1
		return es
	}), messaging.TopicsOptions{})
	if got := view(t, newTill(t, evil, "1")); got.Count != 5 || strings.Join(got.Told, "") != "01345" {
		t.Errorf("%+v", got)
	}
}
