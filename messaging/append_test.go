package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

func TestAppendIsAnsweredAlikeForTheSameID(t *testing.T) {
	log := newLog(t)
	topics := newNode(t, log, messaging.TopicsOptions{})
	ctx := testContext(t)
	a, err := topics.Append(ctx, "t", "all", message("a", "1"), message("b", "2"), message("a", "3"))
	if err != nil {
		t.Fatal(err)
	}
	if a[0].Duplicate || a[1].Duplicate || !a[2].Duplicate || a[2].Pos != a[0].Pos {
		t.Fatalf("%+v", a)
	}
	// Known ones in front of, between and behind new ones break no chain.
	b, err := topics.Append(ctx, "t", "all",
		message("b", "x"), message("c", "4"), message("a", "x"), message("d", "5"), messaging.Message{Body: []byte("6")}, message("c", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if !b[0].Duplicate || b[0].Pos != a[1].Pos || !b[2].Duplicate || b[2].Pos != a[0].Pos || b[1].Duplicate || b[3].Duplicate || b[4].Duplicate || b[5].Pos != b[1].Pos {
		t.Fatalf("%+v", b)
	}
	if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "1 2 4 5 6" {
		t.Fatalf("the topic holds %q", got)
	}
	if n := topics.Stats(); n.Appended != 5 || n.Duplicates != 4 || n.Rejected != 0 {
		t.Errorf("%+v", n)
	}
	if none, err := topics.Append(ctx, "t", "all"); err != nil || none != nil {
		t.Errorf("appending nothing: %v, %v", none, err)
	}
}

func TestAppendRefusesWhatIsTooLarge(t *testing.T) {
	log := newLog(t)
	topics := newNode(t, log, messaging.TopicsOptions{})
	largest := message("largest", strings.Repeat("x", messaging.MaxMessage))
	if _, err := topics.Append(testContext(t), "t", "all", largest); err != nil {
		t.Fatal(err)
	}
	over := message("over", strings.Repeat("x", messaging.MaxMessage+1))
	_, err := topics.Append(testContext(t), "t", "all", message("beside", ""), over)
	if !errors.Is(err, messaging.ErrTooLarge) || lodge.CodeOf(err) != lodge.CodeTooLarge {
		t.Errorf("%v", err)
	}
	if items := readAll(t, topics, "t", "all", messaging.Pos{}); len(items) != 1 || len(items[0].Body) != messaging.MaxMessage {
		t.Errorf("%d items", len(items))
	}
}

// TestTwoNodesKeepOneChain has 16 writers on two nodes append to one topic,
// each ID through both nodes.
func TestTwoNodesKeepOneChain(t *testing.T) {
	const writers, each = 16, 40
	log := newLog(t)
	nodes := []*messaging.Topics{newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})}
	ctx := testContext(t)
	var wg sync.WaitGroup
	for w := range writers {
		for n, node := range nodes {
			wg.Go(func() {
				var last uint64
				for i := range each {
					id := fmt.Sprintf("w%d-%d", w, i)
					at, err := node.Append(ctx, "t", "all", message(id, id))
					if err != nil {
						t.Errorf("node %d: %v", n, err)
						return
					}
					if at[0].Pos.Seq <= last {
						t.Errorf("node %d: %s is at %d, what its writer wrote before at %d", n, id, at[0].Pos.Seq, last)
					}
					last = at[0].Pos.Seq
				}
			})
		}
	}
	wg.Wait()
	items := readAll(t, nodes[0], "t", "all", messaging.Pos{})
	if show(items) != show(readAll(t, nodes[1], "t", "all", messaging.Pos{})) {
		t.Error("the nodes read different sequences")
	}
	seen := make(map[string]bool)
	for _, it := range items {
		if it.Gap || seen[it.ID] || it.ID != string(it.Body) {
			t.Fatalf("%+v is false or doubled", it)
		}
		seen[it.ID] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d messages of %d are there", len(seen), writers*each)
	}
	n := nodes[0].Stats()
	m := nodes[1].Stats()
	if n.Appended+m.Appended != writers*each || n.Duplicates+m.Duplicates != writers*each {
		t.Errorf("%+v\n%+v", n, m)
	}
}

// faultyLog lets some appends fail: before they happen, or after.
type faultyLog struct {
	messaging.Log
	mu   sync.Mutex
	next func() fault
}

type fault int

const (
	fine        fault = iota
	lostRequest       // nothing happened, and the caller cannot know
	lostReply         // it happened, and the caller cannot know
	unreachable       // nothing happened
)

func (l *faultyLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	l.mu.Lock()
	f := l.next()
	l.mu.Unlock()
	switch f {
	case lostRequest:
		return nil, messaging.ErrUncertain
	case unreachable:
		return nil, messaging.ErrUnavailable
	case lostReply:
		if _, err := l.Log.Append(ctx, topic, msgs, ifHead); err != nil {
			return nil, err
		}
		return nil, messaging.ErrUncertain
	default:
		return l.Log.Append(ctx, topic, msgs, ifHead)
	}
}

func TestUncertainAppendsAreRepeatedToOneEntry(t *testing.T) {
	for _, f := range []fault{lostRequest, lostReply} {
		synctest.Test(t, func(t *testing.T) {
			log := newLog(t)
			left := 3
			topics := newNode(t, &faultyLog{Log: log, next: func() fault {
				if left--; left >= 0 {
					return f
				}
				return fine
			}}, messaging.TopicsOptions{})
			at, err := topics.Append(context.Background(), "t", "all", messaging.Message{Body: []byte("1")}, messaging.Message{Body: []byte("2")})
			if err != nil {
				t.Fatal(err)
			}
			if at[0].Duplicate || at[1].Duplicate {
				t.Errorf("its own entries are called duplicates: %+v", at)
			}
			if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "1 2" {
				t.Errorf("the topic holds %q", got)
			}
			if n := topics.Stats(); n.Uncertain != 3 || n.Appended != 2 || n.Duplicates != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestAppendSaysWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		f := lostReply
		topics := newNode(t, &faultyLog{Log: log, next: func() fault { return f }}, messaging.TopicsOptions{})
		_, err := topics.Append(context.Background(), "t", "all", message("a", "1"))
		if !errors.Is(err, messaging.ErrUncertain) || lodge.CodeOf(err) != lodge.CodeUnavailable {
			t.Fatalf("%v", err)
		}
		f = unreachable
		_, err = topics.Append(context.Background(), "t", "all", message("b", "2"))
		if !errors.Is(err, messaging.ErrUnavailable) || errors.Is(err, messaging.ErrUncertain) || lodge.CodeOf(err) != lodge.CodeUnavailable {
			t.Fatalf("%v", err)
		}
		f = fine
		at, err := topics.Append(context.Background(), "t", "all", message("a", "1"))
		if err != nil || at[0].Pos.Seq != 1 {
			t.Fatalf("%+v, %v", at, err)
		}
		if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "1" {
			t.Errorf("the topic holds %q", got)
		}
	})
}

// TestAppendsUnderFaults lets writers of two nodes append batches with known
// and new IDs through a log that loses requests and replies, until each is
// acknowledged. Whatever happens: one entry an ID, one chain.
func TestAppendsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom([]fault{fine, fine, lostRequest, lostReply, unreachable}), 0, 60).Draw(rt, "faults")
		plan := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g", "h"}), 1, 5), 1, 12).Draw(rt, "plan")
		synctest.Test(t, func(t *testing.T) {
			log := newLog(t)
			faulty := &faultyLog{Log: log, next: func() fault {
				if len(faults) == 0 {
					return fine
				}
				f := faults[0]
				faults = faults[1:]
				return f
			}}
			nodes := []*messaging.Topics{newNode(t, faulty, messaging.TopicsOptions{}), newNode(t, faulty, messaging.TopicsOptions{})}
			var wg sync.WaitGroup
			for i, ids := range plan {
				msgs := make([]messaging.Message, len(ids))
				for j, id := range ids {
					if id == "" {
						id = fmt.Sprintf("own-%d-%d", i, j)
					}
					msgs[j] = message(id, id)
				}
				wg.Go(func() {
					for {
						at, err := nodes[i%2].Append(context.Background(), "t", "all", msgs...)
						if err == nil {
							if len(at) != len(msgs) {
								t.Errorf("%d places for %d messages", len(at), len(msgs))
							}
							return
						}
						if !errors.Is(err, messaging.ErrUncertain) && !errors.Is(err, messaging.ErrUnavailable) {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			want := make(map[string]bool)
			for i, ids := range plan {
				for j, id := range ids {
					if id == "" {
						id = fmt.Sprintf("own-%d-%d", i, j)
					}
					want[id] = true
				}
			}
			for _, it := range readAll(t, nodes[0], "t", "all", messaging.Pos{}) {
				if it.Gap || !want[it.ID] {
					t.Fatalf("%+v is false or doubled", it)
				}
				delete(want, it.ID)
			}
			if len(want) > 0 {
				t.Errorf("%v are lost", want)
			}
		})
	})
}

// stuckLog holds appends until it is released.
type stuckLog struct {
	messaging.Log
	entered chan struct{}
	release chan struct{}
}

func (l *stuckLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	select {
	case l.entered <- struct{}{}:
	default:
	}
	select {
	case <-l.release:
		return l.Log.Append(ctx, topic, msgs, ifHead)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestACallerThatLeavesTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		stuck := &stuckLog{Log: log, entered: make(chan struct{}, 1), release: make(chan struct{})}
		topics := newNode(t, stuck, messaging.TopicsOptions{})
		start := func(id string) (cancel func(), result chan error) {
			ctx, cancel := context.WithCancel(context.Background())
			result = make(chan error, 1)
			go func() {
				_, err := topics.Append(ctx, "t", "all", message(id, id))
				result <- err
			}()
			synctest.Wait()
			return cancel, result
		}
		leave1, r1 := start("1") // leads, alone
		leave2, r2 := start("2") // waits
		leave3, r3 := start("3") // waits
		defer leave3()
		leave2()
		if err := <-r2; !errors.Is(err, context.Canceled) || errors.Is(err, messaging.ErrUncertain) {
			t.Errorf("who left the queue got %v", err)
		}
		leave1()
		if err := <-r1; !errors.Is(err, context.Canceled) {
			t.Errorf("the leader got %v", err)
		}
		leave4, r4 := start("4")
		synctest.Wait()
		leave4() // taken or not, it ends
		<-r4
		close(stuck.release)
		if err := <-r3; err != nil {
			t.Errorf("who stayed got %v", err)
		}
		if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); !strings.HasPrefix(got, "3") {
			t.Errorf("the topic holds %q", got)
		}
	})
}

func TestWaitingAppendsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 100
		log := newLog(t)
		stuck := &stuckLog{Log: log, entered: make(chan struct{}, 1), release: make(chan struct{})}
		topics := newNode(t, stuck, messaging.TopicsOptions{})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if _, err := topics.Append(context.Background(), "t", "all", messaging.Message{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(stuck.release)
		wg.Wait()
		if n := topics.Stats(); n.Batches != 2 || n.Appended != callers {
			t.Errorf("%+v", n)
		}
	})
}

func TestAppendContinuesAfterADrop(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	topics := newNode(t, spy, messaging.TopicsOptions{})
	old := appendAll(t, topics, "t", "all", "a", "b")
	if err := log.Drop(testContext(t), spy.last()); err != nil {
		t.Fatal(err)
	}
	appendAll(t, topics, "t", "all", "c")
	if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "c" {
		t.Errorf("the topic holds %q", got)
	}
	_, err := topics.Read(testContext(t), "t", "all", old[1], 1)
	if _, lost := errors.AsType[*messaging.PosLostError](err); !lost {
		t.Errorf("an old position gives %v", err)
	}
}

// TestWhatALeaderLeavesUnknownTheNextOneFindsOut has a leader leave after the
// reply to its batch was lost: the others' messages are there, and are neither
// doubled, nor called duplicates, nor in the way of who came later.
func TestWhatALeaderLeavesUnknownTheNextOneFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		f := fine
		stuck := &stuckLog{Log: &faultyLog{Log: log, next: func() fault { return f }}, entered: make(chan struct{}, 1), release: make(chan struct{})}
		topics := newNode(t, stuck, messaging.TopicsOptions{})
		ctx, leave := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		start := func(ctx context.Context, body string, leaves bool) {
			wg.Go(func() {
				at, err := topics.Append(ctx, "t", "all", message("", body))
				switch {
				case leaves && !errors.Is(err, messaging.ErrUncertain):
					t.Errorf("%s: who left got %v", body, err)
				case !leaves && (err != nil || at[0].Duplicate):
					t.Errorf("%s: %+v, %v", body, at, err)
				}
			})
			synctest.Wait()
		}
		start(context.Background(), "1", false) // in the back end
		start(ctx, "2", true)                   // will lead 2, 3 and 4
		start(context.Background(), "3", false)
		start(context.Background(), "4", false)
		stuck.release <- struct{}{}
		synctest.Wait() // 2 has the batch in the back end
		start(context.Background(), "5", false)
		f = lostReply
		stuck.release <- struct{}{}
		synctest.Wait() // 2 pauses before it tries again
		leave()
		synctest.Wait()
		f = fine
		close(stuck.release)
		wg.Wait()
		if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "1 2 3 4 5" {
			t.Errorf("the topic holds %q", got)
		}
	})
}
