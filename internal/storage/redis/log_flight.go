package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// logFlights is how many pipelines of writes are on their way to one server at
	// once.
	logFlights = 4
	// logSeats and logFreight end a pipeline: calls, and bytes of bodies.
	logSeats   = 128
	logFreight = 4 << 20
	// logTries is how often a call is tried of which the server said that it did
	// nothing and that another, or the same a little later, will.
	logTries = 6
	// logPause is the first pause between them; each further one is twice as long.
	logPause = 10 * time.Millisecond
)

// A logLane is the way to one server. Those who write while its flights are out
// go together with the next: one round trip, one wait for the replicas and one
// write to its file for all of them. Guarded by Log.mu.
type logLane struct {
	queue  []*logCall
	flying int
}

// A logCall is one script on its way.
type logCall struct {
	script logLua
	keys   []string
	args   []any
	size   int
	whole  bool // send the script itself: the server does not have it

	taken bool          // guarded by Log.mu: it cannot be withdrawn any more
	done  chan struct{} // closed when what follows is set

	answer []any
	err    error
}

// write runs a script that changes a topic, together with those of others.
func (l *Log) write(ctx context.Context, script logLua, keys []string, args []any, size int) ([]any, error) {
	whole := false
	for try := 1; ; try++ {
		c := &logCall{script: script, keys: keys, args: args, size: size, whole: whole, done: make(chan struct{})}
		node, err := l.node(ctx, keys[0])
		if err == nil {
			err = l.send(ctx, node, c)
		}
		switch {
		case err == nil:
			return verdict(c.answer)
		case context.Cause(ctx) != nil && !errors.Is(err, messaging.ErrUncertain):
			return nil, context.Cause(ctx)
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			whole = true
		case logMoved(err):
			l.reload(ctx)
		default:
			if !logAnswered(err) {
				l.reload(ctx)
			}
			return nil, l.failed(err)
		}
		if try == logTries {
			return nil, l.failed(err)
		}
		if !whole && !logWait(ctx, logPause<<(try-1)) {
			return nil, context.Cause(ctx)
		}
	}
}

// node returns the client of the server that has a key.
func (l *Log) node(ctx context.Context, key string) (*redis.Client, error) {
	switch client := l.client.(type) {
	case *redis.ClusterClient:
		node, err := client.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLogUnsent, err)
		}
		return node, nil
	case *redis.Client:
		return client, nil
	default:
		return nil, fmt.Errorf("%w: a client of type %T", errLogUnsent, client)
	}
}

// reload has a Cluster's slots asked for anew.
func (l *Log) reload(ctx context.Context) {
	if cluster, ok := l.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// logWait returns false when ctx ended meanwhile.
func logWait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send puts a call on the way and waits for its outcome. Who gives up before it
// left has done nothing.
func (l *Log) send(ctx context.Context, node *redis.Client, c *logCall) error {
	l.mu.Lock()
	lane := l.lanes[node]
	if lane == nil {
		lane = &logLane{}
		l.lanes[node] = lane
	}
	lane.queue = append(lane.queue, c)
	if lane.flying < logFlights {
		lane.flying++
		l.work.Go(func() {
			for calls := l.board(node, lane); calls != nil; calls = l.board(node, lane) {
				l.fly(node, calls)
			}
		})
	}
	l.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.taken {
		// The cause is told, not wrapped: an error of the context would say that
		// nothing was done.
		return fmt.Errorf("%w: given up while it was under way: %s", messaging.ErrUncertain, context.Cause(ctx).Error())
	}
	lane.queue = slices.DeleteFunc(lane.queue, func(other *logCall) bool { return other == c })
	return context.Cause(ctx)
}

// board takes the calls of one flight from the queue; nil ends the flights.
func (l *Log) board(node *redis.Client, lane *logLane) []*logCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(lane.queue) && n < logSeats && size < logFreight {
		lane.queue[n].taken = true
		size += lane.queue[n].size
		n++
	}
	if n == 0 {
		lane.flying--
		if lane.flying == 0 {
			delete(l.lanes, node) // nodes of a Cluster come and go
		}
		return nil
	}
	calls := slices.Clone(lane.queue[:n])
	lane.queue = slices.Delete(lane.queue, 0, n)
	return calls
}

// fly carries calls to a server on one connection, and where replicas count waits
// there until they have what was written, which WAIT knows of its own connection.
// No caller's context ends it, the client's time limits do.
func (l *Log) fly(node *redis.Client, calls []*logCall) {
	ctx := l.calls.Life()
	answers := make([]*redis.Cmd, len(calls))
	var replicas *redis.IntCmd
	_, _ = node.Pipelined(ctx, func(p redis.Pipeliner) error { // each answer has its error
		for i, c := range calls {
			if c.whole {
				answers[i] = c.script.Eval(ctx, p, c.keys, c.args...)
			} else {
				answers[i] = c.script.EvalSha(ctx, p, c.keys, c.args...)
			}
		}
		if l.opts.MinReplicas > 0 {
			replicas = redis.NewIntCmd(ctx, "wait", l.opts.MinReplicas, l.opts.WaitTimeout.Milliseconds())
			return p.Process(ctx, replicas)
		}
		return nil
	})
	for i, c := range calls {
		c.answer, c.err = answers[i].Slice()
		if c.err == nil && replicas != nil {
			c.err = l.confirmed(replicas)
		}
		close(c.done)
	}
}

// confirmed returns nil when enough replicas have what was written.
func (l *Log) confirmed(replicas *redis.IntCmd) error {
	n, err := replicas.Result()
	if err != nil {
		return fmt.Errorf("%w: waiting for replicas: %w", messaging.ErrUncertain, err)
	}
	if n < int64(l.opts.MinReplicas) {
		return fmt.Errorf("%w: %d of %d replicas have it after %v", messaging.ErrUncertain, n, l.opts.MinReplicas, l.opts.WaitTimeout)
	}
	return nil
}
