package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// Leases are the relay.Leases on Redis: of each tenant a sorted set of its living
// nodes by the end of their lives, a hash of what they are, and a hash of who holds
// which topic. The clock is Redis' own, and they work on a full server: streams are
// not to end because somebody else has filled it.
type Leases struct{ db *DB }

var _ relay.Leases = (*Leases)(nil)

// NewLeases returns the leases of a Redis.
func NewLeases(db *DB) *Leases { return &Leases{db} }

func (k keys) relays() []string {
	return []string{k.prefix + "relay:lives", k.prefix + "relay:nodes", k.prefix + "relay:topics"}
}

const (
	leaseHead = `#!lua flags=allow-oom
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function lives(id)
  local ends = redis.call('ZSCORE', KEYS[1], id)
  return ends and tonumber(ends) > now
end
`
	// forgetAfter is how long a node that died is remembered, in milliseconds.
	forgetAfter = "60000"
)

var (
	// beatScript: ARGV id, life in milliseconds, node as JSON, topics…
	beatScript = redis.NewScript(leaseHead + `
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ` + forgetAfter + `)) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
local lost = {}
for i = 4, #ARGV do
  local holder = redis.call('HGET', KEYS[3], ARGV[i])
  if holder and holder ~= ARGV[1] and lives(holder) then
    lost[#lost + 1] = ARGV[i]
  elseif holder ~= ARGV[1] then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[1])
  end
end
return lost
`)
	// holdScript: ARGV topic, candidates…; the answer is the node as JSON and what is
	// left of its life, or nothing.
	holdScript = redis.NewScript(leaseHead + `
local function told(id) return {redis.call('HGET', KEYS[2], id), tostring(redis.call('ZSCORE', KEYS[1], id) - now)} end
local holder = redis.call('HGET', KEYS[3], ARGV[1])
if holder and lives(holder) then return told(holder) end
for i = 2, #ARGV do
  if lives(ARGV[i]) then
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[i])
    return told(ARGV[i])
  end
end
return {}
`)
	// freeScript: ARGV id, topics…
	freeScript = redis.NewScript(leaseHead + `
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[3], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[3], ARGV[i]) end
end
return 'ok'
`)
	// leaveScript: ARGV id.
	leaveScript = redis.NewScript(leaseHead + `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 'ok'
`)
	// nodesScript returns the nodes as JSON.
	nodesScript = redis.NewScript(leaseHead + `
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  found[#found + 1] = redis.call('HGET', KEYS[2], id)
end
return found
`)
)

// storedNode is a node as it stands in the hash.
type storedNode struct {
	ID   string `json:"id"`
	URL  string `json:"url"`
	Life int64  `json:"life"` // ms
}

func parseNode(text string) (relay.Node, error) {
	var n storedNode
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return relay.Node{}, fmt.Errorf("redis: leases: a node that cannot be read: %w", err)
	}
	return relay.Node{ID: n.ID, URL: n.URL, Life: time.Duration(n.Life) * time.Millisecond}, nil
}

// topicBatch bounds the arguments of one script.
const topicBatch = 1000

// Beat implements relay.Leases. More topics than one script takes are told in
// several, each of which is a beat.
func (l *Leases) Beat(ctx context.Context, tenant lodge.Tenant, node relay.Node, topics []string) ([]string, error) {
	body, err := json.Marshal(storedNode{node.ID, node.URL, node.Life.Milliseconds()})
	if err != nil {
		return nil, fmt.Errorf("redis: beat: %w", err)
	}
	var lost []string
	for first := true; first || len(topics) > 0; first = false {
		n := min(len(topics), topicBatch)
		args := []any{node.ID, node.Life.Milliseconds(), body}
		for _, topic := range topics[:n] {
			args = append(args, topic)
		}
		topics = topics[n:]
		some, err := beatScript.Run(ctx, l.db.client, keysOf(tenant).relays(), args...).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("redis: beat: %w", err)
		}
		lost = append(lost, some...)
	}
	return lost, nil
}

// Hold implements relay.Leases.
func (l *Leases) Hold(ctx context.Context, tenant lodge.Tenant, topic string, candidates []string) (relay.Holding, error) {
	args := []any{topic}
	for _, id := range candidates {
		args = append(args, id)
	}
	told, err := holdScript.Run(ctx, l.db.client, keysOf(tenant).relays(), args...).StringSlice()
	switch {
	case err != nil:
		return relay.Holding{}, fmt.Errorf("redis: hold: %w", err)
	case len(told) == 0:
		return relay.Holding{}, relay.ErrNobody
	case len(told) != 2:
		return relay.Holding{}, fmt.Errorf("redis: hold: %d answers", len(told))
	}
	node, err := parseNode(told[0])
	if err != nil {
		return relay.Holding{}, err
	}
	left, err := strconv.ParseFloat(told[1], 64)
	if err != nil {
		return relay.Holding{}, fmt.Errorf("redis: hold: %w", err)
	}
	return relay.Holding{Node: node, Left: time.Duration(left) * time.Millisecond}, nil
}

// Free implements relay.Leases.
func (l *Leases) Free(ctx context.Context, tenant lodge.Tenant, node string, topics []string) error {
	for some := range slices.Chunk(topics, topicBatch) {
		args := []any{node}
		for _, topic := range some {
			args = append(args, topic)
		}
		if err := freeScript.Run(ctx, l.db.client, keysOf(tenant).relays(), args...).Err(); err != nil {
			return fmt.Errorf("redis: free: %w", err)
		}
	}
	return nil
}

// Leave implements relay.Leases.
func (l *Leases) Leave(ctx context.Context, tenant lodge.Tenant, node string) error {
	if err := leaveScript.Run(ctx, l.db.client, keysOf(tenant).relays(), node).Err(); err != nil {
		return fmt.Errorf("redis: leave: %w", err)
	}
	return nil
}

// Nodes implements relay.Leases.
func (l *Leases) Nodes(ctx context.Context, tenant lodge.Tenant) ([]relay.Node, error) {
	found, err := nodesScript.Run(ctx, l.db.client, keysOf(tenant).relays()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: nodes: %w", err)
	}
	nodes := make([]relay.Node, 0, len(found))
	for _, text := range found {
		node, err := parseNode(text)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b relay.Node) int { return strings.Compare(a.ID, b.ID) })
	return nodes, nil
}
