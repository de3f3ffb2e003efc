package messaging_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

func (h *house) states(topic string, at messaging.Pos, people ...lodge.PersonID) []string {
	h.t.Helper()
	receipts, err := h.hub.Receipts(testContext(h.t), "t", topic, at, people)
	if err != nil {
		h.t.Fatal(err)
	}
	var states []string
	for i, r := range receipts {
		if r.Person != people[i] {
			h.t.Errorf("receipt %d is %s's", i, r.Person)
		}
		states = append(states, r.State)
	}
	return states
}

func (c *socketClient) acknowledge(typ, topic string, at messaging.Pos) {
	c.t.Helper()
	frame := fmt.Sprintf(`{"type":%q,"topic":%q,"pos":%q}`, typ, topic, at)
	conforms(c.t, typ, []byte(frame))
	c.send(frame)
	c.sync()
}

func TestReceiptsFollowAcknowledgements(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("a", "ada", "all")
	h.let("s", "soren", "all")
	first, second := h.say("all", "1"), h.say("all", "2")
	a, s := h.dial("a", ""), h.dial("s", "")
	a.caughtUp()
	s.caughtUp()
	everybody := []lodge.PersonID{"ada", "soren", "nobody"}
	same(t, h.states("all", first, everybody...), "sent", "sent", "sent")
	a.acknowledge("ack", "all", second)
	s.acknowledge("read", "all", first)
	same(t, h.states("all", first, everybody...), "delivered", "read", "sent")
	same(t, h.states("all", second, everybody...), "delivered", "sent", "sent")
	a.acknowledge("ack", "all", first) // never goes back
	a.acknowledge("read", "all", first)
	same(t, h.states("all", first, everybody...), "read", "read", "sent")
	same(t, h.states("all", second, everybody...), "delivered", "sent", "sent")
}

func TestReceiptsTakeOnlyWhatWasDelivered(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("a", "ada", "all")
	at := h.say("all", "1")
	other := h.say("user:grace", "2")
	c := h.dial("a", "")
	c.caughtUp()
	future := at
	future.Seq += 10
	c.acknowledge("read", "all", future)
	stranger := at
	stranger.Epoch++
	c.acknowledge("read", "all", stranger)
	c.acknowledge("read", "user:grace", other)
	same(t, h.states("all", at, "ada"), "sent")
	same(t, h.states("user:grace", other, "ada"), "sent")
}

// What was acknowledged is there after a restart, and what a crash took comes
// back as clients resume.
func TestReceiptsArePersisted(t *testing.T) {
	log := memory.New()
	defer func() { _ = log.Close() }()
	options := houseOptions{log: log, hub: messaging.HubOptions{FlushEvery: time.Millisecond}}
	h := newHouse(t, options)
	h.let("a", "ada", "all")
	h.let("s", "soren", "all")
	at := h.say("all", "1")
	a, s := h.dial("a", ""), h.dial("s", "")
	a.caughtUp()
	s.caughtUp()
	a.acknowledge("read", "all", at)
	s.acknowledge("ack", "all", at)
	second := newHouse(t, options)
	eventually(t, "another node sees the receipts", func() bool {
		states := second.states("all", at, "ada", "soren")
		return states[0] == "read" && states[1] == "delivered"
	})
	// Acknowledging the same again writes nothing more.
	before := len(readAll(t, second.topics, "t", "cursors", messaging.Pos{}))
	a.acknowledge("read", "all", at)
	h.stopHub() // flushes
	if after := len(readAll(t, second.topics, "t", "cursors", messaging.Pos{})); after != before {
		t.Errorf("%d entries for nothing", after-before)
	}
}

func TestReceiptsAreFlushedAtTheEnd(t *testing.T) {
	log := memory.New()
	defer func() { _ = log.Close() }()
	options := houseOptions{log: log, hub: messaging.HubOptions{FlushEvery: time.Hour}}
	h := newHouse(t, options)
	h.let("a", "ada", "all")
	at := h.say("all", "1")
	a := h.dial("a", "")
	a.caughtUp()
	a.acknowledge("read", "all", at)
	second := newHouse(t, options)
	same(t, second.states("all", at, "ada"), "sent")
	h.stopHub()
	same(t, second.states("all", at, "ada"), "read")
	if _, err := h.hub.Receipts(testContext(t), "t", "all", at, nil); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestSendersAreToldOfReceipts(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{ReceiptEvery: time.Millisecond}})
	h.let("g", "grace", "all", "user:grace")
	h.let("a", "ada", "all")
	h.let("s", "soren", "all")
	g, a, s := h.dial("g", ""), h.dial("a", ""), h.dial("s", "")
	for _, c := range []*socketClient{g, a, s} {
		c.caughtUp()
	}
	h.say("all", "not hers")
	at := h.sayAs("t", "all", "hers", "grace")
	for _, c := range []*socketClient{g, a, s} {
		c.expect("all/not hers", "all/hers")
	}
	type counts struct {
		Message, Topic, Position string
		Delivered, Read          int
	}
	want := counts{Message: "hers", Topic: "all", Position: at.String()}
	expect := func(delivered, read int) {
		t.Helper()
		want.Delivered, want.Read = delivered, read
		for {
			e := g.next()
			var got counts
			if err := json.Unmarshal(e.Data, &got); err != nil {
				t.Fatal(err)
			}
			if e.Type != messaging.TypeReceipt || e.Topic != "user:grace" {
				t.Fatalf("%+v", e)
			}
			if got == want {
				return
			}
			if got.Delivered > delivered || got.Read > read {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	}
	a.acknowledge("ack", "all", at)
	expect(1, 0)
	s.acknowledge("read", "all", at)
	expect(2, 1)
	a.acknowledge("read", "all", at)
	expect(2, 2)
	// Her own count for nothing, and nobody else is told.
	g.acknowledge("read", "all", at)
	a.sync()
}
