package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// capTries bounds how often a capped create is decided anew because others of
// the same person came first; of those that race, one wins each round.
const capTries = 256

// count is a number that grows with each capped create of a person: what was
// decided on an older one is decided again.
func (k keys) count(person lodge.PersonID) string { return k.prefix + "count:" + string(person) }

// createCappedScript: KEYS record, ends, count, the records that have to go…,
// indexes…; ARGV record, id, end, expected count, life of the count in
// milliseconds, how many have to go, and for each of them its new record, id,
// end and expected version as in the header.
var createCappedScript = redis.NewScript(header(`
local stored = redis.call('GET', KEYS[1])
if stored then
  if stored == ARGV[1] then return 'ok' end
  return 'exists'
end
if (redis.call('GET', KEYS[3]) or '0') ~= ARGV[4] then return 'stale' end
local going = tonumber(ARGV[6])
for i = 1, going do
  local head = redis.call('GETRANGE', KEYS[3 + i], 0, HEADER - 1)
  if #head < HEADER or string.sub(head, VERSION, HEADER) ~= ARGV[6 + 4 * i] then return 'stale' end
end
for i = 1, going do
  local at = 3 + 4 * i
  redis.call('SET', KEYS[3 + i], ARGV[at])
  redis.call('ZADD', KEYS[2], ARGV[at + 2], ARGV[at + 1])
end
redis.call('INCR', KEYS[3])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
for i = 4 + going, #KEYS do redis.call('ZADD', KEYS[i], 0, ARGV[2]) end
return 'ok'
`))

// CreateCapped implements sessions.Store. Which sessions have to go is decided
// here, from what the person has; the script carries it out if neither the
// person's logins nor those sessions have changed since.
func (st *Sessions) CreateCapped(ctx context.Context, s sessions.Session, c sessions.Cap) ([]sessions.Session, error) {
	if err := st.db.client.SAdd(ctx, tenantsKey, string(s.Tenant)).Err(); err != nil {
		return nil, fmt.Errorf("redis: create session: %w", err)
	}
	for range capTries {
		ended, err := st.createCapped(ctx, s, c)
		if !errors.Is(err, sessions.ErrStale) {
			return ended, err
		}
	}
	return nil, fmt.Errorf("redis: create session: %w", sessions.ErrStale)
}

func (st *Sessions) createCapped(ctx context.Context, s sessions.Session, c sessions.Cap) ([]sessions.Session, error) {
	k := keysOf(s.Tenant)
	count, err := st.db.client.Get(ctx, k.count(s.Person)).Result()
	if errors.Is(err, redis.Nil) {
		count, err = "0", nil
	}
	if err != nil {
		return nil, fmt.Errorf("redis: create session: %w", err)
	}
	list, err := st.List(ctx, s.Tenant, sessions.Filter{Person: s.Person, Kind: s.Kind})
	if err != nil {
		return nil, err
	}
	ended := c.Surplus(list)
	life := s.End().Sub(c.At)
	names := []string{k.session(s.ID), k.ends(), k.count(s.Person)}
	args := []any{sessions.AppendRecord(nil, &s), string(s.ID), s.End().UnixMilli(), count, max(1, life.Milliseconds()), len(ended)}
	for i := range ended {
		e := &ended[i]
		expected := version(e.Version)
		c.Revoke(e)
		e.Version++
		names = append(names, k.session(e.ID))
		args = append(args, sessions.AppendRecord(nil, e), string(e.ID), e.End().UnixMilli(), expected)
	}
	said, err := createCappedScript.Run(ctx, st.db.client, append(names, k.indexes(&s)...), args...).Text()
	if err := answer("create session", said, err); err != nil {
		return nil, err
	}
	return ended, nil
}
