package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// proveEvery is how often a master that is read from is asked whether it might
	// still write.
	proveEvery = time.Second
	// proofLimit is how old the last such answer may be when a session is read.
	proofLimit = 2 * proveEvery
)

// proof asks what only a master in office may: to write. It writes nothing. One
// that has lost the replicas that min-replicas-to-write asks for refuses, and so
// does one that has become a replica.
var proof = redis.NewScript("#!lua flags=allow-oom\nreturn 1")

// An isolation is go-redis' hook that keeps sessions from being read from a master
// that was cut off from its replicas: another may have been promoted, where
// sessions are revoked that this one would call good. A master tells by refusing
// to write, if it was given min-replicas-to-write; reading alone it would go on
// for ever. The nodes of a Cluster find out by themselves.
type isolation struct {
	client redis.Scripter // static
	proved atomic.Int64   // when the master last said that it may write, on the clock since
	asked  atomic.Int64   // when somebody last set out to ask
	since  time.Time      // static: monotonic, so that a clock that is put back changes nothing
}

func newIsolation(client redis.Scripter) *isolation {
	i := &isolation{client: client, since: time.Now()}
	never := -int64(2 * proofLimit)
	i.proved.Store(never)
	i.asked.Store(never)
	return i
}

// ungated marks the context of commands that come before a connection is trusted,
// and of the proof itself.
type ungated struct{}

func (i *isolation) DialHook(next redis.DialHook) redis.DialHook { return next }

func (i *isolation) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "mget" { // what every session is read by
			if err := i.check(ctx); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func (i *isolation) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next // no session is read in one
}

// check returns an error when the master may be a master no more. Of those who
// read while the last proof is young enough, one a second asks for the next;
// later each does.
func (i *isolation) check(ctx context.Context) error {
	if ctx.Value(ungated{}) != nil {
		return nil
	}
	now := int64(time.Since(i.since))
	asked := i.asked.Load()
	if now-i.proved.Load() < int64(proofLimit) && (now-asked < int64(proveEvery) || !i.asked.CompareAndSwap(asked, now)) {
		return nil
	}
	i.asked.Store(now)
	err := proof.Run(context.WithValue(ctx, ungated{}, true), i.client, nil).Err()
	switch said, answered := errors.AsType[redis.Error](err); {
	case err == nil:
	case answered && (strings.HasPrefix(said.Error(), "NOREPLICAS") || strings.HasPrefix(said.Error(), "READONLY")):
		i.proved.Store(now - int64(proofLimit))
		return fmt.Errorf("%w: it is cut off from its replicas, and another may be master: %w", ErrUntrusted, err)
	case !answered:
		return fmt.Errorf("redis: whether the server is master still: %w", err)
	}
	i.proved.Store(now) // whatever else it cannot do (a failing disk), it is in office
	return nil
}
