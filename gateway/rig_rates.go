package gateway

import (
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// shortestRate is the least time between two looks at a connection that gives a
// rate worth telling.
const shortestRate = time.Second

// streamRates tells how many messages a second pass through each connection, from
// one look at the relay to the next.
type streamRates struct {
	mu   sync.Mutex
	last map[lodge.Tenant]map[streamKey]streamSample // guarded by mu; connections of the last look alone
}

type streamKey struct{ session, topic, since string }

type streamSample struct {
	at      time.Time
	in, out uint64
	rate    streamRate
}

// streamRate is in messages a second.
type streamRate struct{ in, out float64 }

// of returns the rates of connections, in their order. On the first look they are
// those since the connection was made.
func (s *streamRates) of(tenant lodge.Tenant, peers []relay.PeerStatus, now time.Time) []streamRate {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, next := s.last[tenant], make(map[streamKey]streamSample, len(peers))
	rates := make([]streamRate, len(peers))
	for i, p := range peers {
		key := streamKey{p.Session, p.Topic, p.ConnectedAt.Format(time.RFC3339Nano)}
		old, known := before[key]
		if !known {
			old = streamSample{at: p.ConnectedAt}
		}
		sample := old
		if past := now.Sub(old.at); past >= shortestRate {
			sample = streamSample{now, p.In, p.Out, streamRate{perSecond(p.In, old.in, past), perSecond(p.Out, old.out, past)}}
		}
		next[key], rates[i] = sample, sample.rate
	}
	if s.last == nil {
		s.last = map[lodge.Tenant]map[streamKey]streamSample{}
	}
	s.last[tenant] = next
	return rates
}

func perSecond(now, before uint64, past time.Duration) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / past.Seconds()
}
