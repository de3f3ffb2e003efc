package relay_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// attendants is an Observer that keeps who is there, by session.
type attendants struct {
	mu    sync.Mutex
	there map[string][]relay.Grant
	since map[string]time.Time
}

func (a *attendants) Joined(g relay.Grant, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.there[g.Session] = append(a.there[g.Session], g)
	a.since[g.Session] = at
}

func (a *attendants) Left(g relay.Grant, _ time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.there[g.Session], g)
	if i < 0 {
		panic("somebody left who had not come")
	}
	a.there[g.Session] = slices.Delete(a.there[g.Session], i, i+1)
}

func (a *attendants) count(session string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.there[session])
}

// Who is with a relay on its own, the gateways know: each of them, soon after a hint
// and in time without one; who is with a node that tells an observer of its own,
// they are not told twice.
func TestGatewaysKnowWhoIsAtRelays(t *testing.T) {
	for name, hinted := range map[string]bool{"with hints": true, "with hints lost": false} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				wait := 10 * time.Second
				if hinted {
					f.hints = &bus{}
					wait = time.Second
				}
				one, two := &attendants{there: map[string][]relay.Grant{}, since: map[string]time.Time{}}, &attendants{there: map[string][]relay.Grant{}, since: map[string]time.Time{}}
				f.kind = "experiment"
				f.distant = map[string]relay.Observer{"gateway1": one, "gateway2": two}
				first := f.node("gateway1")
				f.node("gateway2")
				alone := f.node("relay1")
				pass(time.Minute)

				ada, _ := f.join(first, "pend00-data", "ada")
				pass(time.Second)
				begun := time.Now()
				second, _ := f.join(first, "pend00-data", "ada") // another window
				pass(wait)
				for i, seen := range []*attendants{one, two} {
					if n := seen.count("ada"); n != 2 {
						t.Errorf("gateway %d sees %d connections of ada", i+1, n)
					}
					if at := seen.since["ada"]; at.Sub(begun).Abs() > time.Second {
						t.Errorf("gateway %d says she came %v after she did", i+1, at.Sub(begun))
					}
					if g := seen.there["ada"][0]; g.Experiment != "pend00" || g.Person != "person-ada" || g.Tenant != lodge.DefaultTenant || g.Name == "" {
						t.Errorf("of her is known %+v", g)
					}
				}

				if err := second.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Fatal(err)
				}
				pass(wait)
				if n, m := one.count("ada"), two.count("ada"); n != 1 || m != 1 {
					t.Errorf("one window closed, %d and %d are there", n, m)
				}

				// A node that does not answer for a while has not lost its people; one that
				// has died has.
				alone.end.Cut(true)
				pass(2 * time.Second)
				if n := one.count("ada"); n != 1 {
					t.Errorf("%d while the node is silent", n)
				}
				alone.stop()
				pass(life + 2*10*time.Second)
				if n, m := one.count("ada"), two.count("ada"); n != 0 || m != 0 {
					t.Errorf("%d and %d are there when the node is gone", n, m)
				}
				_ = ada.CloseNow() // its node has died
			})
		})
	}
}

// bus is Hints in memory.
type bus struct {
	mu   sync.Mutex
	subs map[*func(lodge.Tenant, string)]struct{}
}

func (b *bus) Publish(_ context.Context, tenant lodge.Tenant, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for fn := range b.subs {
		(*fn)(tenant, name)
	}
	return nil
}

func (b *bus) Subscribe(ctx context.Context, fn func(lodge.Tenant, string)) error {
	b.mu.Lock()
	if b.subs == nil {
		b.subs = map[*func(lodge.Tenant, string)]struct{}{}
	}
	b.subs[&fn] = struct{}{}
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs, &fn)
	return ctx.Err()
}
