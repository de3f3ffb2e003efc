package hubnode

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// A ledger is what publishers were told.
type ledger struct {
	f        *fleet
	between  time.Duration // of one publisher's messages
	acked    atomic.Int64  // messages
	due      atomic.Int64  // deliveries that they come to
	failed   atomic.Int64  // requests without the answer 202
	sockets  int
	progress chan struct{} // capacity 1: a message was acknowledged

	mu sync.Mutex
	at map[string]map[string]string // positions by topic and id; guarded by mu
}

// publishers is how many people send at a time.
const publishers = 4

// publish sends until the returned function is called, which waits until all
// that was begun is acknowledged.
func publish(f *fleet, sockets int, between time.Duration) (l *ledger, stop func()) {
	l = &ledger{f: f, sockets: sockets, between: between, at: make(map[string]map[string]string), progress: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() { l.write(ctx, p) })
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	f.t.Cleanup(stop)
	return l, stop
}

// write is one publisher: each message is sent, with its id, until it is
// acknowledged, and then comes the next.
func (l *ledger) write(ctx context.Context, p int) {
	for n := 0; pause(ctx, l.between); n++ {
		topic, reach := "all", l.sockets
		if rand.IntN(5) > 0 {
			topic, reach = groupOf(rand.IntN(groups)), l.sockets/groups
		}
		id := fmt.Sprintf("p%d-%06d", p, n)
		giveUp, cancel := context.WithTimeout(context.Background(), deadline)
		for {
			pos, ok := l.post(giveUp, topic, id)
			if ok {
				l.note(topic, id, pos, reach)
				break
			}
			l.failed.Add(1)
			if !pause(giveUp, rand.N(50*time.Millisecond)) {
				l.f.t.Errorf("%s was not acknowledged for %s", id, deadline)
				break
			}
		}
		cancel()
	}
}

func (l *ledger) post(ctx context.Context, topic, id string) (pos string, ok bool) {
	q := url.Values{"topic": {topic}, "id": {id}}
	body := strings.NewReader(`{"text":"` + strings.Repeat("x", 150) + `"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.f.pick()+"/publish?"+q.Encode(), body)
	if err != nil {
		return "", false
	}
	res, err := l.f.http.Do(r)
	if err != nil {
		return "", false
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err == nil && res.StatusCode == http.StatusAccepted
}

func (l *ledger) note(topic, id, pos string, reach int) {
	l.mu.Lock()
	if l.at[topic] == nil {
		l.at[topic] = make(map[string]string)
	}
	l.at[topic][id] = pos
	l.mu.Unlock()
	l.acked.Add(1)
	l.due.Add(int64(reach))
	select {
	case l.progress <- struct{}{}:
	default:
	}
}

// more waits until so many more messages are acknowledged.
func (l *ledger) more(t *testing.T, n int) {
	t.Helper()
	until := l.acked.Load() + int64(n)
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	for l.acked.Load() < until {
		select {
		case <-l.progress:
		case <-limit.C:
			t.Fatal("nothing is acknowledged any more")
		}
	}
}

// check compares what was acknowledged with what the log has: each at its place,
// once, each publisher's in their order. It returns where the topics end, and
// the hash of each.
func (l *ledger) check(t *testing.T) (ends, hashes map[string]uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	log, end, err := openLog(ctx, l.f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	topics, err := messaging.NewTopics(log, ring(), messaging.TopicsOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ends, hashes = make(map[string]uint64), make(map[string]uint64)
	for topic, acked := range l.at {
		newest := make(map[string]string) // by publisher
		met := make(map[string]bool)
		for after, more := (messaging.Pos{}), true; more; {
			page, err := topics.Read(ctx, tenant, topic, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				publisher, _, _ := strings.Cut(item.ID, "-")
				switch {
				case item.Gap:
					t.Errorf("%s: there is a gap at %d", topic, item.Pos.Seq)
				case met[item.ID]:
					t.Errorf("%s: %s is there twice", topic, item.ID)
				case acked[item.ID] != item.Pos.String():
					t.Errorf("%s: %s is not where it was said to be", topic, item.ID)
				case newest[publisher] >= item.ID:
					t.Errorf("%s: %s comes behind %s", topic, item.ID, newest[publisher])
				}
				met[item.ID], newest[publisher] = true, item.ID
				ends[topic], hashes[topic] = item.Pos.Seq, chain(hashes[topic], item.ID)
				after = item.Pos
			}
			more = page.More
		}
		if len(met) != len(acked) {
			t.Errorf("%s: %d messages are there, %d were acknowledged", topic, len(met), len(acked))
		}
	}
	return ends, hashes
}

// settle ends the test: everything acknowledged reached every socket entitled to
// it, once and in order.
func (l *ledger) settle(t *testing.T, stop func()) report {
	t.Helper()
	stop()
	ends, hashes := l.check(t)
	r := l.f.finish(ends)
	if r.Doubled != 0 || r.Lost != 0 || r.Missing != 0 || r.Refused != 0 || r.Sockets != l.sockets || r.Delivered != l.due.Load() {
		t.Errorf("of %d deliveries due to %d sockets: %+v", l.due.Load(), l.sockets, r)
	}
	for topic, seq := range ends {
		want := l.sockets
		if topic != "all" {
			want /= groups
		}
		if got := r.Ends[fmt.Sprintf("%s %d %x", topic, seq, hashes[topic])]; got != want {
			t.Errorf("%s: %d of %d sockets have what the log has, in its order", topic, got, want)
		}
	}
	return r
}
