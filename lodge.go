// Package lodge is the shared kernel of the Lodge gateway: the handful of words
// that every part uses (tenant, person, principal, role, scope), the error that
// carries a safe message to the outside, and the clock.
//
// It holds no behaviour of its own beyond those words and imports the standard
// library only. Everything else lives in the leaves (sessions, idp, booking,
// messaging, relay, web), which never import one another; the gateway adapts
// leaf to leaf, and cmd/lodge alone picks the back ends.
package lodge

import "time"

// Tenant names an institution. It is resolved from a request's Host before
// anything else is read and is part of every stored key and internal topic.
type Tenant string

// DefaultTenant is the tenant of an installation that serves one institution.
const DefaultTenant Tenant = "default"

// PersonID is the internal, opaque id of a person within a tenant. It is never
// an e-mail address and never an issuer's subject.
type PersonID string

// A Clock tells the time. Expiry everywhere is data compared with a Clock, so
// that tests can move time instead of waiting for it.
type Clock interface {
	Now() time.Time
}

// SystemClock is the Clock of a running server.
type SystemClock struct{}

// Now returns the current time in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }
