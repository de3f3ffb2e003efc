// Package jetstream keeps messages on NATS JetStream (2.11 or later).
//
//	log.go       the log: what it is on JetStream, opening, closing
//	config.go    settings, the connection
//	synced.go    the refusal of servers that acknowledge before they are safe
//	streams.go   the streams: made, and held to what they must be
//	requests.go  publishing and purging by subject
//	direct.go    reading by subject and sequence
//	inbox.go     where answers come that are many
//	pieces.go    what is too large for one message
//	record.go    what stands in a message
//	state.go     what a node knows of a topic
//	topic.go     the topics a node knows; keeping up with what others write
//	marks.go, marking.go
//	             what makes a node's first use of a long topic quick
//	flight.go    appends of many callers in one record
//	append.go, read.go, heads.go, discard.go, snapshot.go, hints.go
//	             the methods of messaging.Log
//
// # Layout
//
// A stream per topic would cost a server thousands of them, so topics share a
// few streams (Config.Streams), by their name's hash: each stream syncs its
// writes one after the other, and several do so side by side. In its stream a
// topic has five subjects:
//
//	PREFIX.N.TOPIC.log   records: each all that one append adds, or a new floor
//	PREFIX.N.TOPIC.part  pieces of bodies too large for a record
//	PREFIX.N.TOPIC.snap  the snapshot
//	PREFIX.N.TOPIC.cut   pieces of a snapshot too large for one message
//	PREFIX.N.TOPIC.mark  what thousands of records say, bodies left out
//
// The stream's own sequence numbers leap within a topic and come again in a
// stream that was made anew. Positions are therefore numbered in the records,
// each of which repeats the topic's epoch, floor and head, and is published with
// the sequence of the record before it as its expected last subject sequence: a
// record that is in the stream was written by somebody who knew all before it.
// So a node keeps of each topic it uses the IDs and places of its entries, finds
// with one request what it has missed, and needs no look-up to know that an ID is
// new for as long as its entry is there; JetStream's window of duplicates is not
// used. The first use of a topic by a node reads the newest of the marks that some
// node made of its records each few thousand entries, and the records behind it:
// who goes on from a snapshot, or asks for what is new, needs no more. The first
// append, and reading further back, takes all marks, and of a million entries some
// 0.4 s of a core. Marks are no part of the truth: where they are missing, or do not
// fit the record they end with, all records are read instead, and marked.
//
// A reading that starts below what was purged gives no error on JetStream: the
// floor in the newest record does.
package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Log is the messaging.Log on JetStream.
//
// # What can be lost
//
// With sync_interval always, which NewLog insists on, what was acknowledged is on
// the disk of the server, or of most of a stream's replicas: neither a killed
// server nor a power cut takes it. What does is the disk itself: with one replica
// everything since the last backup; with three, nothing as long as two remain. A
// stream put back from a backup has lost its tail, which does not go unnoticed:
// an epoch is random, and an entry that took a lost one's number has another tag,
// so who holds a lost position gets *PosLostError.
type Log struct {
	conf  Config
	node  string // static: names this log among all
	conn  *nats.Conn
	js    jetstream.JetStream
	parts int // static: the size of a piece, in bytes
	inbox inbox
	calls *messaging.Calls
	work  sync.WaitGroup // the flights

	mu      sync.Mutex
	topics  map[messaging.Topic]*topic // guarded by mu
	kept    int                        // guarded by mu: the weight of topics
	session uint64                     // guarded by mu: counts connections
	up      context.Context            // guarded by mu: ends with the connection
	down    context.CancelFunc         // guarded by mu: ends up
}

var _ messaging.Log = (*Log)(nil)

// NewLog opens the log that a JetStream holds, and makes its streams where there
// are none. It fails when no server answers, when a stream is not as the log needs
// it, and unless the servers are known to sync what they acknowledge (see
// Config.Monitors).
func NewLog(ctx context.Context, c Config) (*Log, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	l := &Log{conf: c, node: rand.Text(), calls: messaging.NewCalls(), topics: map[messaging.Topic]*topic{}}
	l.connected()
	if err := l.open(ctx); err != nil {
		l.calls.Close()
		if l.conn != nil {
			l.conn.Close()
		}
		return nil, fmt.Errorf("jetstream: message log: %w", err)
	}
	return l, nil
}

// open connects and looks at what it finds.
func (l *Log) open(ctx context.Context) error {
	var err error
	if l.conn, err = l.conf.connect(l); err != nil {
		return err
	}
	l.parts = int(min(maxPart, l.conn.MaxPayload()/2))
	if l.parts < minPart {
		return fmt.Errorf("the server's max_payload is %d bytes; set it to 1MB", l.conn.MaxPayload())
	}
	if l.js, err = jetstream.New(l.conn); err != nil {
		return err
	}
	if err := l.conf.synced(ctx, l.conn.ConnectedServerId()); err != nil {
		return err
	}
	if err := l.inbox.begin(l.conn); err != nil {
		return err
	}
	if err := l.makeStreams(ctx); err != nil {
		return err
	}
	return l.listen(ctx)
}

// connected begins a session: what the last one knew must be looked at again.
func (l *Log) connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		l.down()
	}
	l.session++
	l.up, l.down = context.WithCancel(l.calls.Life())
}

// disconnected ends what waits for answers of a connection that is gone.
func (l *Log) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down()
}

// Changes implements messaging.Log.
func (l *Log) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	return l.calls.Changes(ctx)
}

// Close implements messaging.Log.
func (l *Log) Close() error {
	l.calls.Close()
	l.calls.Wait()
	l.work.Wait()
	l.conn.Close()
	return nil
}

// The outcomes of a request besides success.
var (
	errMoved = errors.New("jetstream: the subject has moved on") // nothing was stored
	errCut   = errors.New("jetstream: the connection was lost")
)

// unavailable says that nothing was done.
func unavailable(err error) error { return fmt.Errorf("%w: %w", messaging.ErrUnavailable, err) }

// uncertain says that nobody knows. The cause is told, not wrapped: an error of
// the context would say that nothing was done.
func uncertain(err error) error { return fmt.Errorf("%w: %s", messaging.ErrUncertain, err.Error()) }

// wait returns false when ctx ended meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
