package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// A StateJournal is the database, as far as the states of experiments go.
type StateJournal interface {
	// Offline calls fn for every experiment that is off-line, in every tenant.
	Offline(ctx context.Context, fn func(lodge.Tenant, booking.ExperimentState) error) error
}

// States are the states of experiments on Redis, where relays without the database
// read them: a hash of a tenant, from the experiment's name to since when, whether
// it is on-line, and why not, in lines. The database has the truth; gateways write
// down here what it says.
type States struct{ db *DB }

// NewStates returns the states of a Redis.
func NewStates(db *DB) *States { return &States{db} }

func (k keys) states() string { return k.prefix + "states" }

const (
	stateOnline  = "online"
	stateOffline = "offline"
)

// stateScript: KEYS the hash; ARGV experiment, since in microseconds, the rest. An
// experiment must go off-line on a full server too.
var stateScript = redis.NewScript(`#!lua flags=allow-oom
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and tonumber(string.match(stored, '^%d+')) > tonumber(ARGV[2]) then return 'newer' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '\n' .. ARGV[3])
return 'ok'
`)

// SetState keeps the state of an experiment since a time; an older one never
// replaces a newer one.
func (st *States) SetState(ctx context.Context, tenant lodge.Tenant, experiment string, online bool, reason string, since time.Time) error {
	return setState(ctx, st.db.client, tenant, booking.ExperimentState{Experiment: experiment, Online: online, Reason: reason, Since: since})
}

func setState(ctx context.Context, c redis.Scripter, tenant lodge.Tenant, s booking.ExperimentState) error {
	word := stateOffline
	if s.Online {
		word = stateOnline
	}
	since := max(s.Since.UnixMicro(), 0) // one that was never set is since the year 1
	if err := stateScript.Run(ctx, c, []string{keysOf(tenant).states()}, s.Experiment, since, word+"\n"+s.Reason).Err(); err != nil {
		return fmt.Errorf("redis: state of an experiment: %w", err)
	}
	return nil
}

// State returns the state of an experiment, and why it is off-line. One that was
// never set is on-line.
func (st *States) State(ctx context.Context, tenant lodge.Tenant, experiment string) (online bool, reason string, err error) {
	stored, err := st.db.client.HGet(ctx, keysOf(tenant).states(), experiment).Result()
	if errors.Is(err, redis.Nil) {
		return true, "", nil
	}
	if err != nil {
		return false, "", fmt.Errorf("redis: state of an experiment: %w", err)
	}
	_, rest, _ := strings.Cut(stored, "\n")
	word, reason, _ := strings.Cut(rest, "\n")
	return word == stateOnline, reason, nil
}

// applyStates brings what is off-line to the server behind cn. In a Cluster the
// tenants of other nodes are left to connections to those.
func (t *trust) applyStates(ctx context.Context, cn *redis.Conn) error {
	if t.states == nil {
		return nil
	}
	return t.states.Offline(ctx, func(tenant lodge.Tenant, s booking.ExperimentState) error {
		err := setState(ctx, cn, tenant, s)
		if _, moved := redis.IsMovedError(err); moved {
			return nil
		}
		return err
	})
}
