package messaging_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/messaging"
)

// slowLog lets each call wait its time, so that those of two nodes overlap in
// many ways.
type slowLog struct {
	messaging.Log
	mu    sync.Mutex
	waits []time.Duration // of the next calls; guarded by mu
}

func (l *slowLog) wait() {
	l.mu.Lock()
	var d time.Duration
	if len(l.waits) > 0 {
		d, l.waits = l.waits[0], l.waits[1:]
	}
	l.mu.Unlock()
	<-time.After(d)
}

func (l *slowLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	l.wait()
	added, err := l.Log.Append(ctx, topic, msgs, ifHead)
	l.wait()
	return added, err
}

func (l *slowLog) Heads(ctx context.Context, topics []messaging.Topic) ([]messaging.Pos, error) {
	l.wait()
	return l.Log.Heads(ctx, topics)
}

// A racer is one writer: what it appends, one batch after the other. An ID that
// begins with "own" is its alone, the others are everybody's.
type racer struct {
	node    int
	batches [][]string
}

func drawRacers(rt *rapid.T) []racer {
	racers := make([]racer, rapid.IntRange(2, 6).Draw(rt, "writers"))
	for w := range racers {
		racers[w].node = w % 2
		n := 0
		for range rapid.IntRange(1, 5).Draw(rt, "batches") {
			var ids []string
			for _, shared := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "a", "b", "c", "d", "e", "f"}), 1, 5).Draw(rt, "batch") {
				if shared == "" {
					shared = fmt.Sprintf("own-%d-%d", w, n)
					n++
				}
				ids = append(ids, shared)
			}
			racers[w].batches = append(racers[w].batches, ids)
		}
	}
	return racers
}

// TestRacingAppendersKeepOneChain has writers on two nodes append batches whose
// IDs are partly there already, and partly become so meanwhile: every ID is one
// entry, at the position that everybody was told; what one writer appends stands
// in its order; and every entry follows on the one before.
func TestRacingAppendersKeepOneChain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		racers := drawRacers(rt)
		waits := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 3).Draw(rt, "ms")) * time.Millisecond
		}), 0, 80).Draw(rt, "waits")
		synctest.Test(t, func(t *testing.T) {
			log := &slowLog{Log: newLog(t), waits: waits}
			nodes := []*messaging.Topics{newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})}
			var mu sync.Mutex
			told := map[string]messaging.Pos{}
			newly := map[string]int{} // how often an ID was no duplicate
			var wg sync.WaitGroup
			for _, r := range racers {
				wg.Go(func() {
					for _, ids := range r.batches {
						var msgs []messaging.Message
						for _, id := range ids {
							msgs = append(msgs, message(id, id))
						}
						added, err := nodes[r.node].Append(t.Context(), "t", "all", msgs...)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						for i, id := range ids {
							if at, known := told[id]; known && at != added[i].Pos {
								t.Errorf("%s is at %d and at %d", id, at.Seq, added[i].Pos.Seq)
							}
							told[id] = added[i].Pos
							if !added[i].Duplicate {
								newly[id]++
							}
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			checkRace(t, nodes, told, newly)
		})
	})
}

func checkRace(t *testing.T, nodes []*messaging.Topics, told map[string]messaging.Pos, newly map[string]int) {
	next := map[int]int{} // of each writer, which of its own comes next
	for _, it := range readAll(t, nodes[0], "t", "all", messaging.Pos{}) {
		if it.Gap || told[it.ID] != it.Pos || newly[it.ID] != 1 {
			t.Fatalf("%+v: everybody was told that it is at %+v, and %d that it is new", it, told[it.ID], newly[it.ID])
		}
		delete(told, it.ID)
		if !strings.HasPrefix(it.ID, "own") {
			continue
		}
		var w, n int
		if _, err := fmt.Sscanf(it.ID, "own-%d-%d", &w, &n); err != nil || next[w] != n {
			t.Fatalf("%s comes where the writer's %d belongs", it.ID, next[w])
		}
		next[w]++
	}
	if len(told) > 0 {
		t.Errorf("%v are lost", told)
	}
}

// TestAppendAsksOnlyAfterAConflict counts the calls: one for a batch of new IDs
// behind a head that this node has seen.
func TestAppendAsksOnlyAfterAConflict(t *testing.T) {
	log := newLog(t)
	counted := &askedLog{Log: log}
	topics := newNode(t, counted, messaging.TopicsOptions{})
	appendAll(t, topics, "t", "all", "first")
	for _, tt := range []struct {
		name           string
		batch          []messaging.Message
		appends, heads int64
	}{
		{"new ones", []messaging.Message{message("a", "a"), message("b", "b"), message("c", "c")}, 1, 0},
		{"all there", []messaging.Message{message("b", "b"), message("c", "c")}, 1, 0},
		{"one there already", []messaging.Message{message("c", "c"), message("d", "d"), {Body: []byte("e")}}, 4, 1},
		{"another writer was faster", []messaging.Message{message("f", "f"), message("g", "g")}, 2, 1},
	} {
		if tt.name == "another writer was faster" {
			appendAll(t, newNode(t, log, messaging.TopicsOptions{}), "t", "all", "faster")
		}
		counted.appends.Store(0)
		counted.heads.Store(0)
		if _, err := topics.Append(testContext(t), "t", "all", tt.batch...); err != nil {
			t.Fatal(err)
		}
		if a, h := counted.appends.Load(), counted.heads.Load(); a != tt.appends || h != tt.heads {
			t.Errorf("%s: %d appends and %d questions for the head, want %d and %d", tt.name, a, h, tt.appends, tt.heads)
		}
	}
	if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "first a b c d e faster f g" {
		t.Errorf("the topic holds %q", got)
	}
}

// askedLog counts calls.
type askedLog struct {
	messaging.Log
	appends, heads atomic.Int64
}

func (l *askedLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	l.appends.Add(1)
	return l.Log.Append(ctx, topic, msgs, ifHead)
}

func (l *askedLog) Heads(ctx context.Context, topics []messaging.Topic) ([]messaging.Pos, error) {
	l.heads.Add(1)
	return l.Log.Heads(ctx, topics)
}

// TestDecideWithWhatIsThereAlready decides on messages of which some are there.
func TestDecideWithWhatIsThereAlready(t *testing.T) {
	log := newLog(t)
	topics := newNode(t, log, messaging.TopicsOptions{})
	appendAll(t, topics, "t", "all", "a", "b")
	count := messaging.Project(topics, "t", "all", func(n *int, _ messaging.Item) { *n++ }, messaging.JSON[int]("count/1"))
	defer count.Close()
	calls := 0
	err := count.Decide(testContext(t), func(n *int) ([]messaging.Message, error) {
		if calls++; *n != 2 {
			t.Errorf("the state is %d", *n)
		}
		return []messaging.Message{message("b", "x"), message("c", "c"), message("a", "x"), {Body: []byte("d")}}, nil
	})
	if err != nil || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "a b c d" {
		t.Errorf("the topic holds %q", got)
	}
}
