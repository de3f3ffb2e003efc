package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
)

// senders limits how fast one person sends messages.
type senders struct {
	perMinute int

	mu    sync.Mutex
	rates map[senderKey]*rate.Limiter // guarded by mu
}

type senderKey struct {
	tenant lodge.Tenant
	person lodge.PersonID
}

// maxSenders bounds the table; forgetting full buckets loses nothing.
const maxSenders = 10_000

func newSenders(perMinute int) *senders {
	return &senders{perMinute: perMinute, rates: map[senderKey]*rate.Limiter{}}
}

func (s *senders) allow(tenant lodge.Tenant, person lodge.PersonID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := senderKey{tenant, person}
	limiter := s.rates[key]
	if limiter == nil {
		for k, l := range s.rates {
			if len(s.rates) < maxSenders {
				break
			}
			if l.Tokens() >= float64(s.perMinute) {
				delete(s.rates, k)
			}
		}
		limiter = rate.NewLimiter(rate.Limit(s.perMinute)/60, s.perMinute)
		s.rates[key] = limiter
	}
	if !limiter.Allow() {
		return &lodge.Error{Code: lodge.CodeTooMany, Safe: "You are sending too many messages; wait a little.", RetryAfter: time.Minute / time.Duration(s.perMinute)}
	}
	return nil
}
