package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// Notes are the relay.Notes on Redis, and its Asks: a question is published, and
// each node puts its answer into a list of that question. Both are gone within
// seconds; a server that has forgotten them costs their reader another try, so
// they alone have a time to live.
type Notes struct{ db *DB }

var (
	_ relay.Notes = (*Notes)(nil)
	_ relay.Asks  = (*Notes)(nil)
)

// NewNotes returns the notes of a Redis.
func NewNotes(db *DB) *Notes { return &Notes{db} }

func (k keys) note(name string) string   { return k.prefix + "relay:note:" + name }
func (k keys) answers(ask string) string { return k.prefix + "relay:answers:" + ask }

// putNoteScript: ARGV body, life in milliseconds. It works on a full server: what
// it puts there is gone at once.
var putNoteScript = redis.NewScript("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")

// Put implements relay.Notes.
func (n *Notes) Put(ctx context.Context, tenant lodge.Tenant, name string, body []byte, life time.Duration) error {
	if err := putNoteScript.Run(ctx, n.db.client, []string{keysOf(tenant).note(name)}, body, life.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("redis: note: %w", err)
	}
	return nil
}

// Take implements relay.Notes.
func (n *Notes) Take(ctx context.Context, tenant lodge.Tenant, name string) ([]byte, error) {
	body, err := n.db.client.GetDel(ctx, keysOf(tenant).note(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redis: note: %w", err)
	}
	return body, nil
}

const (
	askPrefix, askSuffix = "lodge:{", "}:relay:ask"
	// answerEvery is how often it is looked for further answers.
	answerEvery = 10 * time.Millisecond
	// answersLife is how long those are kept that nobody takes.
	answersLife = 10 * time.Second
	// answersAtOnce is how many are taken in one go.
	answersAtOnce = 16
)

// Ask implements relay.Asks.
func (n *Notes) Ask(ctx context.Context, tenant lodge.Tenant, got func(node string, answer []byte) bool) error {
	ask := rand.Text()
	if err := n.db.client.Publish(ctx, askPrefix+string(tenant)+askSuffix, ask).Err(); err != nil {
		return fmt.Errorf("redis: ask: %w", err)
	}
	key := keysOf(tenant).answers(ask)
	tick := time.NewTicker(answerEvery)
	defer tick.Stop()
	for {
		answers, err := n.db.client.LPopCount(ctx, key, answersAtOnce).Result()
		if err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
			return fmt.Errorf("redis: answers: %w", err)
		}
		for _, one := range answers {
			node, answer, _ := strings.Cut(one, "\n")
			if !got(node, []byte(answer)) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Answer implements relay.Asks.
func (n *Notes) Answer(ctx context.Context, node string, fn func(lodge.Tenant) []byte) error {
	return subscribe(ctx, n.db.client, askPrefix+"*"+askSuffix, func() {}, func(channel, ask string) {
		name, ok := strings.CutSuffix(strings.TrimPrefix(channel, askPrefix), askSuffix)
		tenant := lodge.Tenant(name)
		if !ok || tenant == "" {
			return
		}
		key := keysOf(tenant).answers(ask)
		_, err := n.db.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.RPush(ctx, key, node+"\n"+string(fn(tenant)))
			p.PExpire(ctx, key, answersLife)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			n.db.logger.WarnContext(ctx, "redis: question of another node not answered", "err", err)
		}
	})
}
