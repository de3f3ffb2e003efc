package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// flights is how many reads of a tenant are under way at once. With one, who
	// comes meanwhile waits for what is left of that round trip; with more, fewer are
	// joined, and a check costs more.
	flights = 1
	// seats is how many readers one joined read takes. Who finds none reads alone.
	seats = 256
	// flightLimit bounds a joined read, which no reader's own context ends.
	flightLimit = 5 * time.Second
)

// A joiner makes one round trip of what many read at the same time. Every request
// reads its session, so the round trips are most of what a check costs. A reader
// who comes when little is under way asks at once, and waits for nobody; those
// who come meanwhile go together with the next.
//
// Nobody is ever given an answer to a question that was asked before they came:
// a check must see every revocation that was answered before it began.
type joiner struct {
	client redis.Cmdable  // static
	wg     sync.WaitGroup // of the joined reads; DB.Close waits

	mu      sync.Mutex
	tenants map[lodge.Tenant]*departures // guarded by mu; one for each tenant that was read
}

// departures are the reads of a tenant. Guarded by joiner.mu.
type departures struct {
	flying int
	next   *flight // boarding; nil when nobody waits
}

// A flight is one joined read.
type flight struct {
	names []string      // guarded by joiner.mu until it starts
	done  chan struct{} // closed when what follows is set

	values []any
	err    error
}

func newJoiner(client redis.Cmdable) *joiner {
	return &joiner{client: client, tenants: map[lodge.Tenant]*departures{}}
}

// get returns the record of one session, nil when there is none.
func (j *joiner) get(ctx context.Context, tenant lodge.Tenant, id sessions.ID) (any, error) {
	name := keysOf(tenant).session(id)
	d, f, seat := j.board(tenant, name)
	if f == nil {
		if d != nil {
			defer j.landed(d)
		}
		values, err := j.client.MGet(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		return values[0], nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.values[seat], nil
}

// board finds a seat on the next flight. Without a flight the reader goes alone:
// counted, when departures are returned, and else because there was no seat.
func (j *joiner) board(tenant lodge.Tenant, name string) (d *departures, f *flight, seat int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d = j.tenants[tenant]; d == nil {
		d = &departures{}
		j.tenants[tenant] = d
	}
	switch {
	case d.flying < flights:
		d.flying++
		return d, nil, 0
	case d.next == nil:
		d.next = &flight{names: make([]string, 0, 32), done: make(chan struct{})}
	case len(d.next.names) == seats:
		return nil, nil, 0
	}
	d.next.names = append(d.next.names, name)
	return d, d.next, len(d.next.names) - 1
}

// landed makes room for the flight that is boarding.
func (j *joiner) landed(d *departures) {
	if f := j.depart(d); f != nil {
		j.wg.Go(func() {
			for ; f != nil; f = j.depart(d) {
				j.fly(f)
			}
		})
	}
}

// depart returns the flight that takes the place of one that has ended, if one is
// boarding.
func (j *joiner) depart(d *departures) *flight {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := d.next
	d.next = nil
	if f == nil {
		d.flying--
	}
	return f
}

// fly carries a flight out. No reader's context ends it: the others' answers must
// not depend on whether one of them still waits.
func (j *joiner) fly(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), flightLimit)
	defer cancel()
	defer close(f.done)
	f.values, f.err = j.client.MGet(ctx, f.names...).Result()
}
