package sessions

import (
	"errors"

	"github.com/lodge-gateway/lodge"
)

// refusal wraps why a code is not good in what its holder may be told.
func refusal(reason error) error {
	safe := "This code is not valid. Sign in again, or ask for a new one."
	switch {
	case errors.Is(reason, ErrPending):
		safe = "This session has not begun yet. Try again when it starts."
	case errors.Is(reason, ErrExpired):
		safe = "This session has ended. Sign in again, or make a new booking."
	case errors.Is(reason, ErrRevoked):
		safe = "This session was ended. Sign in again, or make a new booking."
	}
	return lodge.Wrap(lodge.CodeUnauthenticated, safe, reason)
}

// refusalIn returns why a session in a state is not good, nil for an active one.
func refusalIn(state State) error {
	switch state {
	case Active:
		return nil
	case Pending:
		return refusal(ErrPending)
	case Expired:
		return refusal(ErrExpired)
	default:
		return refusal(ErrRevoked)
	}
}

// unavailable wraps a failure of a store or the journal; nil stays nil, and what
// already carries a safe message stays as it is.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*lodge.Error](err); ok {
		return err
	}
	return lodge.Wrap(lodge.CodeUnavailable, "Sessions cannot be checked at the moment. Try again shortly.", err)
}
