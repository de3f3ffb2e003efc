package relay

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// A DenialKey names what is denied: a booking, or one token.
type DenialKey string

// The beginnings of keys.
const (
	bookingPrefix = "booking:"
	tokenPrefix   = "token:"
)

// BookingKey is the key of a booking id: all its tokens and experiment codes.
func BookingKey(booking string) DenialKey { return DenialKey(bookingPrefix + booking) }

// TokenKey is the key of one token, by its SHA-256.
func TokenKey(id string) DenialKey { return DenialKey(tokenPrefix + id) }

// maxBooking bounds a booking id, in bytes.
const maxBooking = 255

// validBooking reports whether a string can be a booking id: some text on one
// line.
func validBooking(id string) bool {
	if id == "" || len(id) > maxBooking || !utf8.ValidString(id) {
		return false
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// DenialsKept is how long after its end a denial is remembered at least, so that
// nodes may disagree about the time.
const DenialsKept = time.Hour

// Denials keeps what was denied, and what was allowed again, until a time. It is
// shared by all nodes and outlives each of them. An answer that a change was made
// means that every later question, on any node, sees it. Any error means that the
// store could not be reached, and says nothing about the key. Times are kept to
// the millisecond. now is the caller's clock; a store compares with no other, and
// may forget what ended more than DenialsKept before it.
type Denials interface {
	// Deny denies a key until a time. Denying it again never shortens that; after
	// an Allow it starts anew.
	Deny(ctx context.Context, tenant lodge.Tenant, key DenialKey, until, now time.Time) error
	// Allow undoes a denial, and lists the key as allowed until a time. It may be
	// called for what was never denied.
	Allow(ctx context.Context, tenant lodge.Tenant, key DenialKey, until, now time.Time) error
	// Denied returns which of the keys are denied now, in one round trip.
	Denied(ctx context.Context, tenant lodge.Tenant, now time.Time, keys ...DenialKey) ([]DenialKey, error)
	// List returns every key that is denied now, and every one that is listed as
	// allowed, each in ascending order.
	List(ctx context.Context, tenant lodge.Tenant, now time.Time) (denied, allowed []DenialKey, err error)
}

// Denial is a standing denial, as a durable store hands it to one that may have
// lost it.
type Denial struct {
	Tenant lodge.Tenant
	Key    DenialKey
	Until  time.Time
}

// Hints carry the news, between the nodes of an installation, that something was
// denied. A name is 43 characters of unpadded base64url. A hint that is lost is
// made up for by the lease poll.
type Hints interface {
	// Publish sends a hint to every subscriber; this process's own may be left out.
	Publish(ctx context.Context, tenant lodge.Tenant, name string) error
	// Subscribe calls fn, which does not block, for each hint until ctx ends or the
	// subscription fails, and then returns why.
	Subscribe(ctx context.Context, fn func(tenant lodge.Tenant, name string)) error
}

// notKept stands for Denials that were not given. Nothing that needs them is
// accepted.
type notKept struct{}

var errNotKept = lodge.E(lodge.CodeForbidden, "Bookings are not denied or allowed here; cancel the booking instead.")

func (notKept) Deny(context.Context, lodge.Tenant, DenialKey, time.Time, time.Time) error {
	return errNotKept
}

func (notKept) Allow(context.Context, lodge.Tenant, DenialKey, time.Time, time.Time) error {
	return errNotKept
}

// Denied lets opaque codes pass, which can be revoked, and no token, which could
// not be taken back.
func (notKept) Denied(_ context.Context, _ lodge.Tenant, _ time.Time, keys ...DenialKey) ([]DenialKey, error) {
	for _, key := range keys {
		if strings.HasPrefix(string(key), tokenPrefix) {
			return nil, errors.New("relay: signed tokens are accepted but no denials are kept")
		}
	}
	return nil, nil
}

func (notKept) List(context.Context, lodge.Tenant, time.Time) (denied, allowed []DenialKey, err error) {
	return nil, nil, errNotKept
}

// alone is the Hints of a single node: whoever denies tells the node itself.
type alone struct{}

func (alone) Publish(context.Context, lodge.Tenant, string) error { return nil }

func (alone) Subscribe(ctx context.Context, _ func(lodge.Tenant, string)) error {
	<-ctx.Done()
	return ctx.Err()
}
