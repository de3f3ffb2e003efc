package messaging

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
)

// A Subscriber is somebody with a message connection: a session, and the topics
// it is entitled to now.
type Subscriber struct {
	Tenant  lodge.Tenant
	Person  lodge.PersonID
	Session string // the session's public id
	Name    string // the person's display name
	Topics  []string
	// Since bounds topics in time: entries made earlier are not this
	// subscriber's to see. Topics that are absent have no bound.
	Since map[string]time.Time
}

// Members says who gets which topic. The gateway adapts sessions and bookings.
type Members interface {
	// Topics returns what a session is entitled to now. A *lodge.Error with
	// CodeForbidden closes the connection with 4403. CodeUnavailable, and an
	// error of no code, close it with 4408 when they last for the grace period.
	// Any other code closes it with 4401.
	Topics(ctx context.Context, session string, tenant lodge.Tenant) (Subscriber, error)
	// Join is Topics for a connection that begins. It registers fn before it reads:
	// fn is called with nil after anything about the session may have changed since,
	// until stop, and with an error once whether the session is good could not be
	// checked for so long that the connection must end (4408). fn never blocks. A
	// lost call is made good by a poll with each ping. When Join fails, nothing stays
	// registered and stop is nil. Other changes of membership are told to
	// Hub.Reconsider, which knows of the connection by now.
	Join(ctx context.Context, session string, tenant lodge.Tenant, fn func(error)) (sub Subscriber, stop func(), err error)
}

// Inbox takes what a client sends that concerns neither cursors nor topics. A
// *lodge.Error's safe message goes back to the client; any other error is
// logged and answered with a general one.
type Inbox interface {
	// Answer takes the data of an answer frame and returns the reply's.
	Answer(ctx context.Context, sub Subscriber, data json.RawMessage) (json.RawMessage, error)
	// Mark takes the data of a mark frame and returns the reply's.
	Mark(ctx context.Context, sub Subscriber, data json.RawMessage) (json.RawMessage, error)
}

// HubOptions tune a Hub; zero fields take the values named here.
type HubOptions struct {
	History        int           // entries of a topic that a client without a position is given; 50
	WriteLimit     time.Duration // how long one frame may take to be written; 5 s
	PingEvery      time.Duration // period of pings, of the membership poll and of presence reports; 30 s
	PongLimit      time.Duration // how long a pong may take; 10 s
	Grace          time.Duration // how long a connection lives while membership cannot be read; 15 s
	RetryEvery     time.Duration // pause before an unreachable log or membership is asked again; 1 s
	FlushEvery     time.Duration // how often cursors of receipts are persisted; 1 s
	ReceiptEvery   time.Duration // how often moved receipts are reported to senders; 250 ms
	PresenceEvery  time.Duration // for how long those who come and go are gathered into one entry; 250 ms
	HeartbeatEvery time.Duration // how often a node says who is there; its lease is 2.5 times that; 10 s
	FrameRate      rate.Limit    // client frames a second, on average; 20
	FrameBurst     int           // client frames at once; ten times FrameRate
	DrainSpread    time.Duration // within which time those who are sent away come back; 5 s
	MaxPerPerson   int           // connections of one person; 32
	MaxConnections int           // connections of this node; 20000
	// Seen, when set, is told who has been connected from when to when: a moment
	// after somebody comes, with every PingEvery, and when they leave, of all of
	// whom there is something to tell. Calls come one after the other from Run and
	// may take their time.
	Seen func(ctx context.Context, all []Seen)
	// Moved, when set, is told who came to or left a tenant, on whatever node.
	// Calls come one after the other from Run; one that takes long delays the
	// next, which then has more to tell.
	Moved func(ctx context.Context, tenant lodge.Tenant, moves []Move)
	// Merged, when set, says who counts as whom, so that receipts that are
	// reported count a person once.
	Merged func(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error)
	Logger *slog.Logger // slog.Default()
}

func (o *HubOptions) defaults() {
	def(&o.History, 50)
	def(&o.WriteLimit, 5*time.Second)
	def(&o.PingEvery, 30*time.Second)
	def(&o.PongLimit, 10*time.Second)
	def(&o.Grace, 15*time.Second)
	def(&o.RetryEvery, time.Second)
	def(&o.FlushEvery, time.Second)
	def(&o.ReceiptEvery, 250*time.Millisecond)
	def(&o.PresenceEvery, 250*time.Millisecond)
	def(&o.HeartbeatEvery, 10*time.Second)
	def(&o.FrameRate, 20)
	def(&o.FrameBurst, int(10*o.FrameRate))
	def(&o.DrainSpread, 5*time.Second)
	def(&o.MaxPerPerson, 32)
	def(&o.MaxConnections, 20000)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// A Hub owns the message connections of a node.
type Hub struct {
	topics  *Topics
	members Members
	inbox   Inbox
	clock   lodge.Clock
	opts    HubOptions

	receipts *receiptBook
	presence *presenceBook
	writers  *writerPool
	wheel    *wheel
	tasks    sync.WaitGroup // readers, writers, and turns that wait; Drain joins them
	arrivals chan struct{}  // capacity 1: somebody came or left
	draining atomic.Bool    // set by Drain
	idle     chan struct{}  // closed when the last connection has left a draining hub
	sent     atomic.Uint64  // entries that were written to connections

	mu      sync.Mutex // guards what follows
	drained bool
	conns   map[*hubConn]struct{}
	people  map[personKey]*attendee
	reports map[personKey]Seen // what Run has yet to tell Seen
	feeds   map[topicKey]*feed
}

type personKey struct {
	tenant lodge.Tenant
	person lodge.PersonID
}

// NewHub returns a hub on topics. It serves connections at once; Run must run
// for receipts and presence.
func NewHub(topics *Topics, members Members, inbox Inbox, clock lodge.Clock, opts HubOptions) *Hub {
	opts.defaults()
	h := &Hub{
		topics: topics, members: members, inbox: inbox, clock: clock, opts: opts,
		receipts: newReceiptBook(topics, opts.Logger),
		presence: newPresenceBook(topics, opts),
		arrivals: make(chan struct{}, 1),
		idle:     make(chan struct{}),
		conns:    make(map[*hubConn]struct{}),
		people:   make(map[personKey]*attendee),
		reports:  make(map[personKey]Seen),
		feeds:    make(map[topicKey]*feed),
	}
	h.writers = newWriterPool(h)
	h.wheel = newWheel(opts.PingEvery, opts.PongLimit)
	return h
}

// Run persists and reports receipts and presence until ctx ends; then it
// persists what is left, within a short limit, and returns nil. It does not end
// connections: Drain does.
func (h *Hub) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { h.runReceipts(ctx) })
	parts.Go(func() { h.runSeen(ctx) })
	parts.Go(func() { h.runPlaces(ctx) })
	parts.Wait()
	return nil
}

// Notify gives an event to everybody on this node whose connection delivers a
// topic now. The event is not stored: who is not there never gets it. It is for
// what can be asked for again, such as receipts, tallies and presence.
func (h *Hub) Notify(tenant lodge.Tenant, topic string, e Event) error {
	return h.NotifyOthers(tenant, topic, "", e)
}

// NotifyOthers is Notify without the connections of one session.
func (h *Hub) NotifyOthers(tenant lodge.Tenant, topic, session string, e Event) error {
	b, err := e.encode(topic, "", "")
	if err != nil {
		return err
	}
	f := newFrame(b)
	for _, c := range h.audience(tenant, topic) {
		if session == "" || c.session != session {
			c.offer(topic, f)
		}
	}
	return nil
}
