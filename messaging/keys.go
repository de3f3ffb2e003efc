package messaging

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// rootSize is the size of every root in a Keyring, and of what is derived from
// them, in bytes.
const rootSize = 32

// maxKeyID is the longest key id, in bytes; it stands in every entry.
const maxKeyID = 32

// A Keyring holds the roots that topic names and sealing keys are derived from,
// 32 random bytes each.
type Keyring struct {
	// Names is the root of the tenants' name keys. It is never rotated: under
	// another one every topic would have another physical name.
	Names []byte
	// Seals are the roots of the topics' sealing keys by key id (1 to 32
	// bytes). All of them open; to rotate, give the new one to every node first,
	// make it Current afterwards, and keep the old one as long as its entries.
	Seals map[string][]byte
	// Current is the id of the key that new entries are sealed under.
	Current string
}

// check reports every fault of the keyring at once. It names key ids, never
// keys.
func (k Keyring) check() error {
	var faults []error
	if len(k.Names) != rootSize {
		faults = append(faults, fmt.Errorf("the root of the topic names has %d bytes instead of %d", len(k.Names), rootSize))
	}
	for _, id := range slices.Sorted(maps.Keys(k.Seals)) {
		if id == "" || len(id) > maxKeyID {
			faults = append(faults, fmt.Errorf("the key id %q does not have 1 to %d bytes", id, maxKeyID))
		}
		if n := len(k.Seals[id]); n != rootSize {
			faults = append(faults, fmt.Errorf("the sealing key %q has %d bytes instead of %d", id, n, rootSize))
		}
	}
	if _, ok := k.Seals[k.Current]; !ok {
		faults = append(faults, fmt.Errorf("the current sealing key %q is not in the keyring", k.Current))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("messaging: keyring: %w", err)
	}
	return nil
}

// clone returns a copy that the caller of NewTopics cannot change any more.
func (k Keyring) clone() Keyring {
	seals := make(map[string][]byte, len(k.Seals))
	for id, root := range k.Seals {
		seals[id] = slices.Clone(root)
	}
	return Keyring{Names: slices.Clone(k.Names), Seals: seals, Current: k.Current}
}

// topic returns the physical name of a topic: an HMAC of its logical name under
// the tenant's name key. Who has the back end learns neither names nor which
// topics belong to one tenant.
func (k Keyring) topic(tenant lodge.Tenant, name string) Topic {
	mac := hmac.New(sha256.New, derive(k.Names, "lodge topic names", string(tenant)))
	mac.Write([]byte(name))
	return Topic(base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

// aead returns the sealing key of one topic under the root with an id, or
// errUnknownKey.
func (k Keyring) aead(id string, tenant lodge.Tenant, name string) (cipher.AEAD, error) {
	root, ok := k.Seals[id]
	if !ok {
		return nil, errUnknownKey
	}
	block, err := aes.NewCipher(derive(root, "lodge topic seal", string(tenant), name))
	if err != nil {
		return nil, fmt.Errorf("messaging: sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("messaging: sealing key: %w", err)
	}
	return aead, nil
}

// derive is HKDF (RFC 5869) with a purpose and what the key is for as the info.
func derive(root []byte, purpose string, of ...string) []byte {
	info := appendField(nil, purpose)
	for _, s := range of {
		info = appendField(info, s)
	}
	key, err := hkdf.Key(sha256.New, root, nil, string(info), rootSize)
	if err != nil {
		panic("messaging: HKDF: " + err.Error()) // only a longer key could be refused
	}
	return key
}

// appendField appends s with its length in front, so that fields in a row can
// be cut in one way only.
func appendField[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
