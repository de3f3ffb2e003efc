package lodge

import (
	"errors"
	"time"
)

// A Code classifies an error by what its receiver can do about it. The gateway
// maps each to one HTTP status, in one place.
type Code string

// The codes and the status each is answered with.
const (
	CodeInvalid         Code = "invalid"         // 400: the request cannot be read
	CodeUnauthenticated Code = "unauthenticated" // 401: no code, or one that is not good
	CodeForbidden       Code = "forbidden"       // 403: known, but not allowed
	CodeNotFound        Code = "not-found"       // 404: not there, or not yours
	CodeConflict        Code = "conflict"        // 409: overlap, or a stale version
	CodeTooLarge        Code = "too-large"       // 413: over a size limit
	CodeRefused         Code = "refused"         // 422: refused by a rule, or impossible
	CodeTooMany         Code = "too-many"        // 429: over a rate limit; see RetryAfter
	CodeUnavailable     Code = "unavailable"     // 503: a dependency is down
	CodeInternal        Code = "internal"        // 500: our fault
)

// An Error is what a leaf returns when the outside should learn something: a
// code, and a message that is safe to show (it says what to do and holds no
// secret). The cause stays inside, for the log.
type Error struct {
	Code Code
	Safe string
	// RetryAfter is set with CodeTooMany and, where it is known, with
	// CodeUnavailable.
	RetryAfter time.Duration
	// Details are extra members of the problem document, such as the rule that
	// refused, the conflicting interval or the nearest offer.
	Details map[string]any
	// Err is the cause; it is logged and never shown.
	Err error
}

// Error returns the safe message followed by the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Safe + ": " + e.Err.Error()
	}
	return e.Safe
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// E returns an Error of a code with a safe message.
func E(code Code, safe string) *Error { return &Error{Code: code, Safe: safe} }

// Wrap returns an Error of a code with a safe message and a hidden cause.
func Wrap(code Code, safe string, err error) *Error {
	return &Error{Code: code, Safe: safe, Err: err}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal when
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
