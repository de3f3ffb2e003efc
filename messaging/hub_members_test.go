package messaging_test

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// A change of what a person may hear that their session knows nothing of reaches
// all their connections, and nobody else's, without waiting for the poll.
func TestSec31_ChangedMembershipIsFollowedWhileConnected(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: time.Hour}})
	h.let("a1", "ada", "all")
	h.let("a2", "ada", "all", "booking:b1")
	h.let("s", "soren", "all")
	one, two, other := h.dial("a1", ""), h.dial("a2", ""), h.dial("s", "")
	for _, c := range []*socketClient{one, two, other} {
		same(t, c.caughtUp())
	}
	silently := func(session string, topics ...string) {
		h.roster.mu.Lock()
		defer h.roster.mu.Unlock()
		sub := h.roster.subs[session]
		sub.Topics = topics
		h.roster.subs[session] = sub
	}
	silently("a1", "all", "booking:b2")
	silently("a2", "all")
	silently("s", "all", "booking:b2")
	h.hub.Reconsider("t", "ada")
	h.hub.Reconsider("t", "nobody")
	h.hub.Reconsider("u", "soren")
	h.say("booking:b1", "1")
	h.say("booking:b2", "2")
	one.expect("booking:b2/2")
	h.say("all", "3")
	for _, c := range []*socketClient{one, two, other} {
		c.expect("all/3")
	}
}
