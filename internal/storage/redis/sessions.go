package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// tenantsKey is the set of tenants that have or had sessions, for Collect.
	tenantsKey = "lodge:tenants"
	// page is how many sessions are read at once where there may be many.
	page = 200
)

// Sessions is the sessions.Store on Redis.
type Sessions struct{ db *DB }

var (
	_ sessions.Store  = (*Sessions)(nil)
	_ sessions.Finder = (*Sessions)(nil)
)

// NewSessions returns the session store of a Redis.
func NewSessions(db *DB) *Sessions { return &Sessions{db} }

// Create implements sessions.Store.
func (st *Sessions) Create(ctx context.Context, s sessions.Session) error {
	// First, and apart, because it is no key of the tenant's: a tenant too many in
	// the set costs nothing, one too few is never collected.
	if err := st.db.client.SAdd(ctx, tenantsKey, string(s.Tenant)).Err(); err != nil {
		return fmt.Errorf("redis: create session: %w", err)
	}
	k := keysOf(s.Tenant)
	said, err := createScript.Run(ctx, st.db.client, append([]string{k.session(s.ID), k.ends()}, k.indexes(&s)...),
		sessions.AppendRecord(nil, &s), string(s.ID), s.End().UnixMilli()).Text()
	return answer("create session", said, err)
}

// Get implements sessions.Store.
func (st *Sessions) Get(ctx context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	if len(ids) != 1 {
		return get(ctx, st.db.client, tenant, ids)
	}
	s, err := st.Find(ctx, tenant, ids[0])
	if s == nil {
		return nil, err
	}
	return map[sessions.ID]sessions.Session{s.ID: *s}, nil
}

// Find implements sessions.Finder. Those who ask at the same time are answered
// from one round trip.
func (st *Sessions) Find(ctx context.Context, tenant lodge.Tenant, id sessions.ID) (*sessions.Session, error) {
	value, err := st.db.join.get(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("redis: get session: %w", err)
	}
	return parse(tenant, id, value)
}

func get(ctx context.Context, c redis.Cmdable, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	found := make(map[sessions.ID]sessions.Session, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	k := keysOf(tenant)
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = k.session(id)
	}
	values, err := c.MGet(ctx, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: get sessions: %w", err)
	}
	for i, value := range values {
		s, err := parse(tenant, ids[i], value)
		if err != nil {
			return nil, err
		}
		if s != nil {
			found[s.ID] = *s
		}
	}
	return found, nil
}

// parse reads the record that a session's key was found to hold; nil when there
// was none.
func parse(tenant lodge.Tenant, id sessions.ID, value any) (*sessions.Session, error) {
	record, there := value.(string)
	if !there {
		return nil, nil //nolint:nilnil // as Find says
	}
	s, err := sessions.ParseRecord(record)
	if err != nil {
		return nil, fmt.Errorf("redis: session %s: %w", id, err)
	}
	// An answer to somebody else's question must never pass for ours.
	if s.Tenant != tenant || s.ID != id {
		return nil, fmt.Errorf("redis: session %s: %w: it belongs elsewhere", id, sessions.ErrRecord)
	}
	return &s, nil
}

// Update implements sessions.Store.
func (st *Sessions) Update(ctx context.Context, s sessions.Session) error {
	return update(ctx, st.db.client, s)
}

func update(ctx context.Context, c redis.Scripter, s sessions.Session) error {
	script := updateScript
	if !s.RevokedAt.IsZero() {
		script = revokeScript
	}
	expected := version(s.Version)
	s.Version++
	k := keysOf(s.Tenant)
	said, err := script.Run(ctx, c, []string{k.session(s.ID), k.ends()},
		sessions.AppendRecord(nil, &s), string(s.ID), s.End().UnixMilli(), expected).Text()
	return answer("update session", said, err)
}

// version returns a version as it stands in a record's header.
func version(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// answer turns what a script said into the store's errors.
func answer(what, said string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("redis: %s: %w", what, err)
	case said == saidOK:
		return nil
	case said == saidExists:
		return sessions.ErrExists
	case said == saidUnknown:
		return sessions.ErrUnknown
	case said == saidStale:
		return sessions.ErrStale
	case said == saidRevoked:
		return sessions.ErrRevoked
	default:
		return fmt.Errorf("redis: %s: unexpected answer", what)
	}
}

// List implements sessions.Store. It walks the narrowest index and looks at the
// rest of the filter on the way.
func (st *Sessions) List(ctx context.Context, tenant lodge.Tenant, f sessions.Filter) ([]sessions.Session, error) {
	index := keysOf(tenant).narrowest(f)
	var list []sessions.Session
	from := "-"
	if f.After != "" {
		from = "(" + string(f.After)
	}
	for {
		names, err := st.db.client.ZRangeByLex(ctx, index, &redis.ZRangeBy{Min: from, Max: "+", Count: page}).Result()
		if err != nil {
			return nil, fmt.Errorf("redis: list sessions: %w", err)
		}
		ids := idsOf(names)
		found, err := st.Get(ctx, tenant, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			s, there := found[id] // else it was collected just now
			if !there || !f.Matches(&s) {
				continue
			}
			list = append(list, s)
			if f.Limit > 0 && len(list) == f.Limit {
				return list, nil
			}
		}
		if len(ids) < page {
			return list, nil
		}
		from = "(" + names[len(names)-1]
	}
}

func idsOf(names []string) []sessions.ID {
	ids := make([]sessions.ID, len(names))
	for i, name := range names {
		ids[i] = sessions.ID(name)
	}
	return ids
}

// Collect implements sessions.Store.
func (st *Sessions) Collect(ctx context.Context, before time.Time) (int, error) {
	tenants, err := st.db.client.SMembers(ctx, tenantsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("redis: collect sessions: %w", err)
	}
	total := 0
	for _, tenant := range tenants {
		n, err := st.collectTenant(ctx, lodge.Tenant(tenant), before)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (st *Sessions) collectTenant(ctx context.Context, tenant lodge.Tenant, before time.Time) (int, error) {
	k := keysOf(tenant)
	total := 0
	// What cannot be removed now (it was changed meanwhile) is skipped, and left to
	// the next time.
	for skipped := 0; ; {
		names, err := st.db.client.ZRangeByScore(ctx, k.ends(), &redis.ZRangeBy{
			Min: "-inf", Max: fmt.Sprintf("(%d", before.UnixMilli()), Offset: int64(skipped), Count: page,
		}).Result()
		if err != nil {
			return total, fmt.Errorf("redis: collect sessions: %w", err)
		}
		found, err := st.Get(ctx, tenant, idsOf(names))
		if err != nil {
			return total, err
		}
		for _, id := range idsOf(names) {
			s, there := found[id]
			if !there || !s.End().Before(before) {
				skipped++
				continue
			}
			n, err := removeScript.Run(ctx, st.db.client, append([]string{k.session(id), k.ends()}, k.indexes(&s)...),
				string(id), version(s.Version)).Int()
			if err != nil {
				return total, fmt.Errorf("redis: collect session: %w", err)
			}
			total += n
			skipped += 1 - n
		}
		if len(names) < page {
			return total, nil
		}
	}
}

// Ping implements sessions.Store.
func (st *Sessions) Ping(ctx context.Context) error { return st.db.Ping(ctx) }

// applyTenant makes the sessions of a tenant what the journal says they are, on
// the server of one connection, and returns how many it had otherwise.
func applyTenant(ctx context.Context, cn *redis.Conn, tenant lodge.Tenant, of map[sessions.ID]sessions.Revocation) (int, error) {
	forgotten := 0
	left := make([]sessions.ID, 0, len(of))
	for id := range of {
		left = append(left, id)
	}
	for len(left) > 0 {
		batch := left[:min(page, len(left))]
		left = left[len(batch):]
		found, err := get(ctx, cn, tenant, batch)
		if err != nil {
			return forgotten, err
		}
		for id, s := range found {
			if !of[id].Apply(&s) {
				continue
			}
			switch err := update(ctx, cn, s); {
			case err == nil:
				forgotten++
			case errors.Is(err, sessions.ErrStale):
				left = append(left, id) // changed just now: look again
			case !errors.Is(err, sessions.ErrUnknown):
				return forgotten, err
			}
		}
	}
	return forgotten, nil
}
