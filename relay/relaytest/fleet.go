package relaytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// A Shared is what the nodes of a fleet share.
type Shared interface {
	relay.Leases
	relay.Notes
	relay.Asks
}

// RunFleet holds a store to the contracts of relay.Leases, relay.Notes and
// relay.Asks. open returns an empty one that lasts as long as the test.
func RunFleet(t *testing.T, open func(t *testing.T) Shared) {
	for name, test := range map[string]func(*testing.T, Shared){
		"a topic has one holder":               oneHolder,
		"whoever lives goes on holding":        goesOnHolding,
		"a life that has run out is taken":     takenOver,
		"whoever leaves is followed at once":   followed,
		"what was freed is anybody's":          freed,
		"a beat finds out what is lost":        findsOut,
		"tenants hold apart":                   heldApart,
		"many take one topic at the same time": atTheSameTime,
		"a note is taken once":                 takenOnce,
		"a note has its time":                  noteTime,
		"questions are answered":               answered,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// RunOneHolder runs what a full store must be able to do: hold topics and keep
// tickets.
func RunOneHolder(t *testing.T, s Shared) {
	oneHolder(t, s)
	takenOnce(t, s)
}

const (
	long  = time.Minute
	short = 150 * time.Millisecond
)

func node(id string, life time.Duration) relay.Node {
	return relay.Node{ID: id, URL: "wss://" + id + ".example", Life: life}
}

func beat(t *testing.T, s Shared, n relay.Node, topics ...string) []string {
	t.Helper()
	lost, err := s.Beat(t.Context(), tenant, n, topics)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lost)
	return lost
}

// holder returns who holds a topic.
func holder(t *testing.T, s Shared, topic string, candidates ...string) string {
	t.Helper()
	h, err := s.Hold(t.Context(), tenant, topic, candidates)
	if errors.Is(err, relay.ErrNobody) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	if h.URL != "wss://"+h.ID+".example" || h.Left <= 0 || h.Left > h.Life {
		t.Errorf("%s is held as %+v", topic, h)
	}
	return h.ID
}

func wantHolder(t *testing.T, s Shared, want, topic string, candidates ...string) {
	t.Helper()
	if got := holder(t, s, topic, candidates...); got != want {
		t.Errorf("%s is held by %q, want %q", topic, got, want)
	}
}

func oneHolder(t *testing.T, s Shared) {
	wantHolder(t, s, "", "pend00-data", "a")
	if nodes, err := s.Nodes(t.Context(), tenant); err != nil || len(nodes) != 0 {
		t.Errorf("at first there are %v, %v", nodes, err)
	}
	b, a := node("b", long), node("a", long)
	beat(t, s, b)
	beat(t, s, a)
	if nodes, err := s.Nodes(t.Context(), tenant); err != nil || !slices.Equal(nodes, []relay.Node{a, b}) {
		t.Errorf("there are %v, %v", nodes, err)
	}
	wantHolder(t, s, "", "pend00-data")
	wantHolder(t, s, "", "pend00-data", "c")
	wantHolder(t, s, "b", "pend00-data", "c", "b", "a")
	wantHolder(t, s, "b", "pend00-data", "a")
	wantHolder(t, s, "a", "pend00-video", "a", "b")
	wantHolder(t, s, "b", "pend00-data")
}

func goesOnHolding(t *testing.T, s Shared) {
	a := node("a", short)
	ctx, cancel := context.WithTimeout(t.Context(), 4*short)
	defer cancel()
	beat(t, s, a)
	beat(t, s, node("b", long))
	wantHolder(t, s, "a", "pend00-data", "a")
	for tick := time.NewTicker(short / 10); ctx.Err() == nil; <-tick.C {
		beat(t, s, a)
		wantHolder(t, s, "a", "pend00-data", "b")
	}
}

func takenOver(t *testing.T, s Shared) {
	begun := time.Now()
	beat(t, s, node("a", short))
	beat(t, s, node("b", long))
	wantHolder(t, s, "a", "pend00-data", "a")
	wstest.Eventually(t, "the life of a to run out", func() bool { return holder(t, s, "pend00-data", "b") == "b" })
	if took := time.Since(begun); took < short-time.Millisecond {
		t.Errorf("it was taken after %s of a life of %s", took, short)
	}
	if nodes, err := s.Nodes(t.Context(), tenant); err != nil || !slices.Equal(nodes, []relay.Node{node("b", long)}) {
		t.Errorf("there are %v, %v", nodes, err)
	}
	if lost := beat(t, s, node("a", long), "pend00-data"); !slices.Equal(lost, []string{"pend00-data"}) {
		t.Errorf("when a comes back it has lost %v", lost)
	}
	wantHolder(t, s, "b", "pend00-data", "a")
}

func followed(t *testing.T, s Shared) {
	beat(t, s, node("a", long))
	beat(t, s, node("b", long))
	wantHolder(t, s, "a", "pend00-data", "a")
	for range 2 {
		if err := s.Leave(t.Context(), tenant, "a"); err != nil {
			t.Fatal(err)
		}
	}
	wantHolder(t, s, "b", "pend00-data", "a", "b")
}

func freed(t *testing.T, s Shared) {
	beat(t, s, node("a", long))
	beat(t, s, node("b", long))
	wantHolder(t, s, "a", "one", "a")
	wantHolder(t, s, "b", "two", "b")
	if err := s.Free(t.Context(), tenant, "a", []string{"one", "two", "three"}); err != nil {
		t.Fatal(err)
	}
	wantHolder(t, s, "", "one")
	wantHolder(t, s, "b", "two", "a")
}

func findsOut(t *testing.T, s Shared) {
	beat(t, s, node("a", long))
	beat(t, s, node("b", long))
	wantHolder(t, s, "b", "other", "b")
	// It believes to hold more than the store knows of.
	many := []string{"other"}
	for i := range 2500 {
		many = append(many, fmt.Sprintf("topic%04d", i))
	}
	if lost := beat(t, s, node("a", long), many...); !slices.Equal(lost, []string{"other"}) {
		t.Errorf("it has lost %v", lost)
	}
	wantHolder(t, s, "a", "topic0000", "b")
	wantHolder(t, s, "a", "topic2499", "b")
}

func heldApart(t *testing.T, s Shared) {
	beat(t, s, node("a", long))
	wantHolder(t, s, "a", "pend00-data", "a")
	if _, err := s.Hold(t.Context(), "t2", "pend00-data", []string{"a"}); !errors.Is(err, relay.ErrNobody) {
		t.Errorf("in another tenant: %v", err)
	}
	if nodes, err := s.Nodes(t.Context(), "t2"); err != nil || len(nodes) != 0 {
		t.Errorf("another tenant has %v, %v", nodes, err)
	}
}

func atTheSameTime(t *testing.T, s Shared) {
	const nodes, topics = 8, 20
	for i := range nodes {
		beat(t, s, node(fmt.Sprint("n", i), long))
	}
	var wg sync.WaitGroup
	got := make([][topics]string, nodes)
	for i := range nodes {
		wg.Go(func() {
			for j := range topics {
				h, err := s.Hold(t.Context(), tenant, fmt.Sprint("topic", j), []string{fmt.Sprint("n", i)})
				if err != nil {
					t.Error(err)
					return
				}
				got[i][j] = h.ID
			}
		})
	}
	wg.Wait()
	for i := range nodes {
		if got[i] != got[0] {
			t.Errorf("one is told %v, another %v", got[i], got[0])
		}
	}
}

func takenOnce(t *testing.T, s Shared) {
	take := func(tenant lodge.Tenant, name string) string {
		t.Helper()
		body, err := s.Take(t.Context(), tenant, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := take(tenant, "one"); got != "" {
		t.Errorf("at first %q", got)
	}
	if err := s.Put(t.Context(), tenant, "one", []byte("for you"), long); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"for you", ""} {
		if got := take("t2", "one"); got != "" {
			t.Errorf("another tenant takes %q", got)
		}
		if got := take(tenant, "one"); got != want {
			t.Errorf("taken %d times: %q, want %q", i, got, want)
		}
	}
}

func noteTime(t *testing.T, s Shared) {
	if err := s.Put(t.Context(), tenant, "long", []byte("x"), long); err != nil {
		t.Fatal(err)
	}
	// A note of a millisecond is gone sooner or later when it is asked for, and has
	// been taken if it was not.
	n, left := 0, false
	wstest.Eventually(t, "a note's time to be over", func() bool {
		if left {
			body, err := s.Take(t.Context(), tenant, fmt.Sprint("short", n))
			if err != nil {
				t.Fatal(err)
			}
			if body == nil {
				return true
			}
			n++
		}
		if err := s.Put(t.Context(), tenant, fmt.Sprint("short", n), []byte("x"), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		left = true
		return false
	})
	if body, err := s.Take(t.Context(), tenant, "long"); err != nil || string(body) != "x" {
		t.Errorf("the long one: %q, %v", body, err)
	}
}

func answered(t *testing.T, s Shared) {
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for _, name := range []string{"a", "b"} {
		wg.Go(func() {
			if err := s.Answer(ctx, name, func(tenant lodge.Tenant) []byte { return []byte(name + " of " + string(tenant) + "\n\x00") }); ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	ask := func(wait time.Duration, enough int) map[string]string {
		limit, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		answers := map[string]string{}
		if err := s.Ask(limit, tenant, func(node string, answer []byte) bool {
			answers[node] = string(answer)
			return len(answers) < enough
		}); err != nil {
			t.Error(err)
		}
		return answers
	}
	wstest.Eventually(t, "both to listen", func() bool { return len(ask(time.Second, 2)) == 2 })
	begun := time.Now()
	if got := ask(long, 2); got["a"] != "a of t1\n\x00" || got["b"] != "b of t1\n\x00" || time.Since(begun) > long/2 {
		t.Errorf("answered %q after %s", got, time.Since(begun))
	}
	// Whoever waits for a third learns when to stop.
	if got := ask(300*time.Millisecond, 3); len(got) != 2 {
		t.Errorf("answered %q", got)
	}
}
