package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
)

// rates limit how often somebody does one thing: so many times at once, and that
// many a minute. They are kept on this node; limits that must hold across nodes
// and restarts are the domain's (see booking.LookupLimits).
type rates struct {
	clock     lodge.Clock // static
	perMinute int         // static
	safe      string      // static: what whoever is over the limit is told

	mu      sync.Mutex
	buckets map[rateKey]*rate.Limiter // guarded by mu
}

// rateKey is whom a rate is counted for: a person, an address, a booking.
type rateKey struct {
	tenant lodge.Tenant
	who    string
}

// maxRates bounds the table. What is forgotten first is full, and so says
// nothing; looksAt bounds the search for it.
const (
	maxRates = 10_000
	looksAt  = 64
)

func newRates(clock lodge.Clock, perMinute int, safe string) *rates {
	return &rates{clock: clock, perMinute: perMinute, safe: safe, buckets: map[rateKey]*rate.Limiter{}}
}

// allow counts one more, or says how long to wait.
func (r *rates) allow(tenant lodge.Tenant, who string) error {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	key := rateKey{tenant, who}
	bucket := r.buckets[key]
	if bucket == nil {
		r.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(r.perMinute)/60, r.perMinute)
		r.buckets[key] = bucket
	}
	if !bucket.AllowN(now, 1) {
		return &lodge.Error{Code: lodge.CodeTooMany, Safe: r.safe, RetryAfter: time.Minute / time.Duration(r.perMinute)}
	}
	return nil
}

// makeRoom keeps the table bounded; r.mu is held. A map is gone through from a
// place of its own choosing each time.
func (r *rates) makeRoom(now time.Time) {
	if len(r.buckets) < maxRates {
		return
	}
	looked := 0
	for key, bucket := range r.buckets {
		if looked++; looked > looksAt && len(r.buckets) < maxRates {
			return
		}
		// One that is not full goes only when no full one was met.
		if bucket.TokensAt(now) >= float64(r.perMinute) || looked > looksAt {
			delete(r.buckets, key)
		}
	}
}
