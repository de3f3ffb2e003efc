package memory

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// PersonKeys is the messaging.PersonKeys of tests: what it has ends with it.
type PersonKeys struct {
	mu   sync.Mutex
	keys map[whose][]byte // nil: erased; guarded by mu
}

type whose struct {
	tenant lodge.Tenant
	person lodge.PersonID
}

var _ messaging.PersonKeys = (*PersonKeys)(nil)

// NewPersonKeys returns a store without keys.
func NewPersonKeys() *PersonKeys { return &PersonKeys{keys: make(map[whose][]byte)} }

// Key implements messaging.PersonKeys.
func (k *PersonKeys) Key(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[whose{tenant, person}]
	if !ok {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails: crypto/rand.Read
		k.keys[whose{tenant, person}] = key
	}
	if key == nil {
		return nil, messaging.ErrErased
	}
	return slices.Clone(key), nil
}

// Keys implements messaging.PersonKeys.
func (k *PersonKeys) Keys(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) (map[lodge.PersonID][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found := make(map[lodge.PersonID][]byte, len(people))
	for _, person := range people {
		if key := k.keys[whose{tenant, person}]; key != nil {
			found[person] = slices.Clone(key)
		}
	}
	return found, nil
}

// Erase implements messaging.PersonKeys.
func (k *PersonKeys) Erase(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[whose{tenant, person}] = nil
	return nil
}
