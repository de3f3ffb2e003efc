package messaging

import (
	"sync"

	"github.com/lodge-gateway/lodge"
)

// maxSealers bounds a sealerCache; a sealer with one key takes about 1 kB.
const maxSealers = 8192

// A sealerCache remembers the sealers of topics in use: to derive a topic's name
// and key takes several times as long as to seal a notice.
type sealerCache struct {
	keys Keyring // static

	mu   sync.RWMutex
	made map[sealed]*sealer // guarded by mu
}

// sealed names a topic as the rest of Lodge knows it.
type sealed struct {
	tenant lodge.Tenant
	name   string
}

func newSealerCache(keys Keyring) *sealerCache {
	return &sealerCache{keys: keys, made: make(map[sealed]*sealer)}
}

// of returns the sealer of a topic.
func (c *sealerCache) of(tenant lodge.Tenant, name string) *sealer {
	key := sealed{tenant, name}
	c.mu.RLock()
	s := c.made[key]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	s = newSealer(c.keys, tenant, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.made[key]; other != nil {
		return other
	}
	if len(c.made) >= maxSealers {
		for other := range c.made { // whichever comes first
			delete(c.made, other)
			break
		}
	}
	c.made[key] = s
	return s
}
