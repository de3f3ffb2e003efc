package relay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	maxTicketLife = 30 * time.Second
	// maxTickets bounds how many unopened addresses one session may hold.
	maxTickets = 64
)

// A ticketID is the SHA-256 of a ticket. Only this is kept.
type ticketID [sha256.Size]byte

type issued struct {
	id      ticketID
	expires time.Time
}

type ticket struct {
	issued
	grant Grant
}

// tickets are the addresses that were handed out and not opened yet: each is
// good for one topic of one session, once, for a life of seconds.
type tickets struct {
	life time.Duration // static
	made atomic.Uint64

	mu      sync.Mutex
	byID    map[ticketID]ticket // guarded by mu
	order   []issued            // guarded by mu; as issued, which is as they expire; spent ones too
	holding map[holder]int      // guarded by mu; how many in byID are a session's
}

type holder struct {
	tenant  lodge.Tenant
	session string
}

func newTickets(life time.Duration) *tickets {
	return &tickets{life: life, byID: map[ticketID]ticket{}, holding: map[holder]int{}}
}

// foreign begins the tickets that another node spends.
const foreign = "~"

// note is a ticket as one node leaves it for another.
type note struct {
	Node  string `json:"node"`
	Grant Grant  `json:"grant"`
}

// noteName names a note: the ticket itself stands in no store.
func noteName(code string) string {
	id := sha256.Sum256([]byte(code))
	return hex.EncodeToString(id[:])
}

// errTicket is the answer to every ticket that is not good, whatever it lacks.
var errTicket = lodge.E(lodge.CodeUnauthenticated, "This address is not good, or no longer: each works once and for half a minute. Ask for a new one with POST.")

// ticket makes a ticket that is good at one place.
func (r *Relay) ticket(ctx context.Context, at place, grant Grant, now time.Time) (string, error) {
	if at.node == "" {
		return r.tickets.issue(grant, now)
	}
	// It is counted here for as long as it could be opened there.
	code, err := r.tickets.make(foreign, grant, now)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(note{at.node, grant})
	if err != nil {
		return "", err
	}
	if err := r.fleet.Notes.Put(ctx, grant.Tenant, noteName(code), body, r.opts.TicketLife); err != nil {
		return "", unavailable(err)
	}
	return code, nil
}

// spend takes a ticket out, whatever becomes of it, and returns its grant if it
// was good here for that topic.
func (r *Relay) spend(ctx context.Context, code string, tenant lodge.Tenant, topic string) (Grant, error) {
	if r.fleet == nil || !strings.HasPrefix(code, foreign) {
		grant, ok := r.tickets.spend(code, tenant, topic, r.clock.Now())
		if !ok {
			return Grant{}, errTicket
		}
		return grant, nil
	}
	body, err := r.fleet.Notes.Take(ctx, tenant, noteName(code))
	if err != nil {
		return Grant{}, unavailable(err)
	}
	var n note
	if body == nil || json.Unmarshal(body, &n) != nil || n.Node != r.fleet.Self.ID || n.Grant.Tenant != tenant || n.Grant.Topic != topic {
		return Grant{}, errTicket
	}
	return n.Grant, nil
}

// issue returns a new ticket for a grant.
func (t *tickets) issue(grant Grant, now time.Time) (string, error) { return t.make("", grant, now) }

func (t *tickets) make(prefix string, grant Grant, now time.Time) (string, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	code := prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	tk := ticket{issued{sha256.Sum256([]byte(code)), now.Add(t.life)}, grant}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	h := holder{grant.Tenant, grant.Session}
	if t.holding[h] >= maxTickets {
		return "", &lodge.Error{
			Code: lodge.CodeTooMany, RetryAfter: t.life,
			Safe: "Too many connections were asked for and not opened; open those, or wait half a minute.",
		}
	}
	t.made.Add(1)
	t.holding[h]++
	t.byID[tk.id] = tk
	t.order = append(t.order, tk.issued)
	return code, nil
}

// spend takes a ticket out, whatever becomes of it, and returns its grant if it
// was good for that topic.
func (t *tickets) spend(code string, tenant lodge.Tenant, topic string, now time.Time) (Grant, bool) {
	id := ticketID(sha256.Sum256([]byte(code)))
	t.mu.Lock()
	defer t.mu.Unlock()
	tk, ok := t.byID[id]
	if !ok {
		return Grant{}, false
	}
	t.forgetLocked(tk)
	good := now.Before(tk.expires) && tk.grant.Tenant == tenant && tk.grant.Topic == topic
	return tk.grant, good
}

// sweep forgets what has expired.
func (t *tickets) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
}

func (t *tickets) sweepLocked(now time.Time) {
	n := 0
	for n < len(t.order) && !now.Before(t.order[n].expires) {
		if tk, ok := t.byID[t.order[n].id]; ok {
			t.forgetLocked(tk)
		}
		n++
	}
	t.order = slices.Delete(t.order, 0, n)
}

func (t *tickets) forgetLocked(tk ticket) {
	delete(t.byID, tk.id)
	h := holder{tk.grant.Tenant, tk.grant.Session}
	if t.holding[h]--; t.holding[h] <= 0 {
		delete(t.holding, h)
	}
}
