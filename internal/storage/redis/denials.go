package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// DenialJournal is where denials are kept durably, apart from a Redis that may
// lose its last writes or come back with an older copy. It is written first, and
// what it says is applied to every server before that is trusted.
type DenialJournal interface {
	relay.Denials
	// Standing returns what is denied now, in every tenant.
	Standing(ctx context.Context, now time.Time) ([]relay.Denial, error)
}

// Denials are the relay.Denials on Redis: two sorted sets of a tenant, one of
// what is denied and one of what is allowed, by end in milliseconds.
type Denials struct{ db *DB }

var _ relay.Denials = (*Denials)(nil)

// NewDenials returns the denials of a Redis.
func NewDenials(db *DB) *Denials { return &Denials{db} }

func (k keys) denied() string  { return k.prefix + "denied" }
func (k keys) allowed() string { return k.prefix + "allowed" }

// putScript: KEYS the set to be in, the other one; ARGV name, end, what ended
// before this is forgotten. A denial must work on a full server.
var putScript = redis.NewScript(`#!lua flags=allow-oom
for i = 1, 2 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[3]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
return 'ok'
`)

// Deny implements relay.Denials. Should Redis fail after the journal has it, it
// is repeated by whoever was refused, or applied with the next server.
func (d *Denials) Deny(ctx context.Context, tenant lodge.Tenant, key relay.DenialKey, until, now time.Time) error {
	if d.db.denials != nil {
		if err := d.db.denials.Deny(ctx, tenant, key, until, now); err != nil {
			return fmt.Errorf("redis: journal of denials: %w", err)
		}
	}
	return deny(ctx, d.db.client, relay.Denial{Tenant: tenant, Key: key, Until: until}, now)
}

func deny(ctx context.Context, c redis.Scripter, one relay.Denial, now time.Time) error {
	k := keysOf(one.Tenant)
	return put(ctx, c, k.denied(), k.allowed(), one.Key, one.Until, now)
}

// Allow implements relay.Denials.
func (d *Denials) Allow(ctx context.Context, tenant lodge.Tenant, key relay.DenialKey, until, now time.Time) error {
	if d.db.denials != nil {
		if err := d.db.denials.Allow(ctx, tenant, key, until, now); err != nil {
			return fmt.Errorf("redis: journal of denials: %w", err)
		}
	}
	k := keysOf(tenant)
	return put(ctx, d.db.client, k.allowed(), k.denied(), key, until, now)
}

func put(ctx context.Context, c redis.Scripter, in, out string, key relay.DenialKey, until, now time.Time) error {
	err := putScript.Run(ctx, c, []string{in, out}, string(key), until.UnixMilli(), now.Add(-relay.DenialsKept).UnixMilli()).Err()
	if err != nil {
		return fmt.Errorf("redis: denials: %w", err)
	}
	return nil
}

// Denied implements relay.Denials.
func (d *Denials) Denied(ctx context.Context, tenant lodge.Tenant, now time.Time, keys ...relay.DenialKey) ([]relay.DenialKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = string(key)
	}
	// What is not in the set comes back as zero, which is long ago.
	ends, err := d.db.client.ZMScore(ctx, keysOf(tenant).denied(), names...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: denials: %w", err)
	}
	if len(ends) != len(keys) {
		return nil, fmt.Errorf("redis: denials: %d answers to %d questions", len(ends), len(keys))
	}
	var found []relay.DenialKey
	for i, key := range keys {
		if ends[i] > float64(now.UnixMilli()) {
			found = append(found, key)
		}
	}
	return found, nil
}

// List implements relay.Denials.
func (d *Denials) List(ctx context.Context, tenant lodge.Tenant, now time.Time) (denied, allowed []relay.DenialKey, err error) {
	k := keysOf(tenant)
	if denied, err = d.list(ctx, k.denied(), now); err != nil {
		return nil, nil, err
	}
	if allowed, err = d.list(ctx, k.allowed(), now); err != nil {
		return nil, nil, err
	}
	return denied, allowed, nil
}

func (d *Denials) list(ctx context.Context, set string, now time.Time) ([]relay.DenialKey, error) {
	names, err := d.db.client.ZRangeByScore(ctx, set, &redis.ZRangeBy{Min: "(" + strconv.FormatInt(now.UnixMilli(), 10), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: denials: %w", err)
	}
	list := make([]relay.DenialKey, len(names))
	for i, name := range names {
		list[i] = relay.DenialKey(name)
	}
	slices.Sort(list)
	return list, nil
}

// applyDenials brings every standing denial to the server behind cn. In a Cluster
// the tenants of other nodes are left to connections to those. A denial that was
// undone while this ran may come back: it is refused too long rather than too
// little, and allowing it again helps.
func (t *trust) applyDenials(ctx context.Context, cn *redis.Conn) error {
	if t.denials == nil {
		return nil
	}
	now := t.clock.Now()
	standing, err := t.denials.Standing(ctx, now)
	if err != nil {
		return err
	}
	for _, one := range standing {
		err := deny(ctx, cn, one, now)
		if _, moved := redis.IsMovedError(err); err != nil && !moved {
			return err
		}
	}
	return nil
}
