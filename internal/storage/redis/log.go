package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Log is the messaging.Log on Redis Streams: a topic is one stream and three
// keys beside it (see log_scripts.go), all in one slot, and each call that
// writes is one script. It has connections of its own: they need no trust in
// sessions, and those that wait for replicas would hold up others.
//
// # What can be lost
//
// Redis answers before it is safe everywhere, so what was acknowledged can be
// lost, and how much is the operator's choice:
//
//   - a crash of the process alone: nothing with appendonly yes, everything
//     without;
//   - a crash of the machine: the last second or two with appendfsync everysec,
//     nothing with always;
//   - a failover: what the promoted replica had not received, some milliseconds'
//     worth at most times; with MinReplicas set, nothing as long as a replica that
//     confirmed is the one promoted. With as many MinReplicas as there are
//     replicas that is any of them, and appends wait for the slowest;
//   - a master that is cut off and writable all the same loses what it takes
//     until it notices: min-replicas-to-write bounds that;
//   - FLUSHALL, or a master without persistence that restarts before it is
//     replaced: everything.
//
// None of that goes unnoticed. An epoch is random, so a topic that was lost is
// another one when it is written to again, and an entry that took a lost one's
// number has another tag: who holds a lost position gets *PosLostError, whatever
// is at that number now. An append that too few replicas confirmed gives
// ErrUncertain; it is in the log, and stays there unless a failover takes it.
type Log struct {
	client redis.UniversalClient
	opts   LogOptions
	hints  logHints

	calls *messaging.Calls
	work  sync.WaitGroup // the flights, and who carries hints

	mu     sync.Mutex
	lanes  map[*redis.Client]*logLane    // guarded by mu, with what they hold
	warned map[string]bool               // guarded by mu: servers the log complained of
	warn   func(msg string, args ...any) // static
}

var _ messaging.Log = (*Log)(nil)

// LogOptions say when an append counts as done.
type LogOptions struct {
	// MinReplicas is how many replicas must have an append before it is
	// acknowledged; 0 asks none.
	MinReplicas int
	// WaitTimeout is how long they may take; 0 means one second.
	WaitTimeout time.Duration
}

// NewLog opens the log that a Redis holds. It fails when no server answers, or
// one may not hold a log: a replica, one older than Redis 7, or one that evicts
// keys when it is full. Config's journals are for sessions and not used.
func NewLog(ctx context.Context, c Config, o LogOptions) (*Log, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if o.MinReplicas < 0 || o.WaitTimeout < 0 {
		return nil, errors.New("redis: message log: neither MinReplicas nor WaitTimeout can be negative")
	}
	if o.WaitTimeout == 0 {
		o.WaitTimeout = time.Second
	}
	l := &Log{opts: o, calls: messaging.NewCalls(), lanes: map[*redis.Client]*logLane{}, warned: map[string]bool{}, warn: logLogger(c).Warn}
	l.client = redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: c.Addrs, MasterName: c.Master, IsClusterMode: c.Cluster,
		Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: c.TLS,
		CredentialsProviderContext: c.Credentials,
		OnConnect:                  l.onConnect,
		ContextTimeoutEnabled:      true,
		DialTimeout:                ioLimit, ReadTimeout: ioLimit + o.WaitTimeout, WriteTimeout: ioLimit, PoolTimeout: 3 * time.Second,
		// Whether a write may be repeated is decided here, not in go-redis.
		DialerRetries: 1, MaxRetries: -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintenance(),
	})
	if err := l.ping(ctx); err != nil {
		l.calls.Close()
		return nil, errors.Join(fmt.Errorf("redis: message log: %w", err), l.client.Close())
	}
	l.hints.start(l)
	return l, nil
}

// ping makes a connection to every server, each of which is looked at first.
func (l *Log) ping(ctx context.Context) error {
	if cluster, ok := l.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
	}
	return l.client.Ping(ctx).Err()
}

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	heads := make([]messaging.Pos, len(names))
	if len(names) == 0 {
		return heads, nil
	}
	var answers []redis.Cmder
	err = l.again(ctx, func() error {
		var err error
		answers, err = l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, name := range names {
				p.Get(ctx, logKey(name, logMeta))
			}
			return nil
		})
		if errors.Is(err, redis.Nil) {
			err = nil // of the first; any other error of another shows below
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, answer := range answers {
		meta, err := answer.(*redis.StringCmd).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("%w: %w", messaging.ErrUnavailable, err)
		}
		page, err := logBounds(meta)
		if err != nil {
			return nil, err
		}
		heads[i] = page.Head
	}
	return heads, nil
}

// Changes implements messaging.Log.
func (l *Log) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	return l.calls.Changes(ctx)
}

// logCloseGrace is how long Close lets the server answer what is under way.
const logCloseGrace = 500 * time.Millisecond

// Close implements messaging.Log. A server that hangs does not hold it up for
// long: then every connection is closed, also those that somebody waits on.
func (l *Log) Close() error {
	first := l.calls.Close()
	closeClient := sync.OnceValue(l.client.Close)
	late := time.AfterFunc(logCloseGrace, func() { _ = closeClient() }) // its error is returned below
	l.calls.Wait()
	l.work.Wait()
	late.Stop()
	if !first {
		return nil
	}
	if err := closeClient(); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}
