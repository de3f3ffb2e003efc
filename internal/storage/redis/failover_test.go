package redis

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// ended are the codes of the sessions whose revocation was answered.
type ended struct {
	mu    sync.Mutex
	codes []string
}

func (e *ended) add(code string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.codes = append(e.codes, code)
}

func (e *ended) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.codes[:len(e.codes):len(e.codes)]
}

// The master dies, again and again, while sessions are made and revoked through
// one node and checked through another: what was answered stands from that
// moment on, and nobody waits longer than ten seconds.
func TestRel07_FailoverIsShortAndNeverSaysValidFalsely(t *testing.T) {
	rounds := soaktest.Rounds(1, 2, 10)
	f := redistest.StartSentinel(t, 3)
	journal := sessionstest.NewMemory().Journal()
	config := bySentinel(t, f, journal)
	maker, checker := startNode(t, config, journal), startNode(t, config, journal)
	lasting := sessions.New{Tenant: "t1", Kind: sessions.Experiment, Person: "p1", Booking: "kept", Experiment: "pend00", ExpiresAt: sessionstest.Base.Add(time.Hour)}
	kept, _, err := maker.Create(t.Context(), lasting)
	if err != nil {
		t.Fatal(err)
	}
	f.Replicated()

	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer cancel()
	var dead ended
	busy.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			code, s, err := maker.Create(ctx, lasting)
			if err == nil && maker.Revoke(ctx, "t1", s.ID, "ended by root") == nil {
				dead.add(code)
			}
		}
	})
	var checked int
	var gap time.Duration
	busy.Go(func() {
		good := time.Now()
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := checker.Check(ctx, "t1", kept); err == nil {
				gap, good = max(gap, time.Since(good)), time.Now()
			}
			codes := dead.all()
			for n := range min(len(codes), 20) { // the newest, which a failover may lose, and some older one
				at := len(codes) - 1 - n
				if n == 0 {
					at = i % len(codes)
				}
				_, err := checker.Check(ctx, "t1", codes[at])
				checked++
				if err == nil {
					t.Errorf("revoked session %d of %d was let in", at, len(codes))
				}
			}
		}
	})
	for round := range rounds {
		before := len(dead.all())
		eventually(t, func() error {
			if len(dead.all()) < before+20 {
				return errors.New("no revocation is answered")
			}
			return nil
		})
		master := f.Master()
		master.Kill()
		f.Promoted(master)
		eventually(t, func() error { _, err := checker.Check(t.Context(), "t1", kept); return err })
		if round < rounds-1 {
			f.Rejoin(master)
		}
	}
	cancel()
	busy.Wait()
	for _, code := range dead.all() {
		if _, err := checker.Check(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) && !errors.Is(err, sessions.ErrUnknown) {
			t.Errorf("after all, a revoked session: %v", err)
		}
	}
	soaktest.Report(t, "%d failovers while %d sessions were revoked, %d checks of those, longest gap %v", rounds, len(dead.all()), checked, gap.Round(time.Millisecond))
	if gap > 10*time.Second {
		t.Errorf("sessions could not be checked for %v", gap)
	}
}
