package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// ticketLife is how long a message ticket can wait for its websocket.
const ticketLife = 30 * time.Second

// maxTickets bounds what unspent tickets can hold; one lives 30 seconds. No
// session holds more than perSession of them.
const (
	maxTickets = 100_000
	perSession = 64
)

// tickets are one-use keys to the message socket for experiment UIs, whose
// pages cannot send an Authorization header with a websocket. They live on the
// node that gave them out: the address handed back names it.
type tickets struct {
	clock lodge.Clock

	mu      sync.Mutex
	waiting map[[32]byte]ticket  // guarded by mu; by SHA-256, so that a dump holds no ticket
	oldest  [][32]byte           // guarded by mu; in the order given out, spent ones too
	holding map[ticketHolder]int // guarded by mu; how many are waiting
}

type ticketHolder struct {
	tenant  lodge.Tenant
	session sessions.ID
}

type ticket struct {
	ticketHolder
	until time.Time
}

func newTickets(clock lodge.Clock) *tickets {
	return &tickets{clock: clock, waiting: map[[32]byte]ticket{}, holding: map[ticketHolder]int{}}
}

// issue returns a new ticket for a session.
func (t *tickets) issue(tenant lodge.Tenant, session sessions.ID) (string, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand.Read
	code := base64.RawURLEncoding.EncodeToString(secret[:])
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
	if len(t.waiting) >= maxTickets {
		return "", &lodge.Error{Code: lodge.CodeUnavailable, Safe: "Too many connections are being opened at this moment; try again shortly.", RetryAfter: ticketLife}
	}
	holder := ticketHolder{tenant, session}
	if t.holding[holder] >= perSession {
		return "", &lodge.Error{Code: lodge.CodeTooMany, Safe: "Too many connections were asked for and not opened; open those, or wait half a minute.", RetryAfter: ticketLife}
	}
	key := sha256.Sum256([]byte(code))
	t.waiting[key] = ticket{holder, now.Add(ticketLife)}
	t.holding[holder]++
	t.oldest = append(t.oldest, key)
	return code, nil
}

// spend returns the session of a ticket, once.
func (t *tickets) spend(tenant lodge.Tenant, code string) (sessions.ID, bool) {
	now := t.clock.Now()
	key := sha256.Sum256([]byte(code))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
	found, ok := t.waiting[key]
	t.drop(key)
	return found.session, ok && found.tenant == tenant
}

// drop takes a ticket out if it waits; t.mu is held.
func (t *tickets) drop(key [32]byte) {
	w, ok := t.waiting[key]
	if !ok {
		return
	}
	delete(t.waiting, key)
	if t.holding[w.ticketHolder]--; t.holding[w.ticketHolder] == 0 {
		delete(t.holding, w.ticketHolder)
	}
}

// forget drops what has run out; t.mu is held.
func (t *tickets) forget(now time.Time) {
	for len(t.oldest) > 0 {
		if w, ok := t.waiting[t.oldest[0]]; ok && now.Before(w.until) {
			return
		}
		t.drop(t.oldest[0])
		t.oldest = t.oldest[1:]
	}
}
