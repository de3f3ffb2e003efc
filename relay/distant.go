package relay

import (
	"context"
	"time"
)

// A relay on its own has nobody to tell who joins and leaves: what notes that is a
// gateway's. So the gateways ask: all of them, each for itself, every few seconds
// and whenever a node says that its connections have changed. Each thus tells its
// observer of the same people since the same time, and none has to be there for the
// others.

const (
	// distantEvery is the time between two questions without a hint, which is how
	// long a lost hint, or the death of a node, goes unnoticed.
	distantEvery = 10 * time.Second
	// changesEvery is the least time between two hints of a node.
	changesEvery = 200 * time.Millisecond
)

// changesHint says that a node has other connections than before.
const changesHint = "connections"

// changed has the other nodes look who is with this one, where nobody here is told.
func (r *Relay) changed(g Grant) {
	if r.fleet == nil || !r.unseen || g.Kind != kindExperiment {
		return
	}
	if t := r.fleet.tenancies[g.Tenant]; t != nil {
		select {
		case t.changes <- struct{}{}:
		default: // it is about to be said
		}
	}
}

// tellChanges gives a hint after each change, until ctx ends.
func (t *tenancy) tellChanges(ctx context.Context) {
	tick := time.NewTicker(changesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.changes:
		}
		t.fleet.relay.access.publish(ctx, hint{t.tenant, changesHint})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// distant tells Options.Distant of the connections of one tenant at other nodes.
type distant struct {
	tenancy *tenancy
	known   map[distantKey]Grant // owned by run
}

// distantKey tells the connections of all nodes apart.
type distantKey struct {
	node, session, topic string
	since                int64
}

// run looks who is there until ctx ends. Those who are there then have not left.
func (d *distant) run(ctx context.Context) {
	r := d.tenancy.fleet.relay
	changed := make(chan struct{}, 1)
	defer r.access.watch(hint{d.tenancy.tenant, changesHint}, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	tick := time.NewTicker(distantEvery)
	defer tick.Stop()
	for {
		d.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed:
			// An answer from before the change would be used again.
			timer := time.NewTimer(askedFresh)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	}
}

// look asks once, and tells of who has come and who has gone. Whoever is with a node
// that lives and did not answer is there still.
func (d *distant) look(ctx context.Context) {
	r := d.tenancy.fleet.relay
	g := r.fleet.asked.gather(ctx, d.tenancy.tenant)
	there := map[distantKey]bool{}
	for _, p := range g.peers {
		if !p.unseen || p.Kind != kindExperiment {
			continue
		}
		key := distantKey{p.node, p.Session, p.Topic, p.ConnectedAt.UnixNano()}
		there[key] = true
		if _, known := d.known[key]; !known {
			grant := Grant{
				Tenant: d.tenancy.tenant, Session: p.Session, Kind: p.Kind, Person: p.Person, Name: p.Name,
				Booking: p.Booking, Experiment: p.Experiment, Topic: p.Topic, Read: p.CanRead, Write: p.CanWrite,
			}
			d.known[key] = grant
			r.opts.Distant.Joined(grant, p.ConnectedAt)
		}
	}
	if g.failed {
		return
	}
	for key, grant := range d.known {
		if !there[key] && !g.mute[key.node] {
			delete(d.known, key)
			r.opts.Distant.Left(grant, r.clock.Now())
		}
	}
}
