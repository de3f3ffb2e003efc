package relay

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A PeerStatus describes one open connection. Its JSON is what practable/relay
// answers at /status, with counts added; what names people is left out of it.
type PeerStatus struct {
	Topic       string    `json:"topic"`
	Scopes      []string  `json:"scopes"`
	CanRead     bool      `json:"can_read"`
	CanWrite    bool      `json:"can_write"`
	ConnectedAt time.Time `json:"connected_at"`
	ExpiresAt   time.Time `json:"expires_at"` // the year 9999 for never
	RemoteAddr  string    `json:"remote_addr"`
	UserAgent   string    `json:"user_agent"`

	Counts

	Session    string         `json:"-"`
	Kind       string         `json:"-"`
	Person     lodge.PersonID `json:"-"`
	Name       string         `json:"-"`
	Booking    string         `json:"-"`
	Experiment string         `json:"-"`

	node   string // the other one that it is at; empty: this one
	unseen bool   // no Observer is told of it there
}

// Counts are numbers of messages: of one connection, or of the whole relay
// since it was started.
type Counts struct {
	In      uint64 `json:"messages_in"`  // sent by the client
	Out     uint64 `json:"messages_out"` // written to the client
	Dropped Drops  `json:"dropped"`
}

// Drops are the messages that were not delivered, by reason.
type Drops struct {
	// Oldest were dropped from the full queue of a DropOldest topic.
	Oldest uint64 `json:"oldest"`
	// Overflow were too much for the full queue of a Close topic; each ended its
	// connection.
	Overflow uint64 `json:"overflow"`
	// Left were waiting for a connection when it ended.
	Left uint64 `json:"left"`
	// Refused were sent by a client without the right to write.
	Refused uint64 `json:"refused"`
}

func (d Drops) plus(o Drops) Drops {
	return Drops{d.Oldest + o.Oldest, d.Overflow + o.Overflow, d.Left + o.Left, d.Refused + o.Refused}
}

func (d Drops) total() uint64 { return d.Oldest + d.Overflow + d.Left + d.Refused }

// counters are a peer's own counts, beside those of its outbox. They are read by
// whoever asks.
type counters struct {
	bytes atomic.Uint64 // read
	in    atomic.Uint64 // messages, as the rest

	overflow, left, refused atomic.Uint64
}

func (p *peer) counts() Counts {
	c := &p.count
	return Counts{In: c.in.Load(), Out: p.out.messages.Load(), Dropped: Drops{
		Oldest: p.out.queue.dropped.Load(), Overflow: c.overflow.Load(), Left: c.left.Load(), Refused: c.refused.Load(),
	}}
}

// tally adds up the counts of peers that have gone.
type tally struct {
	in, out, oldest, overflow, left, refused atomic.Uint64
}

func (t *tally) add(c Counts) {
	t.in.Add(c.In)
	t.out.Add(c.Out)
	t.oldest.Add(c.Dropped.Oldest)
	t.overflow.Add(c.Dropped.Overflow)
	t.left.Add(c.Dropped.Left)
	t.refused.Add(c.Dropped.Refused)
}

func (t *tally) read() Counts {
	return Counts{In: t.in.Load(), Out: t.out.Load(), Dropped: Drops{
		Oldest: t.oldest.Load(), Overflow: t.overflow.Load(), Left: t.left.Load(), Refused: t.refused.Load(),
	}}
}

// Stats are a relay's numbers, for metrics.
type Stats struct {
	Rooms int
	Peers int
	Counts
	DroppedBy map[Overflow]Drops // Counts.Dropped, by the policy of the streams

	BytesIn  uint64 // read from clients, with the frames around messages
	BytesOut uint64 // written to clients, of messages and their frames

	Leases     int    // topics that this node holds
	LeasesLost uint64 // topics that another node took
	Fenced     uint64 // connections that were ended for want of a lease

	Tickets  uint64            // addresses handed out
	Refusals map[string]uint64 // requests that were refused, by a word for why
}

// refusalWords are the words of Stats.Refusals, by the status that they were
// refused with.
var refusalWords = map[int]string{
	http.StatusBadRequest: "malformed", http.StatusUnauthorized: "unauthenticated", http.StatusForbidden: "forbidden",
	http.StatusNotFound: "unknown", http.StatusConflict: "offline", http.StatusTooManyRequests: "too_many",
	http.StatusServiceUnavailable: "unavailable",
}

// otherRefusal is the word for all other statuses.
const otherRefusal = "other"

// refusals count requests that were refused.
type refusals struct{ by map[string]*atomic.Uint64 } // static

func newRefusals() refusals {
	r := refusals{by: map[string]*atomic.Uint64{otherRefusal: {}}}
	for _, word := range refusalWords {
		r.by[word] = &atomic.Uint64{}
	}
	return r
}

func (r refusals) count(status int) {
	word, known := refusalWords[status]
	if !known {
		word = otherRefusal
	}
	r.by[word].Add(1)
}

// bytes returns what has gone over the peer's connection.
func (p *peer) bytes() (in, out uint64) { return p.count.bytes.Load(), p.out.bytes.Load() }

// Stats returns the numbers of now. Messages counted while it runs may be
// missing from them, and are in the next.
func (r *Relay) Stats() Stats {
	s := Stats{
		DroppedBy: map[Overflow]Drops{}, BytesIn: r.rooms.pastIn.Load(), BytesOut: r.rooms.pastOut.Load(),
		Tickets: r.tickets.made.Load(), Refusals: map[string]uint64{},
	}
	for word, n := range r.refusals.by {
		s.Refusals[word] = n.Load()
	}
	for policy := range policies {
		past := r.rooms.past[policy].read()
		s.DroppedBy[policy] = past.Dropped
		s.In += past.In
		s.Out += past.Out
	}
	if r.fleet != nil {
		s.Leases, s.LeasesLost, s.Fenced = r.fleet.leases(), r.fleet.lost.Load(), r.fleet.fenced.Load()
	}
	seen := map[*room]bool{}
	r.rooms.each(func(p *peer) {
		if p.grant.Load().Kind == kindCanary {
			return
		}
		seen[p.room] = true
		s.Peers++
		c := p.counts()
		s.In += c.In
		s.Out += c.Out
		policy := p.out.queue.policy
		s.DroppedBy[policy] = s.DroppedBy[policy].plus(c.Dropped)
		in, out := p.bytes()
		s.BytesIn += in
		s.BytesOut += out
	})
	s.Rooms = len(seen)
	for _, d := range s.DroppedBy {
		s.Dropped = s.Dropped.plus(d)
	}
	return s
}

// never stands in the status for the end of what has none.
var never = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Peers returns the open connections of a tenant, in no particular order.
func (r *Relay) Peers(tenant lodge.Tenant) []PeerStatus {
	list := []PeerStatus{}
	r.rooms.each(func(p *peer) {
		if p.room.key.tenant == tenant && p.opened.Load() {
			list = append(list, p.status())
		}
	})
	return list
}

func (p *peer) status() PeerStatus {
	g := p.grant.Load()
	s := PeerStatus{
		Topic: g.Topic, CanRead: g.Read, CanWrite: g.Write, Scopes: []string{},
		ConnectedAt: p.connectedAt, ExpiresAt: g.Ends, RemoteAddr: p.address, UserAgent: p.agent,
		Counts:  p.counts(),
		Session: g.Session, Kind: g.Kind, Person: g.Person, Name: g.Name, Booking: g.Booking, Experiment: g.Experiment,
	}
	if g.Read {
		s.Scopes = append(s.Scopes, "read")
	}
	if g.Write {
		s.Scopes = append(s.Scopes, "write")
	}
	if s.ExpiresAt.IsZero() {
		s.ExpiresAt = never
	}
	return s
}

// SilentHeader names, in an answer of Status, the nodes that did not answer in
// time: their connections are missing from it.
const SilentHeader = "Lodge-Silent-Nodes"

// Status serves GET /status to whoever has ScopeStats.
func (r *Relay) Status(w http.ResponseWriter, req *http.Request) {
	if err := r.status(w, req); err != nil {
		r.refuse(w, req, err)
	}
}

func (r *Relay) status(w http.ResponseWriter, req *http.Request) error {
	if req.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		return &httpError{http.StatusMethodNotAllowed, "Use GET."}
	}
	tenant, err := r.holding(req, ScopeStats)
	if err != nil {
		return err
	}
	peers, silent := r.AllPeers(req.Context(), tenant)
	if len(silent) > 0 {
		w.Header().Set(SilentHeader, strings.Join(silent, ", "))
	}
	reply(w, http.StatusOK, peers)
	return nil
}

// holding returns the tenant of a request whose code has a scope there.
func (r *Relay) holding(req *http.Request, scope string) (lodge.Tenant, error) {
	code, err := codeOf(req)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	tenant := r.opts.Tenant(req)
	return tenant, r.access.allowed(ctx, tenant, code, scope, r.opts.Allowed)
}
