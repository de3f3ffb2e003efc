package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// maxKept is how many entries a node knows of topics that nobody uses just
	// now: about 200 bytes each.
	maxKept = 500_000
	// topicWeight is what a topic counts besides its entries.
	topicWeight = 4
	// batchRecords is how many records one request asks for.
	batchRecords = 500
	// pageBytes is how much one request asks for, and about what a page holds.
	pageBytes = 8 << 20
	// lagPause is how long a node waits for a replica that is behind.
	lagPause = 5 * time.Millisecond
)

// A topic is what a node knows of one.
type topic struct {
	name  messaging.Topic
	shard int
	token string
	turn  chan struct{} // capacity 1: held by who catches up

	users   int     // guarded by Log.mu: calls and flights under way
	weight  int     // guarded by Log.mu: what it counts in Log.kept
	queue   []*call // guarded by Log.mu
	flying  bool    // guarded by Log.mu
	marking bool    // guarded by Log.mu: this node is at it

	mu        sync.Mutex
	state     *state    // guarded by mu
	session   uint64    // guarded by mu: the one in which state was last looked at; 0: never
	others    time.Time // guarded by mu: when another node last wrote
	all       bool      // guarded by mu: its end alone does not do
	marked    uint64    // guarded by mu: the sequence number up to which marks need not be thought of
	distrusts bool      // guarded by mu: the marks are wrong, or what they say is gone
}

func (l *Log) subjectOf(t *topic, kind string) string { return l.subject(t.shard, t.token, kind) }

// use returns what the node knows of a topic; the caller calls l.done with it.
func (l *Log) use(name messaging.Topic) *topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil {
		t = &topic{name: name, shard: l.shard(name), token: tokenOf(name), turn: make(chan struct{}, 1), state: &state{}}
		l.topics[name] = t
	}
	t.users++
	return t
}

// done lets go of a topic. When there are too many entries, other topics that
// nobody uses are forgotten: not this one, whose next use would have to read it.
func (l *Log) done(t *topic) {
	t.mu.Lock()
	n := len(t.state.items)
	empty := t.state.last == 0
	t.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark(t)
	l.kept += n + topicWeight - t.weight
	t.weight = n + topicWeight
	t.users--
	if empty && t.users == 0 {
		l.forget(t)
	}
	for _, other := range l.topics {
		if l.kept <= maxKept {
			return
		}
		if other != t && other.users == 0 {
			l.forget(other)
		}
	}
}

// forget is called with l.mu held.
func (l *Log) forget(t *topic) {
	delete(l.topics, t.name)
	l.kept -= t.weight
}

// catchUp makes what the node knows of a topic at least what was in the stream
// when it was called, and returns the newest record as it found it, if any. The
// error is in words of messaging.Log.
func (l *Log) catchUp(ctx context.Context, t *topic) (newest stored, err error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return stored{}, context.Cause(ctx)
	}
	began := time.Now()
	for {
		l.mu.Lock()
		session := l.session
		l.mu.Unlock()
		newest, behind, err := l.look(ctx, t, session)
		if err != nil || !behind {
			return newest, err
		}
		if time.Since(began) > l.conf.Timeout {
			return stored{}, unavailable(errors.New("jetstream: the topic's records are not where its newest one says"))
		}
	}
}

// wholly is catchUp for who needs more than the end of a topic.
func (l *Log) wholly(ctx context.Context, t *topic) error {
	t.mu.Lock()
	t.all = true
	t.mu.Unlock()
	_, err := l.catchUp(ctx, t)
	return err
}

// look compares what the node knows with the newest record and reads what it has
// missed. It returns true when that must be done again.
func (l *Log) look(ctx context.Context, t *topic, session uint64) (newest stored, again bool, err error) {
	t.mu.Lock()
	before := t.state.last
	t.mu.Unlock()
	subject := l.subjectOf(t, kindLog)
	newest, ok, err := l.newest(ctx, t.shard, subject)
	if err != nil {
		return stored{}, false, err
	}
	var r *record
	if ok {
		if r, err = decode(newest.data); err != nil {
			return stored{}, false, l.broken(t.shard, newest.seq)
		}
	}
	t.mu.Lock()
	known := t.state
	short := t.all && !known.whole()
	switch {
	case short && ok:
		t.mu.Unlock()
		again, err := l.readAnew(ctx, t, r, newest.seq)
		return stored{}, again, err
	case known.last != before && newest.seq <= known.last:
		// A flight of this node's got further meanwhile.
	case !ok:
		t.state = &state{}
	case newest.seq == known.last && known.is(r):
	case newest.seq > known.last && known.follows(r):
		known.apply(r, newest.seq)
	default:
		t.mu.Unlock()
		again, err := l.read(ctx, t, r, newest.seq)
		return stored{}, again, err
	}
	t.session = session
	t.mu.Unlock()
	return newest, false, nil
}

// read makes the topic's state that which its newest record, r, leaves, which is at
// last: from the records that the node does not know when they follow what it
// does, else anew.
func (l *Log) read(ctx context.Context, t *topic, r *record, last uint64) (again bool, err error) {
	t.mu.Lock()
	from := t.state.last
	t.mu.Unlock()
	if from > 0 && from < last {
		ok := true
		again, err = l.records(ctx, t, from, last, func(r *record, seq uint64) bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			switch {
			case seq <= t.state.last: // a flight of this node's wrote it
			case t.state.follows(r):
				t.state.apply(r, seq)
			default:
				ok = false
			}
			return ok
		})
		if err != nil || again || ok {
			return true, err
		}
	}
	return l.readAnew(ctx, t, r, last)
}

// readAnew makes the topic's state that which its newest record, r, leaves, which is
// at last, whatever the node knew: the end of the topic, unless all of it is needed.
func (l *Log) readAnew(ctx context.Context, t *topic, r *record, last uint64) (again bool, err error) {
	fresh, again, err := l.readEnd(ctx, t, r, last)
	if err == nil && !again && fresh == nil {
		fresh, again, err = l.readWhole(ctx, t, r, last)
	}
	if err != nil || again {
		return again, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = fresh
	return true, nil // what came meanwhile is looked at too
}

// records hands over a topic's records behind one sequence in the stream up to
// another, until take returns false. It returns true when they are not there:
// removed meanwhile, or not yet at this replica.
func (l *Log) records(ctx context.Context, t *topic, after, last uint64, take func(r *record, seq uint64) bool) (missing bool, err error) {
	for after < last {
		found, _, err := l.many(ctx, t.shard, get{Seq: after + 1, Next: l.subjectOf(t, kindLog), Batch: batchRecords, MaxBytes: pageBytes})
		if err != nil {
			return false, err
		}
		if len(found) == 0 {
			wait(ctx, lagPause)
			return true, nil
		}
		for _, m := range found {
			r, err := decode(m.data)
			if err != nil {
				return false, l.broken(t.shard, m.seq)
			}
			if !take(r, m.seq) {
				return false, nil
			}
			after = m.seq
		}
	}
	return false, nil
}

// broken says where the record is that cannot be read.
func (l *Log) broken(shard int, seq uint64) error {
	return unavailable(fmt.Errorf("%w: message %d of stream %s", errBroken, seq, l.streamName(shard)))
}
