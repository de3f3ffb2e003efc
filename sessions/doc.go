// Package sessions holds what a code stands for. A code is 256 random bits with
// a prefix that says its kind; the server keeps only its hash, and behind it a
// Session: who, for which booking or experiment, until when, with which right to
// messages. Because the meaning lives here and not in the code, a session can be
// seen, extended, narrowed and ended while the code in somebody's hands stays
// what it is.
//
// The Manager is the one way in. It makes sessions, checks codes, and carries the
// changes that a booking, a person or an administrator brings about. A Store
// keeps the records and compares versions, so that of two changes that race one
// is made upon the other; a Journal makes revocations durable apart from the
// store; Signals hint other nodes at what changed. Watch joins these into a
// lease: what is live because of a session learns of its end at once by a hint,
// after one poll without, and after one lease when the store cannot be asked.
//
// Browser is the same for a person's login cookie, built on scs, whose store it
// replaces with a Store: an identity is written once, at login, under a new code.
//
// The package knows nothing of HTTP routes, bookings or issuers; the gateway does.
package sessions
