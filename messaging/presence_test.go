package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// online returns who is there as a node sees it.
func (h *house) online(tenant lodge.Tenant) []messaging.Presence {
	h.t.Helper()
	online, err := h.hub.Online(testContext(h.t), tenant)
	if err != nil {
		h.t.Fatal(err)
	}
	return online
}

// whereabouts writes who is there as "person@place …".
func whereabouts(online []messaging.Presence) string {
	var all []string
	for _, p := range online {
		if !p.Messages.IsZero() {
			all = append(all, string(p.Person)+"@messages")
		}
		for _, experiment := range slices.Sorted(maps.Keys(p.Experiments)) {
			all = append(all, string(p.Person)+"@"+experiment)
		}
	}
	return strings.Join(all, " ")
}

func TestPresenceIsOnLeases(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("a", "ada", "all")
	h.let("b", "ada", "booking:b")
	start := h.clock.Now()
	a := h.dial("a", "")
	a.caughtUp()
	h.clock.move(time.Minute)
	b := h.dial("b", "")
	b.caughtUp()
	online := h.online("t")
	if len(online) != 1 || online[0].Person != "ada" || online[0].Name != "Name of ada" || !online[0].Messages.Equal(start) {
		t.Fatalf("%+v", online)
	}
	if other := h.online("other"); len(other) != 0 {
		t.Errorf("%+v", other)
	}
	h.clock.move(70 * time.Second) // two pings and a pong
	if online := h.online("t"); len(online) != 0 {
		t.Errorf("silent for too long: %+v", online)
	}
	a.sync()
	if online := h.online("t"); len(online) != 1 || !online[0].Seen.Equal(h.clock.Now()) {
		t.Errorf("%+v", online)
	}
}

func TestSeenIsToldOfComingStayingAndLeaving(t *testing.T) {
	reports := make(chan messaging.Seen, 1000)
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{
		PingEvery: time.Millisecond,
		Seen: func(_ context.Context, all []messaging.Seen) {
			for _, s := range all {
				reports <- s
			}
		},
	}})
	h.let("a", "ada", "all")
	h.let("x", "eve", "all")
	start := h.clock.Now()
	await := func(what string, ok func(messaging.Seen) bool) {
		t.Helper()
		ctx := testContext(t)
		for {
			select {
			case s := <-reports:
				if s.Tenant != "t" || s.Person != "ada" || s.Name != "Name of ada" || !s.From.Equal(start) {
					t.Fatalf("%+v", s)
				}
				if ok(s) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("never told: %s", what)
			}
		}
	}
	// Who is refused was not there.
	h.roster.fail("x", lodge.E(lodge.CodeForbidden, "no"))
	if c, _ := h.tryDial("x", ""); c != nil {
		t.Fatal("not refused")
	}
	c := h.dial("a", "")
	await("came", func(s messaging.Seen) bool { return s.To.Equal(start) })
	c.caughtUp()
	h.clock.move(time.Minute)
	c.sync()
	await("stays", func(s messaging.Seen) bool { return s.To.Equal(start.Add(time.Minute)) })
	_ = c.ws.CloseNow()
	eventually(t, "left", func() bool { return len(h.online("t")) == 0 })
}

// A mortalLog is a node's way to the log, which can be cut as by a crash.
type mortalLog struct {
	messaging.Log
	dead atomic.Bool
}

func (l *mortalLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	if l.dead.Load() {
		return nil, fmt.Errorf("%w: the node is dead", messaging.ErrUnavailable)
	}
	return l.Log.Append(ctx, topic, msgs, ifHead)
}

// A porter is a node that knows who is there, without any connection.
type porter struct {
	hub  *messaging.Hub
	log  *mortalLog
	stop func() // in order

	mu    sync.Mutex
	moved map[lodge.PersonID]messaging.Move // the last of each person
}

func newPorter(t testing.TB, log messaging.Log, clock lodge.Clock, heartbeat time.Duration) *porter {
	p := &porter{log: &mortalLog{Log: log}, moved: make(map[lodge.PersonID]messaging.Move)}
	topics, err := messaging.NewTopics(p.log, logRing(), messaging.TopicsOptions{Poll: 20 * time.Millisecond, SnapshotEvery: 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.hub = messaging.NewHub(topics, nil, nil, clock, messaging.HubOptions{
		PresenceEvery: time.Millisecond, HeartbeatEvery: heartbeat, RetryEvery: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Moved: func(_ context.Context, _ lodge.Tenant, moves []messaging.Move) {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, m := range moves {
				p.moved[m.Person] = m
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { _ = topics.Run(ctx) })
	runs.Go(func() { _ = p.hub.Run(ctx) })
	p.stop = sync.OnceFunc(func() { cancel(); runs.Wait() })
	return p
}

// crash stops the node without a word to anybody.
func (p *porter) crash() {
	p.log.dead.Store(true)
	p.stop()
}

func awaitThere(t testing.TB, what string, p *porter, want string) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		online, err := p.hub.Online(ctx, "t")
		got := whereabouts(online)
		if err == nil && got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: there are %q, want %q (%v)", what, got, want, err)
		}
	}
}

// Whatever joins, leaves, crashes and restarts of nodes there were, every node
// comes to see exactly who is there.
func TestPresenceOfSeveralNodesIsThatOfAModel(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { comeAndGo(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func comeAndGo(t *testing.T, random *rand.Rand) {
	log := newLog(t)
	clock := newHandClock()
	const nodes = 3
	var porters [nodes]*porter
	model := [nodes]map[string]int{} // streams by "person@experiment"
	start := func(i int) {
		porters[i] = newPorter(t, log, clock, 5*time.Millisecond)
		t.Cleanup(porters[i].stop)
		model[i] = make(map[string]int)
	}
	for i := range porters {
		start(i)
	}
	for range 60 {
		i := random.IntN(nodes)
		who, where := []string{"ada", "grace", "soren"}[random.IntN(3)], []string{"pend00", "spin30"}[random.IntN(2)]
		key := who + "@" + where
		switch what := random.IntN(20); {
		case what < 9:
			porters[i].hub.Enter("t", lodge.PersonID(who), who, where, clock.Now())
			model[i][key]++
		case what < 17:
			porters[i].hub.Leave("t", lodge.PersonID(who), where)
			if model[i][key]--; model[i][key] <= 0 {
				delete(model[i], key)
			}
		case what < 18:
			porters[i].crash()
			start(i)
		case what < 19:
			porters[i].stop()
			start(i)
		default:
			clock.move(time.Millisecond)
		}
	}
	there := make(map[string]int)
	for _, m := range model {
		maps.Copy(there, m)
	}
	want := strings.Join(slices.Sorted(maps.Keys(there)), " ")
	clock.move(20 * time.Millisecond) // more than a lease: who is alive says so again
	for i, p := range porters {
		awaitThere(t, fmt.Sprint("node ", i), p, want)
	}
}

// The people of a node that crashed disappear when its lease has run out, and
// not before; those of one that stops in order at once. Moved says so elsewhere.
func TestPresenceOfANodeThatCrashesAndOfOneThatStops(t *testing.T) {
	log := newLog(t)
	clock := newHandClock()
	var nodes [3]*porter
	for i := range nodes {
		nodes[i] = newPorter(t, log, clock, 100*time.Millisecond)
		defer nodes[i].stop()
	}
	nodes[0].hub.Enter("t", "ada", "Ada", "pend00", clock.Now())
	nodes[1].hub.Enter("t", "soren", "Søren", "pend00", clock.Now())
	nodes[1].hub.Enter("t", "soren", "Søren", "spin30", clock.Now())
	for _, p := range nodes {
		awaitThere(t, "all are there", p, "ada@pend00 soren@pend00 soren@spin30")
	}
	nodes[1].hub.Leave("t", "soren", "spin30")
	awaitThere(t, "one has left", nodes[2], "ada@pend00 soren@pend00")
	eventually(t, "that is told", func() bool {
		nodes[2].mu.Lock()
		defer nodes[2].mu.Unlock()
		m := nodes[2].moved["soren"]
		return slices.Equal(m.Experiments, []string{"pend00"}) && slices.Equal(m.Left, []string{"spin30"})
	})
	nodes[1].stop()
	awaitThere(t, "a node stopped", nodes[2], "ada@pend00")
	if _, err := nodes[1].hub.Online(testContext(t), "t"); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
	nodes[0].crash()
	awaitThere(t, "a node crashed just now", nodes[2], "ada@pend00")
	clock.move(250 * time.Millisecond) // the lease
	awaitThere(t, "its lease is over", nodes[2], "")
	eventually(t, "that is told", func() bool {
		nodes[2].mu.Lock()
		defer nodes[2].mu.Unlock()
		m := nodes[2].moved["ada"]
		return m.Name == "Ada" && len(m.Experiments) == 0 && !m.Messages && slices.Equal(m.Left, []string{"pend00"})
	})
	// After as long again it is forgotten by all: one that starts anew sees nobody.
	clock.move(250 * time.Millisecond)
	topics := newNode(t, log, messaging.TopicsOptions{})
	eventually(t, "it is forgotten", func() bool {
		page, err := topics.ReadBack(testContext(t), "t", "presence", messaging.Pos{}, 1)
		return err == nil && len(page.Items) == 1 && strings.Contains(string(page.Items[0].Body), "lapsed")
	})
}

// A node that was believed dead for a while is there again with all its people,
// and what was lost of the topic is made good by the next heartbeat.
func TestPresenceIsMadeGood(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	clock := newHandClock()
	a, b := newPorter(t, spy, clock, 5*time.Millisecond), newPorter(t, log, clock, 5*time.Millisecond)
	defer a.stop()
	defer b.stop()
	a.hub.Enter("t", "ada", "Ada", "pend00", clock.Now())
	awaitThere(t, "she is there", b, "ada@pend00")
	a.log.dead.Store(true)
	clock.move(time.Second)
	awaitThere(t, "the node is silent", b, "")
	a.hub.Enter("t", "soren", "Søren", "pend00", clock.Now())
	a.log.dead.Store(false)
	awaitThere(t, "it speaks again", b, "ada@pend00 soren@pend00")
	if err := log.Drop(testContext(t), spy.last()); err != nil {
		t.Fatal(err)
	}
	awaitThere(t, "the topic was dropped", b, "ada@pend00 soren@pend00")
}

// Ten thousand people come at once in a few entries, and cost no more while they
// stay than a heartbeat.
func TestPresenceOfManyIsCheap(t *testing.T) {
	log := newLog(t)
	clock := newHandClock()
	a, b := newPorter(t, log, clock, time.Hour), newPorter(t, log, clock, time.Hour)
	defer a.stop()
	defer b.stop()
	const people = 10_000
	for i := range people {
		a.hub.Enter("t", lodge.PersonID(fmt.Sprintf("person-%05d", i)), "Somebody", "pend00", clock.Now())
	}
	eventually(t, "all are there", func() bool {
		online, err := b.hub.Online(testContext(t), "t")
		return err == nil && len(online) == people
	})
	page, err := newNode(t, log, messaging.TopicsOptions{}).Read(testContext(t), "t", "presence", messaging.Pos{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) > 100 {
		t.Errorf("%d entries for %d people", len(page.Items), people)
	}
}

func TestPresenceNeedsTheLog(t *testing.T) {
	h := newHouse(t, houseOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.hub.Online(ctx, "t"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
