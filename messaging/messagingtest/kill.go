package messagingtest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// The topics that Scribble writes to: one that many share, one that loses its
// old entries all the time.
const (
	killShared  messaging.Topic = "kill-shared"
	killDiscard messaging.Topic = "kill-discard"
)

// Scribble is what a process does that is going to be killed: it appends from
// many goroutines, discards and saves snapshots, and writes one line for each
// thing that was acknowledged, until ctx ends or the log fails. Each run is
// given a name of its own. See Ledger.
func Scribble(ctx context.Context, log messaging.Log, run string, acknowledged io.Writer) error {
	var mu sync.Mutex // lines are written one at a time
	say := func(format string, args ...any) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(acknowledged, format+"\n", args...)
		return err
	}
	s := &scribbler{log: log, run: run, say: say}
	errs := make(chan error, 10)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for w := range cap(errs) {
		wg.Go(func() {
			errs <- s.write(ctx, w)
			stop()
		})
	}
	wg.Wait()
	return <-errs
}

type scribbler struct {
	log messaging.Log
	run string
	say func(format string, args ...any) error
}

// write is one goroutine of Scribble: batches of one to three messages, and the
// same again now and then.
func (s *scribbler) write(ctx context.Context, w int) error {
	name := killShared
	if w%3 == 0 {
		name = killDiscard
	}
	for i := 0; ; i++ {
		batch := msgs(fmt.Sprintf("%s-%d-%d-", s.run, w, i), 1+i%3)
		times := 1
		if name == killShared {
			times += i % 2 // elsewhere the first may be discarded already
		}
		for range times {
			added, err := s.log.Append(ctx, name, batch, nil)
			if err != nil {
				return err
			}
			for k, a := range added {
				if err := s.say("ack %s %s %s", name, batch[k].ID, a.Pos); err != nil {
					return err
				}
			}
			if w == 0 && i%5 == 4 {
				if err := s.tidy(ctx, name, added[0].Pos); err != nil {
					return err
				}
			}
		}
	}
}

// tidy saves a snapshot and discards what is behind it.
func (s *scribbler) tidy(ctx context.Context, name messaging.Topic, at messaging.Pos) error {
	_, rev, err := s.log.LoadSnapshot(ctx, name)
	if err != nil {
		return err
	}
	if _, err := s.log.SaveSnapshot(ctx, name, rev, messaging.Snapshot{At: at, Data: []byte(at.String())}); err != nil {
		return err
	}
	if err := s.say("snap %s - %s", name, at); err != nil {
		return err
	}
	if err := s.log.Discard(ctx, name, at); err != nil {
		return err
	}
	return s.say("floor %s - %s", name, at)
}

// A Ledger holds what Scribble said, over all its runs on one log, and holds the
// log to it. The zero value is empty.
type Ledger struct {
	at    map[string]messaging.Pos                     // by message ID
	ids   map[messaging.Topic]map[messaging.Pos]string // the message at each position
	snap  map[messaging.Topic]messaging.Pos            // the newest snapshot
	floor map[messaging.Topic]messaging.Pos            // the newest floor
}

// Note takes one line of Scribble's.
func (l *Ledger) Note(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 4 {
		t.Fatalf("scribbled %q", line)
	}
	pos, err := messaging.ParsePos(f[3])
	if err != nil {
		t.Fatalf("scribbled %q: %v", line, err)
	}
	if l.at == nil {
		*l = Ledger{at: map[string]messaging.Pos{}, ids: map[messaging.Topic]map[messaging.Pos]string{
			killShared: {}, killDiscard: {},
		}, snap: map[messaging.Topic]messaging.Pos{}, floor: map[messaging.Topic]messaging.Pos{}}
	}
	name, id := messaging.Topic(f[1]), f[2]
	switch f[0] {
	case "snap":
		l.snap[name] = pos
	case "floor":
		l.floor[name] = pos
	case "ack":
		if was, ok := l.at[id]; ok && was != pos {
			t.Fatalf("%s was acknowledged at %+v and at %+v", id, was, pos)
		}
		if was, ok := l.ids[name][pos]; ok && was != id {
			t.Fatalf("%+v was given to %s and to %s", pos, was, id)
		}
		l.at[id], l.ids[name][pos] = pos, id
	default:
		t.Fatalf("scribbled %q", line)
	}
}

// Len returns how many messages were acknowledged.
func (l *Ledger) Len() int { return len(l.at) }

// Check fails t unless log has all that was acknowledged, where it was
// acknowledged, without holes.
func (l *Ledger) Check(t *testing.T, log messaging.Log) {
	t.Helper()
	for _, name := range []messaging.Topic{killShared, killDiscard} {
		head := headOf(t, log, name)
		p, err := log.ReadBack(within(t), name, head, 0)
		if err != nil {
			t.Fatal(err)
		}
		floor := p.Floor
		if floor.Seq < l.floor[name].Seq {
			t.Fatalf("%s: the floor is %d and was acknowledged at %d", name, floor.Seq, l.floor[name].Seq)
		}
		if name == killShared && floor.Seq != 0 {
			t.Fatalf("%s: entries went up to %d", name, floor.Seq)
		}
		there := map[messaging.Pos]string{}
		next := floor.Seq + 1
		for _, e := range all(t, log, name, floor, 1000) {
			if e.Pos.Seq != next || string(e.Body) != string(msg(e.ID).Body) {
				t.Fatalf("%s: %q with %q at %d, want %d", name, e.ID, e.Body, e.Pos.Seq, next)
			}
			there[e.Pos] = e.ID
			next++
		}
		for pos, id := range l.ids[name] {
			if pos.Seq > floor.Seq && there[pos] != id {
				t.Fatalf("%s: %s was acknowledged at %+v, where there is %q", name, id, pos, there[pos])
			}
		}
		s, _, err := log.LoadSnapshot(within(t), name)
		if err != nil || s.At.Seq < l.snap[name].Seq || string(s.Data) != s.At.String() {
			t.Fatalf("%s: the snapshot is at %d, acknowledged at %d: %v", name, s.At.Seq, l.snap[name].Seq, err)
		}
	}
}
