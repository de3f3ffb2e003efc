// Package relay carries an experiment's streams between its hardware and the
// people who may use it, over websockets, compatible with practable/relay.
//
// A client first exchanges its code for an address (POST /session/{topic}), and
// opens that address within seconds and once (GET /session/{topic}?code=). What
// it sends then goes to every other connection on the topic, message by message
// and unchanged, as far as its rights to read and to write reach.
//
// The relay asks: it never decides who may use an experiment, and keeps no such
// knowledge. It asks Access when an address is handed out, again before the
// connection is opened, and for as long as the connection lives: at once when
// Access hints at a change, when the grant's end is reached, and every few
// seconds in case a hint was lost. A refusal ends the connection with a close
// frame that says why; a store that does not answer ends it after one lease.
//
// Beside the opaque codes that Access knows it can take signed tokens of a
// booking system that still hands them out (Tokens). Such a token cannot be taken
// back by whoever signed it, so the relay asks Denials about it as often as it
// asks Access about a code; a booking that is denied there loses its codes too.
//
// Nobody waits for anybody else. Each topic has its own room, each connection
// its own bounded queue and its own writer; what to do when a queue is full is
// decided per topic (Overflow), and every message that is not delivered is
// counted with its reason. Only when all readers of a topic are behind is the
// sender held back, for a moment, to the pace of the fastest of them.
package relay

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Options tune a Relay. The zero value of each field means its default.
type Options struct {
	// BaseURL returns the websocket base address ("wss://lab.example") that the
	// addresses handed out start with, without a slash at its end. Default: the
	// host that was asked.
	BaseURL func(*http.Request) string
	// Tenant returns the tenant a request belongs to. Default: the default one.
	Tenant func(*http.Request) lodge.Tenant
	// Address returns the client's address for the status. Default: RemoteAddr.
	Address func(*http.Request) string
	// OriginAllowed says whether a browser's page may open a websocket; it is
	// asked only about requests that carry an Origin, and must compare it
	// exactly. Default: none may. Programs, which send none, need no leave: the
	// address they open is their credential.
	OriginAllowed func(*http.Request) bool
	// Allowed says whether an opaque code has a scope: ScopeStats, ScopeAdmin.
	// Default: none has.
	Allowed Allowed
	// End ends an opaque code at its holder's wish. Default: it is not offered.
	End End

	// Tokens verifies signed tokens. Default: none are accepted.
	Tokens *Tokens
	// Denials keeps what was denied; Tokens are of no use without it. Default:
	// nothing can be denied.
	Denials Denials
	// Hints tell the other nodes of it. Default: this is the only one.
	Hints Hints

	// Fleet makes this relay one of several nodes. Default: it is the only one, or
	// others see to it that all of an experiment's streams reach the same node.
	Fleet *Fleet

	// TicketLife is how long an address is good for. Default and most: 30 s.
	TicketLife time.Duration
	// MaxMessage bounds a message, in bytes, where its grant does not. Default:
	// 10 MiB.
	MaxMessage int64
	// QueueBytes and QueueMessages bound what waits for one connection. A
	// message larger than QueueBytes is taken into an empty queue. Defaults:
	// 2 MiB, 512 messages.
	QueueBytes    int
	QueueMessages int
	// LiveMessages bounds the queues of DropOldest topics further, because a
	// picture that waited is worth nothing. Default: 64 messages.
	LiveMessages int
	// Policy says what to do for a topic when a queue is full. Default:
	// DefaultPolicy.
	Policy func(topic string) Overflow

	// MaxPerPerson and MaxPerAddress bound the connections that one person, and one
	// address, have on this node; hosts count for their address alone. Defaults: 64,
	// 4,000.
	MaxPerPerson, MaxPerAddress int

	// LeasePoll is the time within which Access is asked again about a connection
	// and has answered: the question comes after nine tenths of it at the latest.
	// Default: 5 s.
	LeasePoll time.Duration
	// LeaseGrace is how long a connection outlives the last good answer when
	// Access cannot be reached. Default: 15 s.
	LeaseGrace time.Duration
	// StatsEvery is the time between two reports to who reads StatsTopic.
	// Default: 5 s.
	StatsEvery time.Duration
	// PingEvery is the time between two pings, PingWait how long an answer may
	// take, and WriteWait how long a connection may take no byte at all.
	// Defaults: 25 s, 15 s, 10 s.
	PingEvery time.Duration
	PingWait  time.Duration
	WriteWait time.Duration

	// Decided is told of each request that was refused for want of a right, and of
	// each change of what is denied, once it stands. Default: nobody is.
	Decided func(*http.Request, Decision)
	// Observer is told who joined and left. Default: nobody is.
	Observer Observer
	// Distant is told likewise who joined and left, through an experiment's code, at
	// those nodes of the fleet that have no Observer; every node that has a Distant
	// tells its own, within seconds. Default: nobody is told.
	Distant Observer
	// Canary is told how long each message of the canary took, a stream of the
	// relay's own, or that it was lost. Default: there is none.
	Canary func(delay time.Duration, lost bool)
	// CanaryEvery is the time between two of its messages. Default: 1 s.
	CanaryEvery time.Duration
	// Logger receives what operators need. Default: slog.Default().
	Logger *slog.Logger
}

// Allowed says whether an opaque code has a scope. It refuses a code that is not
// good as Access does.
type Allowed func(ctx context.Context, tenant lodge.Tenant, code, scope string) (bool, error)

// End ends an opaque code that opens a topic, now and for good. Ending it again
// is no error. It refuses as Access does.
type End func(ctx context.Context, tenant lodge.Tenant, code, topic string) error

func (o *Options) setDefaults() {
	if o.BaseURL == nil {
		o.BaseURL = ownBaseURL
	}
	if o.Tenant == nil {
		o.Tenant = func(*http.Request) lodge.Tenant { return lodge.DefaultTenant }
	}
	if o.Address == nil {
		o.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	if o.OriginAllowed == nil {
		o.OriginAllowed = func(*http.Request) bool { return false }
	}
	if o.Allowed == nil {
		o.Allowed = func(context.Context, lodge.Tenant, string, string) (bool, error) { return false, nil }
	}
	if o.End == nil {
		o.End = func(context.Context, lodge.Tenant, string, string) error {
			return lodge.E(lodge.CodeForbidden, "Codes are not ended here; ask the laboratory.")
		}
	}
	if o.Denials == nil {
		o.Denials = notKept{}
	}
	if o.Hints == nil {
		o.Hints = alone{}
	}
	if o.TicketLife <= 0 || o.TicketLife > maxTicketLife {
		o.TicketLife = maxTicketLife
	}
	o.MaxPerPerson = positive(o.MaxPerPerson, 64)
	o.MaxPerAddress = positive(o.MaxPerAddress, 4000)
	o.MaxMessage = positive(o.MaxMessage, 10<<20)
	o.QueueBytes = positive(o.QueueBytes, 2<<20)
	o.QueueMessages = positive(o.QueueMessages, 512)
	o.LiveMessages = min(positive(o.LiveMessages, 64), o.QueueMessages)
	if o.Policy == nil {
		o.Policy = DefaultPolicy
	}
	o.LeasePoll = positive(o.LeasePoll, 5*time.Second)
	o.LeaseGrace = positive(o.LeaseGrace, 15*time.Second)
	o.StatsEvery = positive(o.StatsEvery, 5*time.Second)
	o.CanaryEvery = positive(o.CanaryEvery, time.Second)
	o.PingEvery = positive(o.PingEvery, 25*time.Second)
	o.PingWait = positive(o.PingWait, 15*time.Second)
	o.WriteWait = positive(o.WriteWait, 10*time.Second)
	if o.Decided == nil {
		o.Decided = func(*http.Request, Decision) {}
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func positive[N int | int64 | time.Duration](v, otherwise N) N {
	if v <= 0 {
		return otherwise
	}
	return v
}

func ownBaseURL(r *http.Request) string {
	if r.TLS != nil {
		return "wss://" + r.Host
	}
	return "ws://" + r.Host
}

// A Relay holds the rooms of one node.
type Relay struct {
	access  *guard
	clock   lodge.Clock
	opts    Options
	tickets *tickets
	rooms   *rooms
	crowd   *crowd
	fleet   *fleet // nil: on its own
	unseen  bool   // no Observer is told of connections here

	refusals refusals
}

// New returns a Relay that asks access. It starts nothing: see Run.
func New(access Access, clock lodge.Clock, opts Options) *Relay {
	unseen := opts.Observer == nil
	opts.setDefaults()
	r := &Relay{
		access:  newGuard(access, clock, &opts),
		clock:   clock,
		opts:    opts,
		tickets: newTickets(opts.TicketLife),
		rooms:   newRooms(),
		unseen:  unseen,
		crowd:   &crowd{perPerson: opts.MaxPerPerson, perAddress: opts.MaxPerAddress, in: map[crowdKey]int{}},

		refusals: newRefusals(),
	}
	if opts.Fleet != nil {
		r.fleet = newFleet(r, *opts.Fleet)
	}
	return r
}

// Run forgets addresses that nobody opened, sends the reports of StatsTopic,
// listens to the hints of other nodes and keeps this node's leases, until ctx ends. Connections are served by
// the HTTP server's own goroutines and ended by Drain.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.access.run(ctx) })
	wg.Go(func() { every(ctx, r.opts.TicketLife, func() { r.tickets.sweep(r.clock.Now()) }) })
	wg.Go(func() { every(ctx, r.opts.StatsEvery, func() { r.report(ctx) }) })
	if r.fleet != nil {
		wg.Go(func() { r.fleet.run(ctx) })
	}
	if r.opts.Canary != nil {
		wg.Go(func() { r.canary(ctx) })
	}
	wg.Wait()
	return nil
}

// Recheck has Access asked now about everybody who is connected to an experiment,
// on every node: it was taken off-line, or given back.
func (r *Relay) Recheck(ctx context.Context, tenant lodge.Tenant, experiment string) {
	r.access.publish(ctx, experimentHint(tenant, experiment))
}

// every calls fn each period until ctx ends.
func every(ctx context.Context, period time.Duration, fn func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// Drain refuses new connections from now on, ends the live ones with the close
// frame 1001, leaves their topics to other nodes and waits until each connection
// has gone or ctx ends. (http.Server's Shutdown does not know of them.)
func (r *Relay) Drain(ctx context.Context) error {
	live := r.rooms.drain()
	for _, p := range live {
		p.shut(StatusGoingAway, "The relay is going down; connect again in a moment.")
	}
	if r.fleet != nil {
		r.fleet.leave(ctx) // after which nothing here is sent any more, and others may begin
	}
	for _, p := range live {
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
