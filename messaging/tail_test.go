package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// A reader follows a tail as a connection does.
type tailReader struct {
	tail   *messaging.Tail
	wake   chan struct{}
	cursor messaging.Pos
}

func newReader(tail *messaging.Tail, cursor messaging.Pos) (r *tailReader, stop func()) {
	r = &tailReader{tail: tail, wake: make(chan struct{}, 1), cursor: cursor}
	return r, tail.Subscribe(r.wake)
}

// next waits for n items, and returns as many or an error.
func (r *tailReader) next(ctx context.Context, n int) ([]messaging.Item, error) {
	var items []messaging.Item
	for len(items) < n {
		more, err := r.tail.After(ctx, r.cursor, min(n-len(items), 10))
		if err != nil {
			return items, err
		}
		if len(more) > 0 {
			items = append(items, more...)
			r.cursor = more[len(more)-1].Pos
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return items, ctx.Err()
		}
	}
	return items, nil
}

// TestEveryReaderGetsTheSame has writers on two nodes, and readers on both
// that come at any moment.
func TestEveryReaderGetsTheSame(t *testing.T) {
	const writers, each, readers = 16, 25, 20
	log := newLog(t)
	ctx := testContext(t)
	nodes := []*messaging.Topics{newNode(t, log, messaging.TopicsOptions{Ring: 16}), newNode(t, log, messaging.TopicsOptions{Ring: 4})}
	for _, node := range nodes {
		runNode(t, node)
	}
	var wg sync.WaitGroup
	results := make([]string, readers)
	read := func(i int) {
		tail := nodes[i%2].Open("t", "all")
		defer tail.Release()
		r, stop := newReader(tail, messaging.Pos{})
		defer stop()
		items, err := r.next(ctx, writers*each)
		if err != nil {
			t.Errorf("reader %d: %v after %d items", i, err, len(items))
		}
		results[i] = show(items)
	}
	for i := range readers / 2 {
		wg.Go(func() { read(i) })
	}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := nodes[w%2].Append(ctx, "t", "all", message("", string(rune('a'+w))+string(rune('a'+i)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range readers / 2 {
		wg.Go(func() { read(readers/2 + i) })
	}
	wg.Wait()
	if n := len(strings.Fields(results[0])); n != writers*each {
		t.Fatalf("%d items", n)
	}
	for i, got := range results {
		if got != results[0] {
			t.Fatalf("reader %d got another sequence", i)
		}
	}
	for _, node := range nodes {
		if n := node.Stats(); n.Gaps > 0 || n.Rejected > 0 || n.Hints == 0 {
			t.Errorf("%+v", n)
		}
	}
}

// deafLog loses every hint.
type deafLog struct {
	messaging.Log
	reads atomic.Int64
	down  atomic.Bool
}

func (l *deafLog) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	return func(yield func(messaging.Topic, error) bool) { <-ctx.Done() }
}

func (l *deafLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	l.reads.Add(1)
	if l.down.Load() {
		return messaging.Page{}, messaging.ErrUnavailable
	}
	return l.Log.Read(ctx, topic, after, limit)
}

func (l *deafLog) Heads(ctx context.Context, topics []messaging.Topic) ([]messaging.Pos, error) {
	if l.down.Load() {
		return nil, messaging.ErrUnavailable
	}
	return l.Log.Heads(ctx, topics)
}

func TestLostHintsAreRepairedByThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		writer := newNode(t, log, messaging.TopicsOptions{})
		deaf := &deafLog{Log: log}
		node := newNode(t, deaf, messaging.TopicsOptions{})
		stop := runNode(t, node)
		defer stop()
		before := appendAll(t, writer, "t", "all", "old")
		tail := node.Open("t", "all")
		defer tail.Release()
		if again := node.Open("t", "all"); again != tail {
			t.Error("a second Open gives another tail")
		} else {
			defer again.Release()
		}
		synctest.Wait()

		const readers = 50
		start := time.Now()
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				r, stop := newReader(tail, before[0])
				defer stop()
				items, err := r.next(context.Background(), 3)
				if err != nil || show(items) != "a b c" {
					t.Errorf("%q, %v", show(items), err)
				}
				if took := time.Since(start); took > 2*time.Second+time.Millisecond {
					t.Errorf("delivered after %v", took)
				}
			})
		}
		synctest.Wait()
		appendAll(t, writer, "t", "all", "a", "b", "c")
		wg.Wait()
		if n := deaf.reads.Load(); n != 1 {
			t.Errorf("%d readers read the log %d times", readers, n)
		}
		if n := node.Stats(); n.Repairs != 1 || n.LogReads != 0 || n.RingReads < readers {
			t.Errorf("%+v", n)
		}

		// An outage delays, and loses nothing.
		r, unsubscribe := newReader(tail, before[0])
		defer unsubscribe()
		if items, err := r.next(context.Background(), 3); err != nil {
			t.Fatalf("%q, %v", show(items), err)
		}
		deaf.down.Store(true)
		appendAll(t, writer, "t", "all", "d")
		<-time.After(time.Minute)
		deaf.down.Store(false)
		if items, err := r.next(context.Background(), 1); err != nil || show(items) != "d" {
			t.Errorf("%q, %v", show(items), err)
		}
	})
}

func TestATailServesOlderItemsFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		node := newNode(t, log, messaging.TopicsOptions{Ring: 4})
		stopRun := runNode(t, node)
		defer stopRun()
		ids := numbered(30)
		at := appendAll(t, node, "t", "all", ids[:10]...)
		tail := node.Open("t", "all")
		defer tail.Release()
		r, stop := newReader(tail, at[9])
		defer stop()
		synctest.Wait()
		at = append(at, appendAll(t, node, "t", "all", ids[10:]...)...)
		ctx := testContext(t)
		if items, err := r.next(ctx, 20); err != nil || show(items) != strings.Join(ids[10:], " ") {
			t.Fatalf("%q, %v", show(items), err)
		}
		synctest.Wait()
		if head, err := tail.Head(ctx); err != nil || head != at[29] {
			t.Errorf("the head is %v, %v", head, err)
		}
		for i, pos := range append([]messaging.Pos{{}}, at...) {
			before := node.Stats().LogReads
			items, err := tail.After(ctx, pos, 100)
			if err != nil || show(items) != strings.Join(ids[i:], " ") {
				t.Fatalf("from %d: %q, %v", i, show(items), err)
			}
			if fromLog := node.Stats().LogReads > before; fromLog != (i < 26) {
				t.Errorf("from %d: read in the log: %v", i, fromLog)
			}
		}
		wrong := at[28]
		wrong.Tag[0]++
		for name, pos := range map[string]messaging.Pos{"wrong tag": wrong, "future": {Epoch: at[0].Epoch, Seq: 31}, "another epoch": {Epoch: 3, Seq: 29, Tag: at[28].Tag}} {
			_, err := tail.After(ctx, pos, 5)
			if _, lost := errors.AsType[*messaging.PosLostError](err); !lost {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestARingIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, newLog(t), messaging.TopicsOptions{})
		stopRun := runNode(t, node)
		defer stopRun()
		tail := node.Open("t", "all")
		defer tail.Release()
		synctest.Wait()
		large := strings.Repeat("x", 600<<10)
		for _, body := range []string{large, large, large} {
			if _, err := node.Append(testContext(t), "t", "all", message("", body)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		items, err := tail.After(testContext(t), messaging.Pos{}, 10)
		if err != nil || len(items) != 3 {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for i, fromLog := range []bool{true, false, false} {
			before := node.Stats().LogReads
			if _, err := tail.After(testContext(t), items[i].Pos, 10); err != nil {
				t.Fatal(err)
			}
			if got := node.Stats().LogReads > before; got != fromLog {
				t.Errorf("behind item %d: read in the log: %v", i, got)
			}
		}
	})
}

func TestReadersOfADroppedTopicLearnOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		spy := &spyLog{Log: log}
		node := newNode(t, spy, messaging.TopicsOptions{})
		stopRun := runNode(t, node)
		defer stopRun()
		tail := node.Open("t", "all")
		defer tail.Release()
		r, stop := newReader(tail, messaging.Pos{})
		defer stop()
		ctx := testContext(t)
		synctest.Wait()
		appendAll(t, node, "t", "all", "a", "b")
		if _, err := r.next(ctx, 2); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := log.Drop(ctx, spy.last()); err != nil {
			t.Fatal(err)
		}
		_, err := r.next(ctx, 1)
		if lost, ok := errors.AsType[*messaging.PosLostError](err); !ok || !lost.Floor.IsZero() {
			t.Fatalf("%v", err)
		}
		r.cursor = messaging.Pos{}
		appendAll(t, node, "t", "all", "c")
		if items, err := r.next(ctx, 1); err != nil || show(items) != "c" {
			t.Errorf("%q, %v", show(items), err)
		}
	})
}

func TestATailKeepsNothingThatWasDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		spy := &spyLog{Log: log}
		node := newNode(t, spy, messaging.TopicsOptions{})
		stopRun := runNode(t, node)
		defer stopRun()
		tail := node.Open("t", "all")
		defer tail.Release()
		ctx := testContext(t)
		synctest.Wait()
		at := appendAll(t, node, "t", "all", "a", "b", "c")
		synctest.Wait()
		if items, err := tail.After(ctx, at[0], 5); err != nil || show(items) != "b c" {
			t.Errorf("%q, %v", show(items), err)
		}
		if err := log.Discard(ctx, spy.last(), at[1]); err != nil {
			t.Fatal(err)
		}
		appendAll(t, node, "t", "all", "d")
		synctest.Wait()
		if items, err := tail.After(ctx, at[1], 5); err != nil || show(items) != "c d" {
			t.Errorf("%q, %v", show(items), err)
		}
		_, err := tail.After(ctx, at[0], 5)
		if lost, ok := errors.AsType[*messaging.PosLostError](err); !ok || lost.Floor != at[1] {
			t.Errorf("below the floor: %v", err)
		}
		if n := node.Stats(); n.RingReads != 2 || n.LogReads != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// A ring that nobody extends lets go of what is discarded: on the node that
// discards at once, on others within some minutes.
func TestARingLetsGoOfWhatIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		one, other := newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})
		ctx := t.Context()
		var tails []*messaging.Tail
		for _, node := range []*messaging.Topics{one, other} {
			stop := runNode(t, node)
			defer stop()
			tail := node.Open("t", "all")
			defer tail.Release()
			tails = append(tails, tail)
		}
		synctest.Wait()
		var at []messaging.Pos
		for i := range 3 {
			body := fmt.Sprintf(`{"time":%q}`, time.Date(2026, 5, 4, 9, i, 0, 0, time.UTC).Format(time.RFC3339))
			done, err := one.Append(ctx, "t", "all", messaging.Message{Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, done[0].Pos)
		}
		synctest.Wait()
		if n, err := one.Discard(ctx, "t", "all", time.Date(2026, 5, 4, 9, 2, 0, 0, time.UTC)); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		lost := func(tail *messaging.Tail) bool {
			_, err := tail.After(ctx, at[0], 5)
			_, lost := errors.AsType[*messaging.PosLostError](err)
			return lost
		}
		if !lost(tails[0]) {
			t.Error("the node that discards keeps it")
		}
		<-time.After(11 * time.Minute) // of the bubble's time
		synctest.Wait()
		if !lost(tails[1]) {
			t.Error("another node keeps it")
		}
		for i, tail := range tails {
			if items, err := tail.After(ctx, at[1], 5); err != nil || len(items) != 1 || items[0].Pos != at[2] {
				t.Errorf("node %d: %+v, %v", i, items, err)
			}
		}
		if n := other.Stats(); n.Repairs != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// TestRunStopsAtAnyMoment opens, reads and releases tails while the node runs
// and stops; goleak looks after what is left.
func TestRunStopsAtAnyMoment(t *testing.T) {
	log := newLog(t)
	node := newNode(t, log, messaging.TopicsOptions{Poll: time.Millisecond})
	ctx := testContext(t)
	for range 50 {
		stop := runNode(t, node)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				tail := node.Open("t", numbered(4)[i%2])
				defer tail.Release()
				unsubscribe := tail.Subscribe(make(chan struct{}, 1))
				defer unsubscribe()
				if _, err := node.Append(ctx, "t", numbered(4)[i%2], messaging.Message{}); err != nil {
					t.Error(err)
				}
				if _, err := tail.After(ctx, messaging.Pos{}, 3); err != nil {
					t.Error(err)
				}
			})
		}
		stop()
		wg.Wait()
	}
	stop := runNode(t, node)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := node.Append(ctx, "t", "all", messaging.Message{}); !errors.Is(err, messaging.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
}
