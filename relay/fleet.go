package relay

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Fleet makes one relay of several nodes. The connections of a topic are all at
// one node, which holds the topic; whichever node is asked for an address names
// that one.
//
// A node holds topics for as long as it lives, and it lives for Life from each
// beat, of which there are six in that time. So a message costs nothing, and a
// topic next to nothing. A node that cannot beat believes in its own life a sixth
// less long than the store of Leases does: it ends its connections (4408) before
// anybody else can be given one of its topics. That a topic has two live rooms is
// possible only where the store itself has forgotten who held it, and ends with
// the next beat of the node that lost it.
type Fleet struct {
	// Self is this node. With an empty URL it carries no streams and names others.
	Self Node
	// Tenants are all there are.
	Tenants []lodge.Tenant

	Leases Leases
	Notes  Notes
	// Asks carries questions between the nodes. Default: the status is of this
	// node alone.
	Asks Asks
	// AskWait is how long the answers of other nodes are waited for. Default: 1 s.
	AskWait time.Duration
}

// A Node is one relay of a fleet.
type Node struct {
	ID   string        // new with each start of a process
	URL  string        // where its websockets are opened: "wss://relay1.lab.example"
	Life time.Duration // from each beat
}

// A Holding says who holds a topic.
type Holding struct {
	Node
	Left time.Duration // of the node's life, without another beat
}

// ErrNobody is what Hold returns when nobody holds the topic and no candidate
// lives.
var ErrNobody = errors.New("relay: no node lives that could hold the topic")

// Leases know which nodes live and what they hold. Time is the store's own: one
// clock for all nodes. Each method is atomic for a tenant and may be retried; any
// error but ErrNobody means that the store could not be reached.
type Leases interface {
	// Beat says that a node lives for its Life from now and holds topics. Those that
	// the store had forgotten are the node's again; lost are those that another
	// living node holds.
	Beat(ctx context.Context, tenant lodge.Tenant, node Node, topics []string) (lost []string, err error)
	// Hold returns who holds a topic: whoever does and lives, or else the first of
	// the candidates, by id, that lives, who does from now on.
	Hold(ctx context.Context, tenant lodge.Tenant, topic string, candidates []string) (Holding, error)
	// Free gives up those of the topics that the node holds.
	Free(ctx context.Context, tenant lodge.Tenant, node string, topics []string) error
	// Leave ends a node's life, and with it all its holdings.
	Leave(ctx context.Context, tenant lodge.Tenant, node string) error
	// Nodes returns those that live, by id.
	Nodes(ctx context.Context, tenant lodge.Tenant) ([]Node, error)
}

// Notes are what one node leaves for another, to be taken once and soon: the
// tickets that name a node other than the one that made them. Names are hashes;
// whoever reads the store can open nothing with what stands in it.
type Notes interface {
	// Put leaves a note for so long.
	Put(ctx context.Context, tenant lodge.Tenant, name string, body []byte, life time.Duration) error
	// Take removes a note and returns it; nil when there is none or its time is over.
	Take(ctx context.Context, tenant lodge.Tenant, name string) ([]byte, error)
}

// Asks carry a question to all nodes and their answers back.
type Asks interface {
	// Ask puts the question and calls got, never concurrently, for each answer, until
	// got returns false or ctx ends; neither is an error.
	Ask(ctx context.Context, tenant lodge.Tenant, got func(node string, answer []byte) (more bool)) error
	// Answer answers, as a node, each question with what fn returns, until ctx ends or
	// the subscription fails, and then returns why.
	Answer(ctx context.Context, node string, fn func(tenant lodge.Tenant) []byte) error
}

const (
	defaultLife = 6 * time.Second
	maxLife     = 8 * time.Second
	// beats is how many there are in a life, the last of which is the margin between
	// what a node believes of itself and what the store does.
	beats = 6
	// topicIdle is how long a topic is held after the last connection has gone:
	// longer than an address for it can be good.
	topicIdle = 2 * maxTicketLife
	// suspectWait is the time between two looks at a node that may have died.
	suspectWait = 200 * time.Millisecond
)

func (f *Fleet) setDefaults() {
	if f.Self.Life <= 0 {
		f.Self.Life = defaultLife
	}
	f.Self.Life = min(f.Self.Life, maxLife)
	f.AskWait = positive(f.AskWait, time.Second)
}

// suspect reports whether a node has left out beats: it may have died, and its
// address may be of no use.
func (h Holding) suspect() bool { return h.Left < h.Life-5*h.Life/(2*beats) }

// errElsewhere is what an address is refused with whose topic has moved since.
var errElsewhere = &lodge.Error{
	Code: lodge.CodeUnavailable, RetryAfter: time.Second,
	Safe: "Another relay carries this stream now. Ask for a new address with POST.",
}

// errNoNode is the answer while no node can carry a topic.
var errNoNode = &lodge.Error{
	Code: lodge.CodeUnavailable, RetryAfter: time.Second,
	Safe: "No relay is running that could carry this stream; try again in a moment.",
}

// A place is where the connections of a topic are.
type place struct {
	node string // empty: here
	base string // of its addresses
}

// place finds where the connections of a topic are, and sees to it that they are
// somewhere. A node that may have died is waited for until that is certain: an
// address of it would only send the client to a closed door.
func (f *fleet) place(ctx context.Context, tenant lodge.Tenant, topic string) (place, error) {
	t := f.tenancies[tenant]
	if t == nil {
		return place{}, errNoNode
	}
	for {
		h, err := t.find(ctx, topic)
		switch {
		case errors.Is(err, ErrNobody):
			return place{}, errNoNode
		case err != nil:
			return place{}, unavailable(err)
		case h.ID == f.Self.ID:
			if t.holds(topic) {
				return place{base: f.Self.URL}, nil
			}
			// It is about to stop, or has lost its lease: another will follow it.
		case !h.suspect():
			return place{node: h.ID, base: h.URL}, nil
		}
		timer := time.NewTimer(min(suspectWait, max(h.Left, time.Millisecond)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return place{}, errNoNode
		}
	}
}

// find returns who holds a topic. Of StatsTopic, on which each node tells of all,
// that is this node where it carries streams.
func (t *tenancy) find(ctx context.Context, topic string) (Holding, error) {
	if t.holds(topic) {
		return Holding{Node: t.fleet.Self, Left: t.fleet.Self.Life}, nil
	}
	h, err := t.findAmong(ctx, topic, false)
	if errors.Is(err, ErrNobody) {
		h, err = t.findAmong(ctx, topic, true) // somebody may have come since
	}
	return h, err
}

// findAmong finds who holds a topic, or lets the best of the nodes hold it that
// were there at the last beat, or are there now.
func (t *tenancy) findAmong(ctx context.Context, topic string, now bool) (Holding, error) {
	candidates, err := t.candidates(ctx, topic, now)
	if err != nil {
		return Holding{}, err
	}
	if topic == StatsTopic {
		if len(candidates) == 0 {
			return Holding{}, ErrNobody
		}
		return Holding{Node: candidates[0], Left: candidates[0].Life}, nil
	}
	ids := make([]string, len(candidates))
	for i, n := range candidates {
		ids[i] = n.ID
	}
	return t.hold(ctx, topic, ids)
}

// claim makes sure that this node holds a topic to which a connection is about to
// be opened.
func (f *fleet) claim(ctx context.Context, tenant lodge.Tenant, topic string) error {
	t := f.tenancies[tenant]
	switch {
	case t == nil:
		return errNoNode
	case t.holds(topic):
		return nil
	}
	h, err := t.hold(ctx, topic, []string{f.Self.ID})
	switch {
	case errors.Is(err, ErrNobody), err == nil && !t.holds(topic):
		return errElsewhere
	case err != nil:
		return unavailable(err)
	case h.ID != f.Self.ID:
		return errElsewhere
	}
	return nil
}

// still reports whether a topic that was claimed is this node's still. It is asked
// when a connection has entered its room: whoever takes the topic away looks into
// the rooms after saying so.
func (f *fleet) still(tenant lodge.Tenant, topic string) bool {
	t := f.tenancies[tenant]
	return t != nil && t.holds(topic)
}
