package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
)

// errLogUnsent is wrapped by errors of a connection that was not made.
var errLogUnsent = errors.New("redis: nothing was sent")

// logRefusals begin the errors that a server gives before it does anything.
var logRefusals = []string{
	"LOADING ", "READONLY ", "MASTERDOWN ", "OOM ", "NOREPLICAS ", "MISCONF ", "BUSY ", "NOSCRIPT ", "NOAUTH ", "NOPERM ", "WRONGPASS ",
	"MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ", "ERR max number of clients reached",
}

// logAnswered reports whether err is what a server said.
func logAnswered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// logMoved reports whether the server said that another has the slot, or will in a
// moment.
func logMoved(err error) bool {
	return slices.ContainsFunc([]string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// failed puts the error of a write in words of messaging.Log: it did nothing, or
// nobody can tell.
func (l *Log) failed(err error) error {
	switch {
	case errors.Is(err, messaging.ErrUncertain):
		return err
	case l.calls.Life().Err() != nil:
		return fmt.Errorf("%w: %w", messaging.ErrUncertain, messaging.ErrClosed)
	case logUnsent(err):
		return fmt.Errorf("%w: %w", messaging.ErrUnavailable, err)
	default:
		return fmt.Errorf("%w: %w", messaging.ErrUncertain, err)
	}
}

// logUnsent reports whether a write surely did nothing.
func logUnsent(err error) bool {
	if logAnswered(err) {
		return slices.ContainsFunc(logRefusals, func(prefix string) bool { return strings.HasPrefix(err.Error(), prefix) })
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	return errors.Is(err, errLogUnsent) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// again runs a read, and once more where a connection had died meanwhile, and
// puts its error in words of messaging.Log.
func (l *Log) again(ctx context.Context, read func() error) error {
	for try := 1; ; try++ {
		err := read()
		switch {
		case err == nil:
			return nil
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case try < 3 && (!logAnswered(err) && !logTimedOut(err) || logMoved(err)):
			l.reload(ctx)
		default:
			return fmt.Errorf("%w: %w", messaging.ErrUnavailable, err)
		}
	}
}

func logTimedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// read runs a script that changes nothing.
func (l *Log) read(ctx context.Context, script logLua, keys []string, args ...any) ([]any, error) {
	var answer []any
	err := l.again(ctx, func() error {
		var err error
		answer, err = script.EvalShaRO(ctx, l.client, keys, args...).Slice()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			answer, err = script.EvalRO(ctx, l.client, keys, args...).Slice()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return verdict(answer)
}

// verdict turns what a script says that did nothing into an error.
func verdict(answer []any) ([]any, error) {
	if len(answer) == 0 {
		return nil, fmt.Errorf("%w: redis: a script said nothing", messaging.ErrUncertain)
	}
	switch word, _ := answer[0].(string); word {
	case logOK:
		return answer, nil
	case logConflict:
		return nil, messaging.ErrConflict
	case logLost:
		meta, _ := answer[len(answer)-1].(string)
		page, err := logBounds(meta)
		if err != nil {
			return nil, err
		}
		return nil, &messaging.PosLostError{Floor: page.Floor, Head: page.Head}
	default:
		return nil, fmt.Errorf("%w: redis: a script said %q", messaging.ErrUncertain, word)
	}
}
