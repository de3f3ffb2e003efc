package booking

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/lodge-gateway/lodge"
)

// Keys protect references at rest. Without Pepper a dump of the database does
// not tell which reference or surname opens a booking, though there are only 27⁶
// references; Seal encrypts the copies that are shown to their owners.
type Keys struct {
	PepperID string // stored beside everything made with the two keys
	Pepper   []byte // 32 bytes
	Seal     []byte // 32 bytes
	// Others are accepted too: what was written under them is found and shown. To
	// rotate, give all desks the new keys here, then exchange them for the old.
	Others []Keys
}

// A vault does the keyed hashing and sealing: it writes under one pair of keys and
// accepts what was written under others.
type vault struct {
	keyed
	others []keyed
}

// all lists the keys, those that are written under first.
func (v *vault) all() []keyed { return append([]keyed{v.keyed}, v.others...) }

// keyed is one pair of keys.
type keyed struct {
	id     string
	pepper []byte
	aead   cipher.AEAD
}

func newVault(k Keys) (*vault, error) {
	first, err := newKeyed(k)
	if err != nil {
		return nil, err
	}
	v := &vault{keyed: *first}
	for _, other := range k.Others {
		one, err := newKeyed(other)
		if err != nil {
			return nil, err
		}
		v.others = append(v.others, *one)
	}
	seen := map[string]bool{}
	for _, one := range v.all() {
		if seen[one.id] {
			return nil, fmt.Errorf("booking: two keys have the id %q", one.id)
		}
		seen[one.id] = true
	}
	return v, nil
}

func newKeyed(k Keys) (*keyed, error) {
	if k.PepperID == "" || len(k.Pepper) != 32 || len(k.Seal) != 32 {
		return nil, fmt.Errorf("booking: keys need an id and two keys of 32 bytes, not %d and %d", len(k.Pepper), len(k.Seal))
	}
	block, err := aes.NewCipher(k.Seal)
	if err != nil {
		return nil, fmt.Errorf("booking: seal key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("booking: seal key: %w", err)
	}
	return &keyed{id: k.PepperID, pepper: k.Pepper, aead: aead}, nil
}

// mac returns the HMAC-SHA-256 of parts under the pepper. Each part goes in with
// its length, so that no two lists of parts look alike.
func (v keyed) mac(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, v.pepper)
	for _, p := range append([]string{purpose}, parts...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

func (v keyed) referenceMAC(t lodge.Tenant, reference string) []byte {
	return v.mac("reference", string(t), reference)
}

func (v keyed) foldMAC(t lodge.Tenant, fold, reference string) []byte {
	return v.mac("fold", string(t), fold, reference)
}

// foldMACs are the hashes of a fold with a reference under each key.
func (v *vault) foldMACs(t lodge.Tenant, fold, reference string) [][]byte {
	var macs [][]byte
	for _, one := range v.all() {
		macs = append(macs, one.foldMAC(t, fold, reference))
	}
	return macs
}

// requestMAC identifies a person's request by its idempotency key.
func (v keyed) requestMAC(req Request) []byte {
	return v.mac("idempotency", string(req.Tenant), string(req.Person), req.Key)
}

// seal encrypts a reference for display, bound to its booking.
func (v keyed) seal(b Booking, reference string) []byte {
	return v.aead.Seal(nil, nil, []byte(reference), v.bound(b))
}

func (v *vault) unseal(r Record) (string, error) {
	for _, one := range v.all() {
		if r.SealedKey != one.id {
			continue
		}
		plain, err := one.aead.Open(nil, nil, r.Sealed, one.bound(r.Booking))
		if err != nil {
			return "", fmt.Errorf("booking: reference of %s: %w", r.ID, err)
		}
		return string(plain), nil
	}
	return "", fmt.Errorf("booking: reference of %s is sealed with key %q, which is not there", r.ID, r.SealedKey)
}

func (v keyed) bound(b Booking) []byte {
	return v.mac("bound", v.id, string(b.Tenant), b.ID)
}

// Digits are the 27 characters of references: no vowels, which would spell
// words, and none of the pairs that are mistaken for one another on paper.
const Digits = "23456789BCDFGHJKMNPQRSTVWXZ"

// The lengths that references may have.
const (
	ReferenceLength     = 6 // unless an installation has more bookings than that is safe for
	LongReferenceLength = 8
)

// newReference returns a random reference, every one equally likely.
func newReference(length int) string {
	out := make([]byte, 0, length)
	var buf [16]byte
	for len(out) < length {
		_, _ = rand.Read(buf[:]) // never fails: crypto/rand ends the program instead
		for _, c := range buf {
			// 243 is the largest multiple of 27 that a byte holds.
			if c < 243 && len(out) < length {
				out = append(out, Digits[c%27])
			}
		}
	}
	return string(out)
}

// newID returns an unguessable id for a booking or an effect.
func newID() string { return rand.Text() }
