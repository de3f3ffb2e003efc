package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// network is what a back end promises whose server is elsewhere.
var network = []struct {
	name string
	hold func(t *testing.T, log messaging.Log, net Network)
}{
	{"out of reach, every call says so in time", outOfReach},
	{"cut under load, nothing is lost or doubled", cutUnderLoad},
	{"hints come again after a cut", hintsAfterCut},
	{"closing does not wait for a silent server", closeSilent},
}

// unreachable reports whether err says what a log says that has lost its server.
func unreachable(err error) bool {
	return errors.Is(err, messaging.ErrUnavailable) || errors.Is(err, messaging.ErrUncertain)
}

func outOfReach(t *testing.T, log messaging.Log, net Network) {
	want := fill(t, log, topic, "m", 3)
	for what, fail := range map[string]func(){"cut": net.Cut, "silent": net.Hang} {
		fail()
		ctx, stop := context.WithTimeout(within(t), 2*time.Second)
		began := time.Now()
		for call, err := range every(ctx, log, want[0].Pos) {
			switch {
			case err == nil:
				t.Errorf("%s: %s succeeded", what, call)
			case !unreachable(err) && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("%s: %s: %v", what, call, err)
			}
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: the calls took %v", what, took)
		}
		stop()
		net.Pass()
		again(t, func() error { _, err := log.Heads(within(t), []messaging.Topic{topic}); return err })
	}
}

// again repeats a call until the server is found again.
func again(t *testing.T, call func() error) {
	t.Helper()
	ctx := within(t)
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		err := call()
		if err == nil {
			return
		}
		if !unreachable(err) {
			t.Fatalf("after a failure of the network: %v", err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("the log does not recover: %v", err)
		}
	}
}

// cutUnderLoad has writers repeat what they are not sure of, and a reader that
// goes on from where it was, while the connections are cut again and again.
func cutUnderLoad(t *testing.T, log messaging.Log, net Network) {
	const writers, each, cuts = 8, 40, 5
	ctx := within(t)
	progress := make(chan struct{}, writers*each)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				m := msg(fmt.Sprintf("w%d-%d", w, i))
				if err := persist(ctx, func() error { _, err := log.Append(ctx, topic, []messaging.Msg{m}, nil); return err }); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				progress <- struct{}{}
			}
		})
	}
	var got []messaging.Entry
	var reading sync.WaitGroup
	reading.Go(func() {
		var at messaging.Pos
		for len(got) < writers*each {
			var p messaging.Page
			err := persist(ctx, func() (err error) { p, err = log.Read(ctx, topic, at, 7); return err })
			if err != nil {
				t.Errorf("reader: %v", err)
				return
			}
			for _, e := range p.Entries {
				got, at = append(got, e), e.Pos
			}
		}
	})
	for range cuts {
		for range writers * each / (cuts + 1) {
			select {
			case <-progress:
			case <-ctx.Done():
				t.Fatal("the writers are stuck")
			}
		}
		net.Cut()
		net.Pass()
	}
	writing.Wait()
	reading.Wait()
	if t.Failed() {
		return
	}
	next := map[int]int{}
	for i, e := range got {
		var w, k int
		if _, err := fmt.Sscanf(e.ID, "w%d-%d", &w, &k); err != nil || e.Pos.Seq != uint64(i+1) || next[w] != k {
			t.Fatalf("entry %d is %q at %d, want the writer's %d", i, e.ID, e.Pos.Seq, next[w])
		}
		next[w]++
	}
	same(t, "at the end", all(t, log, topic, messaging.Pos{}, 100), got)
}

// persist repeats a call while the log says that it lost its server.
func persist(ctx context.Context, call func() error) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		err := call()
		if !unreachable(err) {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return err
		}
	}
}

func hintsAfterCut(t *testing.T, log messaging.Log, net Network) {
	ctx, stop := context.WithCancel(within(t))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	hints := make(chan messaging.Topic, 1024)
	wg.Go(func() {
		for ctx.Err() == nil { // one that ends with an error is begun anew
			for name, err := range log.Changes(ctx) {
				if err == nil {
					select {
					case hints <- name:
					default: // a hint too many
					}
				}
			}
		}
	})
	for round := range 3 {
		name := messaging.Topic(fmt.Sprint("round", round))
		hinted(t, hints, name, func(try int) {
			again(t, func() error {
				_, err := log.Append(ctx, name, []messaging.Msg{msg(fmt.Sprint(try))}, nil)
				return err
			})
		})
		net.Cut()
		net.Pass()
	}
}

func closeSilent(t *testing.T, log messaging.Log, net Network) {
	at := put(t, log, topic, msg("m"))[0]
	net.Hang()
	ctx := within(t)
	ended := make(chan map[string]error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- every(ctx, log, at) })
	began := time.Now()
	closeLog(t, log)
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	for call, err := range <-ended {
		if !errors.Is(err, messaging.ErrClosed) && !unreachable(err) {
			t.Errorf("%s: %v, want ErrClosed", call, err)
		}
	}
	net.Pass()
}
