package messaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Whoever reads at one node is counted at once for the sender at another, and
// once, by whatever id.
func TestSendersAreToldOfReceiptsAtOtherNodes(t *testing.T) {
	log := newLog(t)
	options := houseOptions{log: log, hub: messaging.HubOptions{
		FlushEvery: time.Millisecond, ReceiptEvery: time.Millisecond,
		Merged: func(context.Context, lodge.Tenant) (lodge.Merged, error) {
			return lodge.Merged{"guest": "ada", "grace-too": "grace"}, nil
		},
	}}
	here, there := newHouse(t, options), newHouse(t, options)
	here.let("g", "grace", "all", "user:grace")
	g := here.dial("g", "")
	g.caughtUp()
	sessions := map[string]lodge.PersonID{"a": "ada", "b": "guest", "s": "soren", "g2": "grace-too"}
	clients := make(map[string]*socketClient)
	for session, person := range sessions {
		there.let(session, person, "all")
		clients[session] = there.dial(session, "")
		clients[session].caughtUp()
	}
	at := here.sayAs("t", "all", "hers", "grace")
	g.expect("all/hers")
	for _, c := range clients {
		c.expect("all/hers")
	}
	var last struct{ Delivered, Read int }
	expect := func(delivered, read int) {
		t.Helper()
		for last.Delivered != delivered || last.Read != read {
			e := g.next()
			if err := json.Unmarshal(e.Data, &last); err != nil {
				t.Fatal(err)
			}
			if e.Type != messaging.TypeReceipt || e.Topic != "user:grace" || last.Delivered > delivered || last.Read > read {
				t.Fatalf("%+v: %+v, want %d and %d", e, last, delivered, read)
			}
		}
	}
	clients["g2"].acknowledge("read", "all", at) // herself, by another id
	clients["a"].acknowledge("ack", "all", at)
	expect(1, 0)
	clients["b"].acknowledge("read", "all", at) // the same person
	expect(1, 1)
	clients["s"].acknowledge("read", "all", at)
	expect(2, 2)
}

// A meteredLog counts the reads of a node.
type meteredLog struct {
	messaging.Log
	deaf bool // without hints

	mu    sync.Mutex
	reads int
}

func (l *meteredLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	l.mu.Lock()
	l.reads++
	l.mu.Unlock()
	return l.Log.Read(ctx, topic, after, limit)
}

func (l *meteredLog) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	if !l.deaf {
		return l.Log.Changes(ctx)
	}
	return func(func(messaging.Topic, error) bool) { <-ctx.Done() }
}

func (l *meteredLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// Each of three nodes on one log reads what is new of a topic once, however many
// connections deliver it, and a node that hears no hints misses nothing.
func TestEachNodeReadsATopicOnceForAllItsConnections(t *testing.T) {
	const sockets, messages = 40, 25
	log := newLog(t)
	var logs [3]*meteredLog
	var houses [3]*house
	var clients [3][]*socketClient
	for i := range houses {
		logs[i] = &meteredLog{Log: log, deaf: i == 2}
		// Presence is told in the hour to come: only the topic is read meanwhile.
		houses[i] = newHouse(t, houseOptions{log: logs[i], hub: messaging.HubOptions{PresenceEvery: time.Hour, HeartbeatEvery: time.Hour}})
		for n := range sockets {
			session := fmt.Sprint("s", n)
			houses[i].let(session, lodge.PersonID(session), "all")
			clients[i] = append(clients[i], houses[i].dial(session, "resume=all~"))
		}
		for _, c := range clients[i] {
			c.caughtUp()
		}
	}
	var before [3]int
	for i, l := range logs {
		before[i] = l.count()
	}
	var want []string
	for n := range messages {
		id := fmt.Sprint("m", n)
		want = append(want, "all/"+id)
		houses[n%len(houses)].say("all", id)
	}
	for i := range houses {
		for _, c := range clients[i] {
			c.expect(want...)
		}
		// A hint for each message, and as often the poll, and for good measure
		// the connections that were told before the ring had it.
		if reads := logs[i].count() - before[i]; reads > 3*messages {
			t.Errorf("node %d read the log %d times for %d messages to %d sockets", i, reads, messages, sockets)
		}
	}
	if s := houses[2].topics.Stats(); s.Hints != 0 || s.Repairs == 0 {
		t.Errorf("the deaf node: %+v", s)
	}
}
