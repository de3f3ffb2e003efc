package sessionstest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// limit is how long an event may take that a test waits for.
const limit = 20 * time.Second

// A Backend is what Run tests. Each use starts empty.
type Backend struct {
	Store   sessions.Store
	Journal sessions.Journal // nil when the back end has none of its own
	Signals sessions.Signals // nil when the back end has none of its own
}

// Run runs the whole conformance suite: the interfaces one by one, then a Manager
// on top of them. open returns an empty back end and cleans up after the test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Run("Store", func(t *testing.T) { testStore(t, func(t *testing.T) sessions.Store { return open(t).Store }) })
	if open := part(t, open, func(b Backend) (sessions.Journal, bool) { return b.Journal, b.Journal != nil }); open != nil {
		t.Run("Journal", func(t *testing.T) { Journal(t, open) })
	}
	if open := part(t, open, func(b Backend) (sessions.Signals, bool) { return b.Signals, b.Signals != nil }); open != nil {
		t.Run("Signals", func(t *testing.T) { testSignals(t, open) })
	}
	t.Run("Manager", func(t *testing.T) { testManager(t, open) })
}

// part returns how to open one part of a back end, nil when it has none.
func part[T any](t *testing.T, open func(t *testing.T) Backend, pick func(Backend) (T, bool)) func(t *testing.T) T {
	if _, has := pick(open(t)); !has {
		return nil
	}
	return func(t *testing.T) T {
		p, _ := pick(open(t))
		return p
	}
}

// Base is the time at which the tests' clocks begin.
var Base = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

// A Clock is a lodge.Clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

var _ lodge.Clock = (*Clock)(nil)

// NewClock returns a Clock that shows Base.
func NewClock() *Clock { return &Clock{now: Base} }

// Now implements lodge.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// IDOf returns a well-formed session id for a name.
func IDOf(name string) sessions.ID {
	sum := sha256.Sum256([]byte(name))
	return sessions.ID(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// Example returns a session with every field set, that is active at Base.
func Example(tenant lodge.Tenant, name string) sessions.Session {
	return sessions.Session{
		ID: IDOf(name), Tenant: tenant, Kind: sessions.Experiment, Version: 1,
		Person: "person-1", Name: "Søren Ó Briain", Groups: []string{"g1", "g2"},
		Bindings: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:g1"}},
		Booking:  "booking-1", Experiment: "pend00", Scopes: []string{"read:pend00-data"},
		Issuer: "dev", Subject: "ada", IdPSession: "sid-1", Device: "Firefox", Address: "192.0.2.1",
		CreatedAt: Base, SeenAt: Base, NotBefore: Base.Add(-time.Minute), ExpiresAt: Base.Add(time.Hour),
		MessagesUntil: Base.Add(24 * time.Hour), IdleAfter: time.Hour, Data: []byte{0, 1, 2, 255},
	}
}

// say formats a record for comparison and for a test's message.
func say(s sessions.Session) string { return fmt.Sprintf("%+v", s) }
