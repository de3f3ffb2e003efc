package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// A Journal is the part of sessions.Journal that is read when a server must be
// trusted.
type Journal interface {
	Standing(ctx context.Context, tenant lodge.Tenant, at time.Time) ([]sessions.Revocation, error)
}

// ErrUntrusted is wrapped by what every call returns while the server may have
// forgotten revocations.
var ErrUntrusted = errors.New("redis: the server is not trusted")

const (
	// marksKey is a sorted set, by time, of the lives of servers that the journal
	// was applied to. It belongs to no tenant.
	marksKey  = "lodge:trusted"
	marksKept = 256
	// turnLimit bounds how long a new connection waits for another to apply the
	// journal.
	turnLimit = 10 * time.Second
)

// trust decides about each new connection whether what the server says may be
// believed. A server is told apart by its run id, which is new each time it
// starts, together with its replication id, which is new each time it becomes a
// master. One that is not known yet gets the journal's standing revocations
// applied through that very connection, before anything is read through any.
type trust struct {
	journal Journal       // static; nil on a node without the database
	denials DenialJournal // static; may be nil
	states  StateJournal  // static; may be nil
	clock   lodge.Clock
	logger  *slog.Logger
	plain   func(addr string) *redis.Options // static: for a connection of its own to one node

	mu    sync.Mutex
	known map[string]bool          // guarded by mu: lives that are trusted
	turns map[string]chan struct{} // guarded by mu: capacity 1, held by who applies the journal
}

func newTrust(c Config) *trust {
	return &trust{
		journal: c.Journal, denials: c.Denials, states: c.States, clock: c.Clock, logger: c.Logger, plain: c.plain,
		known: map[string]bool{}, turns: map[string]chan struct{}{},
	}
}

// onConnect is go-redis' hook for each connection that was just made. An error
// closes it, and is what the caller who wanted the connection gets.
func (t *trust) onConnect(ctx context.Context, cn *redis.Conn) error {
	ctx = context.WithValue(ctx, ungated{}, true)
	who, err := whois(ctx, cn)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if who.sentinel {
		return nil // it holds no sessions
	}
	if !who.master {
		return fmt.Errorf("%w: it is a replica, which may be behind", ErrUntrusted)
	}
	turn := t.turn(who.life)
	if turn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: waiting for the journal to be applied: %w", ErrUntrusted, ctx.Err())
	}
	if t.turn(who.life) == nil {
		return nil // whoever had the turn has done it
	}
	if err := t.earn(ctx, cn, who.life); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}

// turn returns nil for a trusted life, else what to hold while earning its trust.
func (t *trust) turn(life string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[life] {
		return nil
	}
	if t.turns[life] == nil {
		t.turns[life] = make(chan struct{}, 1)
	}
	return t.turns[life]
}

func (t *trust) setKnown(life string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[life] = true
	delete(t.turns, life)
}

// earn makes a life trusted: by applying the journal and leaving a mark, or,
// without a journal, by finding the mark.
func (t *trust) earn(ctx context.Context, cn *redis.Conn, life string) error {
	if t.journal == nil {
		err := t.marks(cn, func(c redis.Cmdable) error { return c.ZScore(ctx, marksKey, life).Err() })
		if errors.Is(err, redis.Nil) {
			return errors.New("no gateway has applied the journal of revocations to it yet")
		}
		if err != nil {
			return fmt.Errorf("mark: %w", err)
		}
		t.setKnown(life)
		return nil
	}
	applied, err := t.apply(ctx, cn)
	if err == nil {
		err = t.applyDenials(ctx, cn)
	}
	if err == nil {
		err = t.applyStates(ctx, cn)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	err = t.marks(cn, func(c redis.Cmdable) error {
		if err := c.ZAdd(ctx, marksKey, redis.Z{Score: float64(t.clock.Now().Unix()), Member: life}).Err(); err != nil {
			return err
		}
		return c.ZRemRangeByRank(ctx, marksKey, 0, -marksKept-1).Err()
	})
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "OOM "):
		// A full server takes no mark, and must serve revocations all the same. Nodes
		// without the database wait until one finds room.
		t.logger.WarnContext(ctx, "redis: server is full; nodes without the database cannot use it")
	case err != nil:
		return fmt.Errorf("mark: %w", err)
	}
	t.setKnown(life)
	t.logger.InfoContext(ctx, "redis: server trusted", "life", life, "revocations", applied)
	return nil
}

// marks runs fn on the connection at hand, or, when the marks live on another
// node of a Cluster, on one to that. It does not ask the DB's own client, which
// may be waiting for this very connection; and that other node need not be
// trusted: a mark names one life of one server, so a lost one is missed and an old
// one is not looked for.
func (t *trust) marks(cn *redis.Conn, fn func(redis.Cmdable) error) error {
	err := fn(cn)
	addr, moved := redis.IsMovedError(err)
	if !moved {
		return err
	}
	c := redis.NewClient(t.plain(addr))
	return errors.Join(fn(c), c.Close())
}

// apply brings every standing revocation to the server behind cn and returns how
// many it had forgotten. In a Cluster the tenants of other nodes are left to
// connections to those.
func (t *trust) apply(ctx context.Context, cn *redis.Conn) (int, error) {
	revs, err := t.journal.Standing(ctx, "", t.clock.Now())
	if err != nil {
		return 0, err
	}
	by := map[lodge.Tenant]map[sessions.ID]sessions.Revocation{}
	for _, r := range revs {
		if by[r.Tenant] == nil {
			by[r.Tenant] = map[sessions.ID]sessions.Revocation{}
		}
		by[r.Tenant][r.ID] = r
	}
	forgotten := 0
	for tenant, of := range by {
		n, err := applyTenant(ctx, cn, tenant, of)
		if _, moved := redis.IsMovedError(err); moved {
			continue
		}
		if err != nil {
			return forgotten, err
		}
		forgotten += n
	}
	return forgotten, nil
}

// A life is one stretch of a server's time as a master, from start or promotion.
type identity struct {
	life             string
	master, sentinel bool
}

// minVersion is the oldest major version of Redis whose scripts may say that
// they run on a full server.
const minVersion = 7

// whois asks the server behind a connection who it is.
func whois(ctx context.Context, cn *redis.Conn) (identity, error) {
	info := map[string]string{}
	for _, section := range []string{"server", "replication"} {
		text, err := cn.Info(ctx, section).Result()
		if err != nil {
			return identity{}, fmt.Errorf("info: %w", err)
		}
		for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
				info[name] = value
			}
		}
	}
	if info["redis_mode"] == "sentinel" {
		return identity{sentinel: true}, nil
	}
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		return identity{}, fmt.Errorf("it is version %q, and %d.0 or newer is needed", info["redis_version"], minVersion)
	}
	if info["run_id"] == "" || info["master_replid"] == "" {
		return identity{}, errors.New("it does not tell its run id")
	}
	return identity{life: info["run_id"] + "/" + info["master_replid"], master: info["role"] == "master"}, nil
}
