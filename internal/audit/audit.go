// Package audit keeps the trail of who was let do what, and who was not.
//
// The trail is append-only and chained: the MAC of each entry covers the entry
// and the MAC of the one before, under a key that is derived from the root key
// and is not in the database. An entry that was changed, moved or taken out
// breaks the chain. A tail that was cut off does not, so the newest MAC, the
// head, is written to a file outside the database too: the trail must contain it.
//
//	audit.go   the words: events, entries, what a store does
//	seal.go    how an entry is cleaned, encoded and chained
//	trail.go   recording
//	limit.go   what keeps a flood of refusals from filling the disk
//	anchor.go  the head outside the database
//	join.go    the head file of a further node
//	verify.go  finding what was tampered with
//
// What it cannot show: that somebody who holds the root key wrote a whole trail
// anew, and that the database and the head file were both put back to an older
// state together. Keep the head file (audit_head_file) where whoever administers
// the database cannot write.
package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

// An Action says what was decided.
type Action string

// The actions. The session checks of ordinary requests, /auth/verify among them,
// are not recorded one by one: what gave the session its rights is.
const (
	SignIn          Action = "sign-in"            // object: issuer; reason: session and roles given
	SignInRefused   Action = "sign-in-refused"    // object: issuer
	SignOut         Action = "sign-out"           // object: session
	IssuerSignOut   Action = "sign-out-by-issuer" // object: session; the actor is the issuer
	RoleChange      Action = "role-change"        // object: person; reason: roles before and after
	Lookup          Action = "lookup"             // a booking was opened by surname and reference
	LookupRefused   Action = "lookup-refused"     // not found, or over a limit: the reason says which
	Book            Action = "book"               // object: booking
	Extend          Action = "extend"             // object: booking
	Share           Action = "share"              // object: booking; reason: with whom from now on, or no more
	Rotate          Action = "rotate"             // object: booking; it has another reference
	Cancel          Action = "cancel"             // object: booking; by its owner
	CancelByOther   Action = "cancel-by-another"  // object: booking; by staff
	BookingDeny     Action = "booking-deny"       // object: booking; refused at the relay until a time
	BookingAllow    Action = "booking-allow"      // object: booking; such a denial was undone
	Grant           Action = "grant"              // object: what was opened, such as an experiment's streams
	Deny            Action = "deny"               // object: what was refused
	SessionEnd      Action = "session-end"        // object: session
	SessionsEnd     Action = "sessions-end"       // object: whose; reason: how many, and why
	TokenEnd        Action = "token-end"          // object: stream; a signed token was given up by its holder
	PersonDisable   Action = "person-disable"     // object: person
	PersonEnable    Action = "person-enable"      // object: person
	Link            Action = "link"               // object: person; reason: the account that signs them in from now on
	Unlink          Action = "unlink"             // object: person; reason: the account that does so no more
	Claim           Action = "claim"              // object: guest; reason: of which booking
	Merge           Action = "merge"              // object: person; reason: whom they count as from now on
	Unmerge         Action = "unmerge"            // object: person; reason: whom they counted as
	Erase           Action = "erase"              // object: person; reason: how many ids and bookings went with them
	Export          Action = "export"             // object: person; all that is held about them, to themselves
	Look            Action = "look"               // object: person; reason: what of theirs somebody in authority was shown
	LogRead         Action = "log-read"           // object: topic of the message log, read by an operator
	CodeCreate      Action = "code-create"        // object: session of a host or a service
	CodeRevoke      Action = "code-revoke"        // object: session of a host or a service
	ExperimentState Action = "experiment-state"   // object: experiment; reason: on-line or off-line, and why
	TestStart       Action = "test-start"         // object: experiment; a technician's session on it while it is off-line
	TestEnd         Action = "test-end"           // object: experiment
	CatalogueApply  Action = "catalogue-apply"    // object: catalogue; reason: the revision, and what was added, changed and removed
	BookingKeep     Action = "booking-keep"       // object: booking; a change of the catalogue touched it, and it stands
	BookingMove     Action = "booking-move"       // object: booking; reason: from where to where, and why
	RoleBind        Action = "role-bind"          // object: role binding; reason: which role, where, to whom
	RoleUnbind      Action = "role-unbind"        // object: role binding; reason: what it gave
	JoinCode        Action = "join-code"          // object: group; a join code was made or replaced
	JoinCodeRevoke  Action = "join-code-revoke"   // object: group; reason: which join code
	JoinGroup       Action = "join"               // object: group; the actor joined it with a join code
	LeaveGroup      Action = "leave"              // object: group; reason: who left it, or was removed
	Send            Action = "send"               // object: audience of a message
	SurveyOpen      Action = "survey-open"        // object: survey; reason: audience
	SurveyClose     Action = "survey-close"       // object: survey
	SurveyRelease   Action = "survey-release"     // object: survey
	RegisterOpen    Action = "register-open"      // object: register; reason: group
	RegisterClose   Action = "register-close"     // object: register
	RegisterPlan    Action = "register-plan"      // object: register, the first of a series; reason: group, and how many
	RegisterUnplan  Action = "register-unplan"    // object: register that was planned; reason: whether the rest of its series went too
	RegisterMark    Action = "register-mark"      // object: register; reason: whose mark was changed by hand, from what to what
	RegisterExcuse  Action = "register-excuse"    // object: register; reason: whose apology was accepted or declined
	MailGivenUp     Action = "mail-given-up"      // object: booking, or the person it was for; reason: which mail, and why
	HandInOpen      Action = "handin-open"        // object: hand-in; reason: audience
	HandInClose     Action = "handin-close"       // object: hand-in
	HandInDownload  Action = "handin-download"    // object: hand-in; all that was handed in, at once
	Grade           Action = "grade"              // object: hand-in; reason: whose, and whether it had been released
	GradesRelease   Action = "grades-release"     // object: hand-in
	Omitted         Action = "omitted"            // refusals that were only counted (Rule)
	NodeJoin        Action = "node-join"          // a node began its head file with the trail as it was
	Broken          Action = "broken"             // the trail did not contain its head: a finding of every later Verify
)

// Actions lists every action that is recorded, in the order above.
func Actions() []Action {
	return []Action{
		SignIn, SignInRefused, SignOut, IssuerSignOut, RoleChange, Lookup, LookupRefused, Book, Extend, Share, Rotate, Cancel, CancelByOther,
		BookingDeny, BookingAllow, Grant, Deny, SessionEnd, SessionsEnd, TokenEnd, PersonDisable, PersonEnable, Link, Unlink, Claim, Merge, Unmerge, Erase, Export, Look, LogRead, CodeCreate, CodeRevoke,
		ExperimentState, TestStart, TestEnd, CatalogueApply, BookingKeep, BookingMove, RoleBind, RoleUnbind, JoinCode, JoinCodeRevoke, JoinGroup, LeaveGroup, Send, SurveyOpen, SurveyClose, SurveyRelease, RegisterOpen, RegisterClose, RegisterPlan, RegisterUnplan, RegisterMark, RegisterExcuse, MailGivenUp, HandInOpen, HandInClose, HandInDownload, Grade, GradesRelease, Omitted, NodeJoin, Broken,
	}
}

// refusal reports whether anybody can bring the action about without having
// been let in, and so as often as they like.
func (a Action) refusal() bool {
	return a == Deny || a == SignInRefused || a == LookupRefused
}

// An Event is a decision as it is handed to Record. Its texts may hold anything;
// what is stored is cleaned (Clean) and at most maxField runes long.
type Event struct {
	Tenant lodge.Tenant
	// Actor is who acted: "person:ID", "session:ID", "service:ID", "host:ID",
	// "token:ID" for a signed token, "issuer:ID", "cli" for the operator's command
	// line, "lodge" for Lodge itself, "nobody" for who is not known.
	Actor   string
	Action  Action
	Object  string
	Reason  string
	Address string // the client's address; empty for the command line
}

// An Entry is an event in the trail.
type Entry struct {
	Seq  uint64 // from 1, without gaps, over all tenants
	Time time.Time
	Event
	MAC MAC
}

// A MAC is an HMAC-SHA-256 over an entry and the MAC of the entry before.
type MAC [32]byte

// MarshalText implements encoding.TextMarshaler: hexadecimal digits.
func (m MAC) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(m[:])), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(m)) {
		return fmt.Errorf("audit: a MAC has %d hexadecimal digits", hex.EncodedLen(len(m)))
	}
	_, err := hex.Decode(m[:], text)
	return err
}

// A Head is the newest entry's place and MAC.
type Head struct {
	Seq uint64 `json:"seq"`
	MAC MAC    `json:"mac"`
}

// A Filter selects entries of a tenant. Empty fields select everything.
type Filter struct {
	Actor  string
	Action Action
	Object string
	Who    []string  // entries whose actor or object is one of these
	From   time.Time // entries of this time or later
	Until  time.Time // entries of earlier times
	After  uint64    // only entries with a greater Seq
	Before uint64    // only entries with a smaller Seq; 0: no bound
	Newest bool      // the newest Limit entries instead of the oldest
	Limit  int
}

// A Store keeps the trail. It is safe for concurrent use.
type Store interface {
	// Append calls seal with the head of the trail (the zero Head for an empty one)
	// and stores what it returns, in one transaction that no other append comes
	// between; it returns when that is durable. seal may be called more than once.
	Append(ctx context.Context, seal func(Head) []Entry) error

	// Head returns the newest entry's place, the zero Head for an empty trail.
	Head(ctx context.Context) (Head, error)

	// Read returns up to limit entries of all tenants with a Seq after the given
	// one, oldest first.
	Read(ctx context.Context, after uint64, limit int) ([]Entry, error)

	// List returns the entries of a tenant that match, oldest first.
	List(ctx context.Context, tenant lodge.Tenant, f Filter) ([]Entry, error)
}
