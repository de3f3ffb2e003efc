package main

import (
	"errors"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
)

// databaseFile holds the embedded stores.
const databaseFile = "lodge.db"

// keys are what the leaves seal and hash with.
type keys struct {
	roots    roots
	messages messaging.Keyring
	persons  *messaging.Wrapping // of the keys of people
	bookings booking.Keys
	audit    []byte // 32 bytes, of the audit trail's chain
	grants   []byte // 32 bytes, that refresh tokens are sealed under
	joins    []byte // 32 bytes, that join codes are sealed under
}

// loadKeys derives the keys from the root keys of a data directory, which are
// made at first.
func loadKeys(dir string) (keys, error) {
	roots, err := loadRoots(dir)
	if err != nil {
		return keys{}, err
	}
	var errs []error
	first := func(purpose string) []byte {
		key, err := roots.keys[0].derive(purpose)
		errs = append(errs, err)
		return key
	}
	all := func(purpose string) map[string][]byte {
		byID, err := roots.deriveAll(purpose)
		errs = append(errs, err)
		return byID
	}
	k := keys{
		roots:    roots,
		messages: messaging.Keyring{Names: first("message names"), Seals: all("message seals"), Current: roots.current},
		audit:    first("audit"),
		grants:   first("refresh token seal"),
		joins:    first("join code seal"),
	}
	k.bookings = bookingKeys(roots, all("lookup pepper"), all("reference seal"))
	if k.persons, err = messaging.NewWrapping(all("person keys"), roots.current); err != nil {
		errs = append(errs, err)
	}
	return k, errors.Join(errs...)
}

// bookingKeys are what references are hashed and sealed under: written under the
// current root, accepted under all. What the first root gave has the id firstKey,
// whatever the root's is by now.
func bookingKeys(r roots, peppers, seals map[string][]byte) booking.Keys {
	one := func(i int) booking.Keys {
		id := r.keys[i].id
		k := booking.Keys{PepperID: id, Pepper: peppers[id], Seal: seals[id]}
		switch {
		case i == 0:
			k.PepperID = firstKey
		case id == firstKey:
			k.PepperID = r.keys[0].id
		}
		return k
	}
	var current booking.Keys
	var others []booking.Keys
	for i, root := range r.keys {
		if root.id == r.current {
			current = one(i)
		} else {
			others = append(others, one(i))
		}
	}
	current.Others = others
	return current
}
