package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// Practable's goroutines lived until their token's end.
func TestRel21_ConnectsAndClosesLeaveNothing(t *testing.T) {
	observer := &census{}
	r := onNetwork(t, Options{Observer: observer})
	const width = 10
	rounds := soaktest.Rounds(50, 200, 1000) // 500 connections, or 10,000
	for i := range width {
		code, topic := fmt.Sprint("c", i), fmt.Sprint("topic-", i%4)
		r.access.allow(code, topic, true, true, time.Now().Add(24*time.Hour))
		r.access.book(code, topic, fmt.Sprint("b", i%3)) // which can be denied, and has a bound
	}
	round := func() {
		var all sync.WaitGroup
		for i := range width {
			all.Go(func() {
				topic := fmt.Sprint("topic-", i%4)
				conn := r.connect(t, topic, fmt.Sprint("c", i))
				wstest.Write(t, conn, websocket.MessageText, "hello")
				switch i % 3 {
				case 0:
					_ = conn.CloseNow() // as a lost connection
				default:
					if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
						t.Errorf("close: %v", err)
					}
				}
				// Some are refused, at either door.
				if status, _ := r.post(t, topic, "wrong"); status != http.StatusUnauthorized {
					t.Errorf("a wrong code: %d", status)
				}
				if _, status := wstest.TryDial(t, r.client, "ws"+r.url[len("http"):]+"/session/"+topic+"?code=wrong", nil); status != http.StatusUnauthorized {
					t.Errorf("a wrong ticket: %d", status)
				}
			})
		}
		all.Wait()
	}
	empty := func() bool {
		s := r.Stats()
		return s.Peers == 0 && s.Rooms == 0 && r.access.watching() == 0 && observer.in() == 0
	}
	round()
	wstest.Eventually(t, "the first round has gone", empty)
	r.client.CloseIdleConnections()
	goroutines, descriptors := runtime.NumGoroutine(), open(t)
	for range rounds - 1 {
		round()
	}
	wstest.Eventually(t, "everyone has gone", empty)
	// The few more are the HTTP server's and the client's, about to end.
	wstest.Eventually(t, "no goroutine stays", func() bool {
		r.client.CloseIdleConnections()
		return runtime.NumGoroutine() <= goroutines+4
	})
	wstest.Eventually(t, "no descriptor stays", func() bool {
		r.client.CloseIdleConnections()
		return open(t) <= descriptors+4
	})
	if joined, left := observer.totals(); joined != rounds*width || left != joined {
		t.Errorf("%d joined, %d left", joined, left)
	}
	r.tickets.sweep(time.Now().Add(maxTicketLife))
	wstest.Eventually(t, "every map to be empty", func() bool { return entries(r) == 0 })
	soaktest.Report(t, "%d connects and closes, %d refused: %d goroutines and %d descriptors before, %d and %d after",
		rounds*width, 2*rounds*width, goroutines, descriptors, runtime.NumGoroutine(), open(t))
}

// open counts the process's descriptors, where the system tells.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// entries counts what a relay keeps about those who are connected, or could be.
func entries(r *rig) (n int) {
	r.tickets.mu.Lock()
	n += len(r.tickets.byID) + len(r.tickets.holding) + len(r.tickets.order)
	r.tickets.mu.Unlock()
	guard := r.Relay.access
	guard.mu.Lock()
	n += len(guard.watches)
	guard.mu.Unlock()
	r.crowd.mu.Lock()
	n += len(r.crowd.in)
	r.crowd.mu.Unlock()
	for i := range r.rooms.shards {
		r.rooms.shards[i].mu.Lock()
		n += len(r.rooms.shards[i].rooms)
		r.rooms.shards[i].mu.Unlock()
	}
	return n
}

// census is an Observer that counts.
type census struct {
	mu           sync.Mutex
	joined, left int
}

func (c *census) Joined(Grant, time.Time) { c.mu.Lock(); c.joined++; c.mu.Unlock() }
func (c *census) Left(Grant, time.Time)   { c.mu.Lock(); c.left++; c.mu.Unlock() }
func (c *census) in() int                 { j, l := c.totals(); return j - l }
func (c *census) totals() (joined, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joined, c.left
}

func TestDrainSaysGoingAway(t *testing.T) {
	r := onNetwork(t, Options{})
	conns := []*websocket.Conn{r.member(t, "a", "ada", "r"), r.member(t, "a", "host", "rw"), r.member(t, "b", "grace", "rw")}
	uri := r.uri(t, "a", "ada")
	var clients sync.WaitGroup
	for _, conn := range conns {
		clients.Go(func() {
			if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != websocket.StatusGoingAway || frame.Reason == "" {
				t.Errorf("%v", frame)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	if s := r.Stats(); s.Peers != 0 || s.Rooms != 0 {
		t.Errorf("%+v", s)
	}
	if conn, status := wstest.TryDial(t, r.client, uri, nil); conn != nil || status != http.StatusServiceUnavailable {
		t.Errorf("status %d while draining", status)
	}
}

// A client that takes no part in closing is cut off, and Drain waits for it no
// longer than that.
func TestDrainCutsTheStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("ada", "t", true, true, time.Time{})
		r.connect(t, "t", "ada") // never reads
		synctest.Wait()
		begun := time.Now()
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > linger {
			t.Errorf("took %v", took)
		}
	})
}

func TestSec29_SilenceIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("ada", "t", true, true, time.Time{})
		r.access.allow("dead", "t", true, true, time.Time{})
		ada := r.connect(t, "t", "ada")
		r.connect(t, "t", "dead") // never reads, and so never answers a ping
		ctx, cancel := context.WithCancel(t.Context())
		var reader sync.WaitGroup
		reader.Go(func() {
			_, _, err := ada.Read(ctx) // answers pings
			if websocket.CloseStatus(err) != -1 {
				t.Errorf("closed: %v", err)
			}
		})
		<-time.After(time.Hour)
		peers := r.Peers(lodge.DefaultTenant)
		if len(peers) != 1 || peers[0].Session != "ada" {
			t.Errorf("after an hour: %+v", peers)
		}
		cancel()
		reader.Wait()
	})
}

// A viewer that takes nothing of what it is sent is cut off.
func TestStuckViewerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		host := r.member(t, "x-video", "host", "w")
		r.access.allow("stuck", "x-video", true, false, time.Time{})
		r.connect(t, "x-video", "stuck")
		wstest.Write(t, host, websocket.MessageBinary, "picture")
		<-time.After(9 * time.Second)
		if n := r.Stats().Peers; n != 2 {
			t.Errorf("%d peers after 9 s", n)
		}
		<-time.After(2 * time.Second)
		if n := r.Stats().Peers; n != 1 {
			t.Errorf("%d peers after 11 s", n)
		}
	})
}

func TestRunForgetsUnopenedAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("ada", "t", true, true, time.Time{})
		r.uri(t, "t", "ada")
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		<-time.After(2 * maxTicketLife)
		r.tickets.mu.Lock()
		left := len(r.tickets.byID) + len(r.tickets.order)
		r.tickets.mu.Unlock()
		if left != 0 {
			t.Errorf("%d left", left)
		}
		cancel()
		run.Wait()
	})
}
