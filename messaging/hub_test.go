package messaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

func TestHubGivesHistoryThenLive(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{History: 3}})
	h.let("s", "ada", "all", "user:ada")
	for i := range 5 {
		h.say("all", fmt.Sprint(i))
	}
	h.say("user:ada", "mine")
	h.say("user:soren", "not mine")
	c := h.dial("s", "")
	same(t, c.caughtUp(), "all/2", "all/3", "all/4", "user:ada/mine")
	h.say("user:soren", "not mine either")
	h.say("all", "5")
	c.expect("all/5")
	h.say("user:ada", "more")
	c.expect("user:ada/more")
}

func TestHubResumesWithoutLossOrDoubles(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{History: 2}})
	h.let("s", "ada", "all", "user:ada", "group:a b,c~d")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	h.say("all", "0")
	c.expect("all/0")
	_ = c.ws.CloseNow()

	// More than the history of a new client, also in topics that were silent.
	var want []string
	for _, topic := range []string{"all", "user:ada", "group:a b,c~d"} {
		for i := 1; i <= 70; i++ {
			id := fmt.Sprint(i)
			h.say(topic, id)
		}
	}
	got := make(map[string][]string)
	c2 := h.dial("s", c.resume())
	for _, id := range c2.caughtUp() {
		for _, topic := range []string{"all", "user:ada", "group:a b,c~d"} {
			if len(id) > len(topic) && id[:len(topic)+1] == topic+"/" {
				got[topic] = append(got[topic], id[len(topic)+1:])
			}
		}
	}
	for i := 1; i <= 70; i++ {
		want = append(want, fmt.Sprint(i))
	}
	for topic, ids := range got {
		t.Log(topic)
		same(t, ids, want...)
	}
	if len(got) != 3 {
		t.Fatalf("topics: %v", got)
	}
	// And again: nothing is left.
	same(t, h.dial("s", c2.resume()).caughtUp())
}

func TestHubTellsOfGaps(t *testing.T) {
	log := &spyLog{Log: memory.New()}
	defer func() { _ = log.Close() }()
	h := newHouse(t, houseOptions{log: log})
	h.let("s", "ada", "all")
	var at []messaging.Pos
	for i := range 6 {
		at = append(at, h.say("all", fmt.Sprint(i)))
	}
	forged := at[2]
	forged.Tag[0] ^= 1
	future := at[5]
	future.Seq += 100
	if err := log.Discard(testContext(t), log.last(), at[3]); err != nil {
		t.Fatal(err)
	}
	for name, since := range map[string]messaging.Pos{"discarded": at[1], "forged": forged, "future": future, "beginning": {}} {
		t.Run(name, func(t *testing.T) {
			c := h.dial("s", "resume=all~"+since.String())
			gap := c.next()
			g := gap.gap(t)
			if gap.Type != messaging.TypeGap || g.Topic != "all" || g.Since != since.String() || g.Position != at[3].String() {
				t.Fatalf("%+v %+v", gap, g)
			}
			same(t, c.caughtUp(), "all/4", "all/5")
			again := h.dial("s", "resume=all~"+since.String()).next()
			if again.ID != gap.ID || again.Source != gap.Source {
				t.Errorf("the same gap has ids %q and %q", gap.ID, again.ID)
			}
		})
	}
	t.Run("the floor itself", func(t *testing.T) {
		same(t, h.dial("s", "resume=all~"+at[3].String()).caughtUp(), "all/4", "all/5")
	})
	t.Run("a new client", func(t *testing.T) {
		same(t, h.dial("s", "").caughtUp(), "all/4", "all/5")
	})
}

// forgingLog alters the entry with one sequence number as it is read.
type forgingLog struct {
	messaging.Log
	seq uint64
}

func (l *forgingLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	p, err := l.Log.Read(ctx, topic, after, limit)
	for i := range p.Entries {
		if p.Entries[i].Pos.Seq == l.seq {
			p.Entries[i].Body[5] ^= 1
		}
	}
	return p, err
}

func TestHubTellsOfForgedEntries(t *testing.T) {
	log := &forgingLog{Log: memory.New(), seq: 2}
	defer func() { _ = log.Close() }()
	h := newHouse(t, houseOptions{log: log})
	h.let("s", "ada", "all")
	for i := 1; i <= 3; i++ {
		h.say("all", fmt.Sprint(i))
	}
	c := h.dial("s", "resume=all~")
	c.expect("all/1")
	if e := c.next(); e.Type != messaging.TypeGap || e.gap(t).Since != c.cursors["all"] && e.gap(t).Since == "" {
		t.Fatalf("%+v", e)
	}
	for _, id := range c.caughtUp() {
		if id == "all/2" {
			t.Error("the forged entry was delivered")
		}
	}
}

func TestHubTellsOfEntriesThatAreNoEvents(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	h.say("all", "1")
	at := appendAll(t, h.topics, "t", "all", "not an event")
	h.say("all", "3")
	c := h.dial("s", "")
	c.expect("all/1")
	if e := c.next(); e.Type != messaging.TypeGap || e.Pos != at[0].String() {
		t.Fatalf("%+v", e)
	}
	same(t, c.caughtUp(), "all/3")
}

func TestSec31_EveryFrameIsAuthorisedAgainstCurrentMembership(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all", "group:g")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	h.say("group:g", "1")
	c.expect("group:g/1")

	h.roster.setTopics("s", "all")
	h.say("group:g", "2") // after the change: never to be seen
	h.say("all", "a")
	c.expect("all/a")

	h.roster.setTopics("s", "all", "user:ada") // added while connected, and caught up
	h.say("user:ada", "b")
	c.expect("user:ada/b")

	h.roster.setTopics("s", "all", "group:g") // back: goes on where it was
	c.expect("group:g/2")

	// A replay is authorised as well: a position gives no right to a topic.
	same(t, h.dial("s", "resume=user%253Aada~").caughtUp(), "all/a", "group:g/1", "group:g/2")
}

func TestSec31_EntriesFromBeforeMembershipAreNotReplayed(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.say("experiment:x", "before")
	h.clock.move(time.Hour)
	h.let("s", "ada", "experiment:x")
	h.roster.change("s", func() {
		sub := h.roster.subs["s"]
		sub.Since = map[string]time.Time{"experiment:x": h.clock.Now()}
		h.roster.subs["s"] = sub
	})
	h.say("experiment:x", "after")
	for _, resume := range []string{"", "resume=experiment%3Ax~"} {
		same(t, h.dial("s", resume).caughtUp(), "experiment:x/after")
	}
}

func TestSec6_HubClosesWhenTheRightEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want websocket.StatusCode
	}{
		{"revoked", lodge.E(lodge.CodeForbidden, "Your instructor ended this session."), messaging.CloseRevoked},
		{"expired", lodge.E(lodge.CodeUnauthenticated, "The session has run out; sign in again."), messaging.CloseExpired},
		{"unknown", lodge.E(lodge.CodeNotFound, "There is no such session."), messaging.CloseExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, houseOptions{})
			h.let("s", "ada", "all")
			c := h.dial("s", "")
			same(t, c.caughtUp())
			h.roster.fail("s", tt.err)
			h.say("all", "too late")
			end := c.closed()
			if end.Code != tt.want || end.Reason != tt.err.Error() {
				t.Errorf("%+v", end)
			}
			if c.cursors["all"] != "" {
				t.Error("something was delivered after the end")
			}
			if c, res := h.tryDial("s", ""); c != nil || res.Header.Get("X-Code") != string(lodge.CodeOf(tt.err)) {
				t.Errorf("a new connection: %v", res.Header)
			}
		})
	}
}

func TestHubLivesOneGracePeriodWithoutMembership(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{RetryEvery: time.Millisecond}})
	h.let("s", "ada", "all")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	down := lodge.E(lodge.CodeUnavailable, "down")
	h.roster.fail("s", down)
	h.say("all", "meanwhile")
	c.expect("all/meanwhile")

	h.clock.move(14 * time.Second)
	h.roster.fail("s", nil) // back in time
	h.say("all", "again")
	c.expect("all/again")
	eventually(t, "membership was read", func() bool {
		h.roster.mu.Lock()
		defer h.roster.mu.Unlock()
		h.roster.asked = 0
		return true
	})
	h.roster.fail("s", nil)
	eventually(t, "membership is read again", func() bool {
		h.roster.mu.Lock()
		defer h.roster.mu.Unlock()
		return h.roster.asked > 0
	})

	h.roster.fail("s", down)
	eventually(t, "membership is asked for", func() bool {
		h.roster.mu.Lock()
		defer h.roster.mu.Unlock()
		return h.roster.asked > 1
	})
	if c, res := h.tryDial("s", ""); c != nil || res.Header.Get("X-Code") != string(lodge.CodeUnavailable) {
		t.Error("a new connection must be refused while membership cannot be read")
	}
	h.clock.move(15 * time.Second)
	if end := c.closed(); end.Code != messaging.CloseLost {
		t.Errorf("%+v", end)
	}
}

// Whoever watches the session has waited for a whole lease already: the hub adds
// none of its own, whatever membership says or does not say.
func TestSec06_LostSessionEndsTheConnectionAtOnce(t *testing.T) {
	for name, hang := range map[string]bool{"membership answers": false, "membership hangs": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, houseOptions{hub: messaging.HubOptions{Grace: time.Second}})
			h.let("s", "ada", "all")
			c := h.dial("s", "")
			same(t, c.caughtUp())
			if hang {
				gate := make(chan struct{})
				defer close(gate)
				h.roster.change("s", func() { h.roster.gate = gate })
			}
			h.roster.tell("s", lodge.E(lodge.CodeUnavailable, "The store does not answer."))
			if end := c.closed(); end.Code != messaging.CloseLost {
				t.Errorf("%+v", end)
			}
		})
	}
}

func TestHubFindsLostHintsByPolling(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: 10 * time.Millisecond}})
	h.let("s", "ada", "all")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	h.roster.mu.Lock() // no watcher is told
	h.roster.errs["s"] = lodge.E(lodge.CodeForbidden, "ended")
	h.roster.mu.Unlock()
	if end := c.closed(); end.Code != messaging.CloseRevoked {
		t.Errorf("%+v", end)
	}
}

func TestSec31_NarrowNeverWidens(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all", "user:ada", "group:g")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	c.send(`{"type":"narrow","topics":["user:ada","group:g","user:grace","group:later"]}`)
	c.sync()
	h.say("all", "1")
	h.say("user:grace", "2")
	h.say("group:g", "3")
	c.expect("group:g/3")
	c.send(`{"type":"narrow","topics":["all","user:ada"]}`)
	c.sync()
	h.say("all", "4")
	h.say("group:g", "5")
	h.say("user:ada", "6")
	c.expect("user:ada/6")
	h.roster.setTopics("s", "all", "user:ada", "group:later")
	h.say("group:later", "7")
	h.say("user:ada", "8")
	c.expect("user:ada/8")
}

func TestSec32_TenantsAreApart(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{ReceiptEvery: time.Millisecond}})
	tenants := []lodge.Tenant{"a", "b", "c"}
	clients := make(map[lodge.Tenant]*socketClient)
	for _, tenant := range tenants {
		session := "s" + string(tenant)
		h.roster.change(session, func() {
			h.roster.subs[session] = messaging.Subscriber{Tenant: tenant, Person: "p", Session: session, Topics: []string{"all", "user:p"}}
		})
		clients[tenant] = h.dial(session, "")
		same(t, clients[tenant].caughtUp())
	}
	at := make(map[lodge.Tenant]messaging.Pos)
	for _, tenant := range tenants {
		at[tenant] = h.sayAs(tenant, "all", "from "+string(tenant), "")
		e := notice(h.clock, "user:p", "live "+string(tenant))
		e.Type, e.Data = messaging.TypePresence, []byte(`{"people":[]}`)
		if err := h.hub.Notify(tenant, "user:p", e); err != nil {
			t.Fatal(err)
		}
	}
	for _, tenant := range tenants {
		c := clients[tenant]
		got := map[string]bool{c.next().String(): true, c.next().String(): true}
		if !got["all/from "+string(tenant)] || !got["user:p/live "+string(tenant)] {
			t.Errorf("%s got %v", tenant, got)
		}
		// A position of one tenant is none of another's.
		for _, other := range tenants {
			if other == tenant {
				continue
			}
			if e := h.dial("s"+string(tenant), "resume=all~"+at[other].String()).next(); e.Type != messaging.TypeGap {
				t.Errorf("%s resumed from a position of %s: %v", tenant, other, e)
			}
		}
		if n := len(h.online(tenant)); n != 1 {
			t.Errorf("%d people are online in %s", n, tenant)
		}
	}
	c := clients["a"]
	c.send(`{"type":"read","topic":"all","pos":"` + at["a"].String() + `"}`)
	c.sync()
	for _, tenant := range tenants {
		r, err := h.hub.Receipts(testContext(t), tenant, "all", at[tenant], []lodge.PersonID{"p"})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: messaging.ReceiptRead, false: messaging.ReceiptSent}[tenant == "a"]; r[0].State != want {
			t.Errorf("%s: %s", tenant, r[0].State)
		}
	}
}

func TestHubDrains(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	h.say("all", "1")
	c.expect("all/1")
	stream := h.listen("s", "", "")
	stream.caughtUp()
	done := make(chan error, 1)
	go func() { done <- h.hub.Drain(testContext(t)) }()
	_, last := c.until(messaging.TypeReconnect)
	var when struct {
		After *int `json:"after_ms"`
	}
	if err := json.Unmarshal(last.Data, &when); err != nil || when.After == nil || *when.After < 0 || *when.After >= 5000 {
		t.Fatalf("%s, %v", last.Data, err)
	}
	if end := c.closed(); end.Code != websocket.StatusGoingAway || end.Reason != fmt.Sprintf("the server is restarting; connect again in %d ms", *when.After) {
		t.Errorf("%+v", end)
	}
	if e, ok := stream.next(); !ok || e.Type != messaging.TypeReconnect {
		t.Errorf("%+v", e)
	}
	if _, ok := stream.next(); ok || !strings.HasPrefix(stream.closed, "closed 1001 the server is restarting") || stream.retry == "" {
		t.Errorf("closed: %q, retry: %q", stream.closed, stream.retry)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, res := h.tryDial("s", ""); c != nil || res.Header.Get("X-Code") != string(lodge.CodeUnavailable) {
		t.Error("a draining hub must refuse")
	}
	if err := h.hub.Drain(testContext(t)); err != nil {
		t.Error(err)
	}
}

// Clients whose messages are in a log that hangs are sent away all the same.
func TestRel17_DrainDoesNotWaitForTheLog(t *testing.T) {
	log := &hangLog{Log: memory.New(), asked: make(chan struct{}, 10)}
	defer func() { _ = log.Close() }()
	h := newHouse(t, houseOptions{log: log})
	h.let("s", "ada", "all")
	h.let("t", "eva", "all")
	h.say("all", "1")
	c := h.dial("s", "")
	<-log.asked
	stream := h.listen("t", "", "")
	if err := h.hub.Drain(testContext(t)); err != nil {
		t.Error(err)
	}
	c.until(messaging.TypeReconnect)
	if end := c.closed(); end.Code != websocket.StatusGoingAway {
		t.Errorf("%+v", end)
	}
	if e, ok := stream.next(); !ok || e.Type != messaging.TypeReconnect {
		t.Errorf("%+v", e)
	}
}

func TestHubWaitsForTheLog(t *testing.T) {
	log := &cutLog{Log: memory.New(), down: make(chan struct{})}
	defer func() { _ = log.Close() }()
	h := newHouse(t, houseOptions{log: log, hub: messaging.HubOptions{RetryEvery: time.Millisecond}})
	h.let("s", "ada", "all", "user:ada")
	h.say("all", "1")
	c := h.dial("s", "") // open, and waiting
	close(log.down)
	same(t, c.caughtUp(), "all/1")
	h.say("user:ada", "2")
	c.expect("user:ada/2")
}
