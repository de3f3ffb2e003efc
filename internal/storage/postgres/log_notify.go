package postgres

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	logChannel = "lodge_log"
	// A NOTIFY's payload is shorter than 8,000 bytes.
	maxPayload = 7900
	// notifyGap is for how long changes gather before the next NOTIFY. Each one
	// takes a lock that the whole server has once, and wakes every node.
	notifyGap = 5 * time.Millisecond
)

// A notifier gathers the topics that this node changed for the other nodes. It
// is apart from the transactions of the changes: a NOTIFY in one of these would
// have all of them commit one after the other, over all topics.
type notifier struct {
	node string        // tells our own notifications from others'
	wake chan struct{} // capacity 1: there is something

	mu      sync.Mutex
	changed map[messaging.Topic]struct{} // guarded by mu
}

func newNotifier() *notifier {
	return &notifier{node: rand.Text()[:10], wake: make(chan struct{}, 1), changed: map[messaging.Topic]struct{}{}}
}

// changed tells the readers on this node and, soon, those on others.
func (l *Log) changed(name messaging.Topic) {
	l.calls.Publish(name)
	l.tell.mu.Lock()
	l.tell.changed[name] = struct{}{}
	l.tell.mu.Unlock()
	select {
	case l.tell.wake <- struct{}{}:
	default: // it is awake
	}
}

// notify tells the other nodes until the log closes. What it cannot tell, because
// the server is away, their poll finds.
func (l *Log) notify() {
	gap := time.NewTimer(0)
	defer gap.Stop()
	for {
		select {
		case <-l.tell.wake:
		case <-l.calls.Life().Done():
			return
		}
		select {
		case <-gap.C:
		case <-l.calls.Life().Done():
			return
		}
		for _, payload := range l.tell.payloads() {
			ctx, stop := context.WithTimeout(l.calls.Life(), l.db.timeout)
			_, err := l.db.pool.Exec(ctx, `SELECT pg_notify($1, $2)`, logChannel, payload)
			stop()
			if err != nil {
				l.db.out.Debug("other nodes were not told of new messages; they find them by themselves", slog.Any("error", err))
				break
			}
		}
		gap.Reset(notifyGap)
	}
}

// payloads takes what has gathered: the node, then the topics, in as few pieces
// as hold them. A name too long for any is left to the poll.
func (n *notifier) payloads() []string {
	n.mu.Lock()
	changed := n.changed
	n.changed = map[messaging.Topic]struct{}{}
	n.mu.Unlock()
	var all []string
	piece := n.node
	for name := range changed {
		word := "," + base64.RawURLEncoding.EncodeToString([]byte(name))
		if len(n.node)+len(word) > maxPayload {
			continue
		}
		if len(piece)+len(word) > maxPayload {
			all = append(all, piece)
			piece = n.node
		}
		piece += word
	}
	if piece != n.node {
		all = append(all, piece)
	}
	return all
}

// hinted returns the topics that a payload of another node names. What is not
// understood is not a hint.
func (n *notifier) hinted(payload string) []messaging.Topic {
	words := strings.Split(payload, ",")
	if words[0] == n.node {
		return nil
	}
	var names []messaging.Topic
	for _, word := range words[1:] {
		if name, err := base64.RawURLEncoding.DecodeString(word); err == nil {
			names = append(names, messaging.Topic(name))
		}
	}
	return names
}
