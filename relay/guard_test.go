package relay

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// fakeDenials are Denials in memory that can be made unreachable.
type fakeDenials struct {
	mu      sync.Mutex
	denied  map[DenialKey]time.Time
	allowed map[DenialKey]time.Time
	down    bool
}

func newDenials() *fakeDenials {
	return &fakeDenials{denied: map[DenialKey]time.Time{}, allowed: map[DenialKey]time.Time{}}
}

var errDown = errors.New("the store does not answer")

func (d *fakeDenials) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *fakeDenials) put(in, out map[DenialKey]time.Time, key DenialKey, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errDown
	}
	delete(out, key)
	in[key] = until
	return nil
}

func (d *fakeDenials) Deny(_ context.Context, _ lodge.Tenant, key DenialKey, until, _ time.Time) error {
	return d.put(d.denied, d.allowed, key, until)
}

func (d *fakeDenials) Allow(_ context.Context, _ lodge.Tenant, key DenialKey, until, _ time.Time) error {
	return d.put(d.allowed, d.denied, key, until)
}

func (d *fakeDenials) Denied(_ context.Context, _ lodge.Tenant, now time.Time, keys ...DenialKey) ([]DenialKey, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, errDown
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k DenialKey) bool { return !now.Before(d.denied[k]) }), nil
}

func (d *fakeDenials) List(context.Context, lodge.Tenant, time.Time) (denied, allowed []DenialKey, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, nil, errDown
	}
	return slices.Sorted(maps.Keys(d.denied)), slices.Sorted(maps.Keys(d.allowed)), nil
}

// fakeHints are Hints between relays of one process. They fail once, and lose
// everything when mute.
type fakeHints struct {
	mu     sync.Mutex
	fns    map[*func(lodge.Tenant, string)]struct{}
	failed int
	mute   bool
}

func (h *fakeHints) Publish(_ context.Context, tenant lodge.Tenant, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute {
		return errDown
	}
	for fn := range h.fns {
		(*fn)(tenant, name)
	}
	return nil
}

func (h *fakeHints) Subscribe(ctx context.Context, fn func(lodge.Tenant, string)) error {
	h.mu.Lock()
	if h.failed++; h.failed == 1 {
		h.mu.Unlock()
		return errDown
	}
	h.fns[&fn] = struct{}{}
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.fns, &fn)
	return ctx.Err()
}

func (h *fakeHints) subscribed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.fns)
}

// interop is a relay that takes tokens, running, with what its nodes share.
func interop(t *testing.T, denials Denials, hints Hints) *rig {
	t.Helper()
	r := onPipes(t, Options{
		Tokens: newTokens(t), Denials: denials, Hints: hints,
		Allowed: func(_ context.Context, _ lodge.Tenant, code, scope string) (bool, error) {
			return code == "boss" && scope == ScopeAdmin, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) }) // it returns nil
	t.Cleanup(func() { cancel(); running.Wait() })
	return r
}

// deny has a relay deny a booking for an hour.
func (r *rig) deny(t *testing.T, booking string) int {
	t.Helper()
	return r.bid(t, "deny", booking)
}

func (r *rig) bid(t *testing.T, list, booking string) int {
	t.Helper()
	query := url.Values{"bid": {booking}, "exp": {strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)}}
	req, err := http.NewRequest(http.MethodPost, r.url+"/bids/"+list+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "boss")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the status is all
	return resp.StatusCode
}

// users connects a token and a code of booking b1, and a host's code.
func (r *rig) users(t *testing.T) (both map[string]*websocket.Conn, host *websocket.Conn) {
	t.Helper()
	r.access.allow("ada", "pend00-data", true, true, time.Time{})
	r.access.book("ada", "pend00-data", "b1")
	r.access.allow("rig", "pend00-data", true, true, time.Time{})
	token := sign(t, tokenSecret, hs256, but(goodClaims(time.Now()), "exp", time.Now().Add(time.Hour).Unix()))
	return map[string]*websocket.Conn{
		"token": r.connect(t, "pend00-data", token), "code": r.connect(t, "pend00-data", "ada"),
	}, r.connect(t, "pend00-data", "rig")
}

func TestSec23_DenialClosesAtOnceOnEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials, hints := newDenials(), &fakeHints{fns: map[*func(lodge.Tenant, string)]struct{}{}}
		first, second := interop(t, denials, hints), interop(t, denials, hints)
		wstest.Eventually(t, "both subscribed", func() bool { return hints.subscribed() == 2 })
		for name, r := range map[string]*rig{"the same node": first, "the other": second} {
			conns, host := r.users(t)
			if status := first.deny(t, "b1"); status != http.StatusNoContent {
				t.Fatalf("deny: %d", status)
			}
			for kind, conn := range conns {
				if frame, took := closedAfter(t, conn); frame.Code != StatusRevoked || took != 0 {
					t.Errorf("%s, %s: %v after %v", name, kind, frame, took)
				}
			}
			if status := second.bid(t, "allow", "b1"); status != http.StatusNoContent {
				t.Fatalf("allow: %d", status)
			}
			again, _ := r.users(t)
			wstest.Write(t, again["token"], websocket.MessageText, "back")
			if _, got := wstest.Read(t, host); got != "back" {
				t.Errorf("%s: got %q", name, got)
			}
		}
		first.quiescent(t, second)
	})
}

// With the hint lost, the poll finds out.
func TestSec23_DenialWithoutHintClosesWithinThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials, hints := newDenials(), &fakeHints{fns: map[*func(lodge.Tenant, string)]struct{}{}, mute: true}
		first, second := interop(t, denials, hints), interop(t, denials, hints)
		conns, _ := second.users(t)
		begun := time.Now()
		if status := first.deny(t, "b1"); status != http.StatusNoContent {
			t.Fatalf("deny: %d", status)
		}
		for kind, conn := range conns {
			frame := wstest.Closed(t, conn, time.Hour)
			if took := time.Since(begun); frame.Code != StatusRevoked || took > 5*time.Second {
				t.Errorf("%s: %v after %v", kind, frame, took)
			}
		}
	})
}

func TestSec23_DenialsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denials := newDenials()
		r := interop(t, denials, nil)
		conns, host := r.users(t)
		begun := time.Now()
		denials.setDown(true)
		if status := r.deny(t, "b1"); status != http.StatusServiceUnavailable {
			t.Errorf("deny: %d", status)
		}
		token := sign(t, tokenSecret, hs256, goodClaims(time.Now()))
		for _, code := range []string{token, "ada"} {
			if status, answer := r.post(t, "pend00-data", code); status != http.StatusServiceUnavailable || answer["message"] == "" {
				t.Errorf("a new connection: %d %v", status, answer)
			}
		}
		for kind, conn := range conns {
			frame := wstest.Closed(t, conn, time.Hour)
			if took := time.Since(begun); frame.Code != StatusLeaseLost || took > 15*time.Second {
				t.Errorf("%s: %v after %v", kind, frame, took)
			}
		}
		// The hardware depends on no denial.
		denials.setDown(false)
		again, _ := r.users(t)
		wstest.Write(t, again["code"], websocket.MessageText, "hello")
		if _, got := wstest.Read(t, host); got != "hello" {
			t.Errorf("the host got %q", got)
		}
	})
}

// Without a store of denials no token is accepted: it could not be taken back.
func TestSec23_NoTokensWithoutDenials(t *testing.T) {
	r := onNetwork(t, Options{Tokens: newTokens(t)})
	if status, _ := r.post(t, "pend00-data", sign(t, tokenSecret, hs256, goodClaims(time.Now()))); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	r.access.allow("ada", "pend00-data", true, true, time.Time{})
	r.access.book("ada", "pend00-data", "b1")
	if status, _ := r.post(t, "pend00-data", "ada"); status != http.StatusOK {
		t.Errorf("a code: %d", status)
	}
}

// A denial of a token that expires meanwhile outlives it: other nodes' clocks may
// be late.
func TestSec23_DenialOutlivesTheToken(t *testing.T) {
	denials := newDenials()
	r := start(t, lodge.SystemClock{}, Options{Tokens: newTokens(t), Denials: denials})
	claims := goodClaims(time.Now())
	token := sign(t, tokenSecret, hs256, claims)
	req, err := http.NewRequest(http.MethodDelete, r.url+"/session/pend00-data", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the status is all
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d", resp.StatusCode)
	}
	want := time.Unix(claims["exp"].(int64), 0).Add(skew)
	if got := denials.denied[TokenKey(hash(token))]; !got.Equal(want) {
		t.Errorf("denied until %v, want %v", got, want)
	}
}

// quiescent checks that relays whose connections have gone watch nothing.
func (r *rig) quiescent(t *testing.T, others ...*rig) {
	t.Helper()
	for _, one := range append(others, r) {
		if err := one.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		one.Relay.access.mu.Lock()
		if n := len(one.Relay.access.watches); n != 0 {
			t.Errorf("%d keys are watched still", n)
		}
		one.Relay.access.mu.Unlock()
	}
}
