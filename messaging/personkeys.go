package messaging

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
)

// PersonKeys keeps one key a person, outside of the log. What a person says or
// does (an answer, a mark) stands in entries, and in snapshots of them, sealed
// under it alone: once the key is erased, nobody reads it any more, not in the log
// and not in any copy or backup of the log.
//
// Implementations store keys wrapped (Wrapping) and never in the
// clear; they are tested by messagingtest.PersonKeys. Errors other than ErrErased
// are of the store.
type PersonKeys interface {
	// Key returns a person's key of 32 bytes, making it at first: of callers that
	// race, on whatever nodes, all get the same. It is ErrErased after Erase.
	Key(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error)
	// Keys returns the keys of people in one round trip. Those that were erased,
	// or never made, are missing.
	Keys(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) (map[lodge.PersonID][]byte, error)
	// Erase forgets a person's key and leaves a mark that it was there, so that
	// none is made again. It may be repeated, and for somebody without a key.
	Erase(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) error
}

// ErrErased is what a person's key is after the person was erased.
var ErrErased = errors.New("messaging: the person was erased")

// keysAtOnce is how many keys are made at a time: back ends write them together.
const keysAtOnce = 32

// EnsureKeys returns the keys of people and makes those that are not there. Of
// people who were erased it returns none.
func EnsureKeys(ctx context.Context, keys PersonKeys, tenant lodge.Tenant, people []lodge.PersonID) (map[lodge.PersonID][]byte, error) {
	have, err := keys.Keys(ctx, tenant, people)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	made := map[lodge.PersonID][]byte{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(keysAtOnce)
	for _, person := range people {
		if have[person] != nil {
			continue
		}
		group.Go(func() error {
			key, err := keys.Key(ctx, tenant, person)
			if errors.Is(err, ErrErased) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			made[person] = key
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for person, key := range made {
		have[person] = key
	}
	return have, nil
}

// SealPersonal seals what a person said or did under the person's key. about says
// what it belongs to, such as the survey: it opens for nothing else. The result
// is a nonce, the ciphertext and the tag of AES-256-GCM.
func SealPersonal(key []byte, about string, plain []byte) ([]byte, error) {
	aead, err := personalAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, appendField(nil, about)), nil
}

// OpenPersonal opens what SealPersonal returned.
func OpenPersonal(key []byte, about string, sealed []byte) ([]byte, error) {
	aead, err := personalAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, appendField(nil, about))
	if err != nil {
		return nil, errNotGenuine // err itself says no more
	}
	return plain, nil
}

func personalAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != rootSize {
		return nil, fmt.Errorf("messaging: a person's key has %d bytes instead of %d", len(key), rootSize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("messaging: a person's key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// A Wrapping seals the keys of people for a store. Like a Keyring it opens under
// each of its roots and seals under the current one.
type Wrapping struct{ keys Keyring }

// NewWrapping returns a Wrapping under roots of 32 bytes each by key id; the
// faults of all of them are one error.
func NewWrapping(roots map[string][]byte, current string) (*Wrapping, error) {
	keys := Keyring{Names: make([]byte, rootSize), Seals: roots, Current: current} // which names nothing
	if err := keys.check(); err != nil {
		return nil, err
	}
	return &Wrapping{keys.clone()}, nil
}

// New makes a person's key and returns it with what is to be stored of it.
func (w *Wrapping) New(tenant lodge.Tenant, person lodge.PersonID) (key, stored []byte, err error) {
	key = make([]byte, rootSize)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read
	stored, err = w.sealer(tenant, person).sealBytes(formPersonKey, key, "", Pos{})
	return key, stored, err
}

// Open returns the key that New stored for a person.
func (w *Wrapping) Open(tenant lodge.Tenant, person lodge.PersonID, stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != formPersonKey {
		return nil, fmt.Errorf("messaging: the key of person %s: %w", person, errMalformed)
	}
	key, err := w.sealer(tenant, person).openBytes(stored, "", Pos{})
	if err != nil {
		return nil, fmt.Errorf("messaging: the key of person %s: %w", person, err)
	}
	return key, nil
}

func (w *Wrapping) sealer(tenant lodge.Tenant, person lodge.PersonID) *sealer {
	return newSealer(w.keys, tenant, "person key:"+string(person))
}
