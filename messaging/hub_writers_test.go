package messaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// sayLong appends a notice with a text of so many bytes.
func (h *house) sayLong(topic, id string, size int) {
	h.t.Helper()
	e := notice(h.clock, topic, id)
	e.Data = json.RawMessage(fmt.Sprintf(`{"text":%q,"priority":"info","from":"Grace","to":%q}`, strings.Repeat("x", size), topic))
	msg, err := e.Message()
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.topics.Append(testContext(h.t), "t", topic, msg); err != nil {
		h.t.Fatal(err)
	}
}

// notices reads n notices and returns their ids.
func (c *socketClient) notices(n int) (ids []string) {
	c.t.Helper()
	for len(ids) < n {
		if e := c.next(); e.Type == messaging.TypeNotice {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func numbers(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

// Sockets that take nothing, far more of them than there are writers, delay
// nobody else: with a write limit that never comes, the others get everything.
func TestRel_SlowSocketsDelayNobody(t *testing.T) {
	const fast, messages = 8, 40
	slow := 8 * runtime.GOMAXPROCS(0)
	h := newHouse(t, houseOptions{small: true, hub: messaging.HubOptions{WriteLimit: time.Hour}})
	h.let("s", "ada", "all")
	h.let("slow", "soren", "all")
	var stuck []*socketClient
	for range min(slow, 32) {
		c := h.dial("slow", "")
		c.caughtUp() // and never reads again
		stuck = append(stuck, c)
	}
	clients := make([]*socketClient, fast)
	for i := range clients {
		clients[i] = h.dial("s", "")
		clients[i].caughtUp()
		clients[i].large = true
	}
	var group sync.WaitGroup
	for _, c := range clients {
		group.Go(func() {
			var got []string
			for len(got) < messages {
				e, err := c.read()
				if err != nil {
					t.Error(err)
					return
				}
				if e.Type == messaging.TypeNotice {
					got = append(got, e.ID)
				}
			}
			if !slices.Equal(got, numbers(messages)) {
				t.Errorf("got %q", got)
			}
		})
	}
	for i := range messages {
		h.sayLong("all", fmt.Sprint(i), 30_000)
	}
	group.Wait()
	for _, c := range stuck { // with the limit that far away, they would not end by themselves
		_ = c.ws.CloseNow()
	}
}

// Frames go out several in one write, in part when a socket is full, with pings
// and pongs between them: each arrives whole, once and in its place.
func TestBatchedFramesKeepTheirBoundaries(t *testing.T) {
	const messages = 400
	for _, small := range []bool{false, true} {
		t.Run(fmt.Sprintf("small %v", small), func(t *testing.T) {
			h := newHouse(t, houseOptions{small: small, hub: messaging.HubOptions{PingEvery: 2 * time.Millisecond, PongLimit: time.Minute}})
			h.let("s", "ada", "all", "user:ada")
			c := h.dial("s", "")
			c.caughtUp()
			c.large = true
			ctx, stop := context.WithCancel(testContext(t))
			var group sync.WaitGroup
			pongs := 0
			group.Go(func() { // pings of the client's
				for c.ws.Ping(ctx) == nil {
					pongs++
				}
			})
			group.Go(func() {
				for i := range messages {
					h.sayLong("all", fmt.Sprint(i), 1+(i*977)%5000)
				}
			})
			group.Go(func() {
				for i := range 50 {
					e := notice(h.clock, "user:ada", fmt.Sprint("live", i))
					e.Type, e.Data = messaging.TypePresence, []byte(`{"people":[]}`)
					if err := h.hub.Notify("t", "user:ada", e); err != nil {
						t.Error(err)
					}
				}
			})
			same(t, c.notices(messages), numbers(messages)...)
			go func() { // a client answers pings only as long as it reads
				for {
					if _, _, err := c.ws.Read(ctx); err != nil {
						return
					}
				}
			}()
			stop()
			group.Wait()
			if pongs == 0 {
				t.Error("no ping was answered")
			}
		})
	}
}

// A flood to a crowd is gathered: everybody gets all of it in one order, and the
// last of it without anything that follows.
func TestAFloodReachesACrowdWhole(t *testing.T) {
	const sockets, writers, each = 80, 5, 20
	// They are read one after the other, and answer pings only while they are.
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: time.Hour}})
	clients := make([]*socketClient, sockets)
	for i := range clients {
		session := fmt.Sprint("s", i)
		h.let(session, lodge.PersonID(fmt.Sprint("p", i)), "all")
		clients[i] = h.dial(session, "")
		clients[i].caughtUp()
	}
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				h.say("all", fmt.Sprint(w, "-", i))
			}
		})
	}
	group.Wait()
	want := clients[0].notices(writers * each)
	for i, c := range clients[1:] {
		if got := c.notices(writers * each); !slices.Equal(got, want) {
			t.Fatalf("socket %d got %q, the first %q", i+1, got, want)
		}
	}
	h.say("all", "afterwards")
	for _, c := range clients {
		same(t, c.notices(1), "afterwards")
	}
}

// What a slow socket has not begun to take when its right ends, it never gets.
func TestSec31_SlowSocketsGetNothingAfterTheChange(t *testing.T) {
	const messages = 60
	h := newHouse(t, houseOptions{small: true, hub: messaging.HubOptions{WriteLimit: time.Minute}})
	h.let("s", "ada", "all", "user:ada")
	c := h.dial("s", "")
	c.caughtUp()
	c.large = true
	for i := range messages {
		h.sayLong("all", fmt.Sprint(i), 40_000)
	}
	h.roster.setTopics("s", "user:ada")
	h.say("user:ada", "after")
	n := 0
	for e := c.next(); e.ID != "after"; e = c.next() {
		n++
	}
	if n == messages {
		t.Error("everything was delivered")
	}
	h.say("all", "later")
	h.say("user:ada", "last")
	c.expect("user:ada/last")
}

// Many come at once, while there is news, and go in every way there is: all that
// stay get everything, and nothing is left of the others.
func TestConnectionStorms(t *testing.T) {
	const sockets, missed, news = 60, 80, 40
	before := descriptors(t)
	t.Run("storm", func(t *testing.T) {
		h := newHouse(t, houseOptions{hub: messaging.HubOptions{MaxPerPerson: 2 * sockets}})
		h.let("s", "ada", "all", "user:ada")
		h.let("revoked", "soren", "all")
		for i := range missed {
			h.say("all", fmt.Sprint(i))
		}
		var group sync.WaitGroup
		for i := range sockets {
			group.Go(func() {
				session := "s"
				if i%4 == 1 {
					session = "revoked"
				}
				c, _ := h.tryDial(session, "resume=all~")
				if c == nil { // it came too late
					if session == "s" {
						t.Error("refused")
					}
					return
				}
				c.large = true
				if i%4 == 2 {
					_ = c.ws.CloseNow()
					return
				}
				var got []string
				for len(got) < missed+news {
					e, err := c.read()
					if err != nil {
						if session == "s" {
							t.Error(err)
						}
						return
					}
					if e.Type == messaging.TypeNotice {
						got = append(got, e.ID)
					}
				}
				if !slices.Equal(got, numbers(missed+news)) {
					t.Errorf("got %q", got)
				}
				_ = c.ws.CloseNow()
			})
		}
		for i := range news {
			h.say("all", fmt.Sprint(missed+i))
			if i == news/2 {
				h.roster.fail("revoked", lodge.E(lodge.CodeForbidden, "ended"))
			}
		}
		group.Wait()
		eventually(t, "all have left", func() bool { return len(h.hub.Sockets("t")) == 0 })
	})
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
}

// descriptors counts what this process has open.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A log that cannot be read holds up nobody who needs nothing of it.
func TestOneTopicThatWaitsDelaysNoOtherConnection(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	h.let("hung", "soren", "all")
	c := h.dial("s", "")
	c.caughtUp()
	for range 30 {
		h.dial("hung", "").caughtUp()
	}
	gate := make(chan struct{})
	defer close(gate)
	h.roster.change("hung", func() { h.roster.gate = gate }) // all of them ask, and get no answer
	h.say("all", "1")
	c.expect("all/1")
}
