package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/soaktest"
)

const (
	// raceLimit is how long after the revocation was answered a connection that got
	// in may live. With the polls out of reach, nothing ends it later either.
	raceLimit = 15 * time.Second
	// raceRounds are under way at once.
	raceRounds = 6
	// A racer has so many sessions of either kind, each is connected to so often.
	raceSessions, raceConnects = 4, 4
)

// Connects are raced against revocations of their very sessions, half at the
// relay and half at the message socket, over HTTP and real connections: each is
// refused, or closed with the reason. In one round a person signs out everywhere
// while 32 connections of eight sessions are opened; in the next an administrator
// ends the eight sessions, each while four are opened. On Redis one gateway lets
// in and the other revokes. A connect counts as a race when it was under way
// while the revocation was; the others must not survive either.
//
// That it notices was seen by breaking what it guards: the short version on Redis
// and the long one on the embedded store fail when the relay reads before it
// watches (relay/session.go) and when the hub does (messaging/hub_admit.go).
func TestRel05_ConnectsRacedWithRevocationsLeaveNoSurvivor(t *testing.T) {
	total := soaktest.Rounds(600, 10_000, 100_000)
	for name, onRedis := range map[string]bool{"Embedded": false, "Redis": true} {
		t.Run(name, func(t *testing.T) {
			w := newRaceTrack(t, onRedis)
			tally := &raceTally{}
			began := time.Now()
			var rounds sync.WaitGroup
			next := make(chan int)
			for range raceRounds {
				rounds.Go(func() {
					for i := range next {
						w.round(i, tally)
					}
				})
			}
			for i := 0; tally.count() < total/2 && !t.Failed(); i++ {
				next <- i
			}
			close(next)
			rounds.Wait()
			soaktest.Report(t, "%v, in %v", tally, time.Since(began).Round(time.Second))
			if tally.refused == 0 || len(tally.closed) == 0 {
				t.Error("no race was close: one side always won")
			}
		})
	}
}

// raceTally is what came of the connects so far.
type raceTally struct {
	mu                 sync.Mutex
	refused, survivors int             // of the races
	closed             []time.Duration // of the races: after the answer to the revocation
	early, late        int             // no races: done before the revocation began, begun after it was answered
}

func (r *raceTally) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused + r.survivors + len(r.closed)
}

func (r *raceTally) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.closed)
	at := func(percent int) time.Duration {
		if len(r.closed) == 0 {
			return 0
		}
		return r.closed[(len(r.closed)-1)*percent/100].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d races, %d survivors; %d refused, %d let in and closed p50 %v p99 %v max %v after the answer; besides %d too early and %d too late to race",
		r.refused+r.survivors+len(r.closed), r.survivors, r.refused, len(r.closed), at(50), at(99), at(100), r.early, r.late)
}

// A connect opens a connection, or returns the status it was refused with.
type connect func(context.Context) (*websocket.Conn, int)

// round makes a person with sessions and races all of them.
func (w *raceTrack) round(i int, tally *raceTally) {
	door, desk := w.nodes[i%len(w.nodes)], w.nodes[(i+1)%len(w.nodes)]
	person := lodge.PersonID(fmt.Sprint("racer-", i))
	leaver, _ := w.login(person)
	heats := make([][]connect, 2*raceSessions)
	ends := make([]func(), 2*raceSessions)
	var making sync.WaitGroup
	for n := range raceSessions {
		making.Go(func() {
			code, id := w.login(person)
			ends[n] = func() { w.end(desk, id) }
			for range raceConnects {
				heats[n] = append(heats[n], func(ctx context.Context) (*websocket.Conn, int) { return w.messages(ctx, door, code) })
			}
		})
		making.Go(func() {
			code, id := w.launch(person)
			ends[raceSessions+n] = func() { w.end(desk, id) }
			for range raceConnects {
				uri := w.address(door, code)
				heats[raceSessions+n] = append(heats[raceSessions+n], func(ctx context.Context) (*websocket.Conn, int) { return w.stream(ctx, uri) })
			}
		})
	}
	making.Wait()
	if w.Failed() {
		return
	}
	if i%4 < 2 { // so that each node does both
		w.heat(slices.Concat(heats...), func() { w.signOut(desk, leaver) }, tally)
		return
	}
	var all sync.WaitGroup
	for n := range heats {
		all.Go(func() { w.heat(heats[n], ends[n], tally) })
	}
	all.Wait()
}

// racer is one connect and what came of it.
type racer struct {
	began, done, ended time.Time
	conn               *websocket.Conn
	status             int
	close              websocket.StatusCode // -1 when it was never closed
}

// heat races connects against one revocation, which begins when some number of
// them has begun.
func (w *raceTrack) heat(connects []connect, revoke func(), tally *raceTally) {
	rand.Shuffle(len(connects), func(i, j int) { connects[i], connects[j] = connects[j], connects[i] })
	revokeAt, begin := rand.N(len(connects)), make(chan struct{})
	reading, stop := context.WithCancel(context.Background())
	defer stop()
	racers := make([]racer, len(connects))
	var all sync.WaitGroup
	for i := range connects {
		if i == revokeAt {
			close(begin)
		}
		all.Go(func() { racers[i].run(reading, connects[i]) })
	}
	<-begin
	began := time.Now()
	revoke()
	answered := time.Now()
	late := time.AfterFunc(raceLimit, stop)
	all.Wait()
	late.Stop()
	tally.mu.Lock()
	defer tally.mu.Unlock()
	for i := range racers {
		w.judge(&racers[i], began, answered, tally)
	}
}

// run connects and reads until the connection ends or ctx does.
func (r *racer) run(ctx context.Context, open connect) {
	dialling, cancel := context.WithTimeout(ctx, raceLimit)
	defer cancel()
	r.began = time.Now()
	r.conn, r.status = open(dialling)
	r.done = time.Now()
	if r.conn == nil {
		return
	}
	defer func() { _ = r.conn.CloseNow() }()
	for {
		if _, _, err := r.conn.Read(ctx); err != nil {
			r.ended, r.close = time.Now(), -1
			if closed, ok := errors.AsType[websocket.CloseError](err); ok {
				r.close = closed.Code
			}
			return
		}
	}
}

// judge enters a racer in the tally, which is held.
func (w *raceTrack) judge(r *racer, began, answered time.Time, tally *raceTally) {
	survives := r.conn != nil && r.close != 4403
	switch {
	case r.conn == nil && r.status != http.StatusForbidden && r.status != http.StatusUnauthorized:
		w.Errorf("refused with %d", r.status)
	case survives && r.close != -1:
		w.Errorf("closed with %d", r.close)
	case survives:
		w.Errorf("open %v after its revocation was answered", raceLimit)
	case r.conn != nil && r.began.After(answered):
		w.Errorf("let in %v after its revocation was answered", r.began.Sub(answered))
	}
	switch {
	case survives:
		tally.survivors++ // whenever it came
	case r.done.Before(began):
		tally.early++
	case r.began.After(answered):
		tally.late++
	case r.conn == nil:
		tally.refused++
	default:
		tally.closed = append(tally.closed, max(0, r.ended.Sub(answered)))
	}
}
