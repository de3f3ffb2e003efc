package redis

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestTamper(t *testing.T) {
	server := startDurable(t)
	messagingtest.Tamper(t, func(t *testing.T) messagingtest.Raw {
		flush(t, server)
		client := rawClient(t, server)
		return messagingtest.Raw{
			Log: openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{}),
			Put: func(t *testing.T, topic messaging.Topic, e messaging.Entry) { replace(t, client, topic, e) },
			Remove: func(t *testing.T, topic messaging.Topic, at messaging.Pos) {
				if n, err := client.XDel(t.Context(), logKey(topic, logEntries), entryID(at.Seq)).Result(); n != 1 || err != nil {
					t.Fatalf("%d entries are removed: %v", n, err)
				}
			},
		}
	})
}

// replace makes a topic's stream anew with an entry where it says it stands: Redis
// changes no entry in place. The head and the memory of IDs fit what is there then,
// as an attacker who knows the layout would leave them.
func replace(t *testing.T, client *redis.Client, topic messaging.Topic, changed messaging.Entry) {
	t.Helper()
	ctx := t.Context()
	meta, err := client.Get(ctx, logKey(topic, logMeta)).Result()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := client.XRange(ctx, logKey(topic, logEntries), "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, logKeys(topic, logEntries, logIDs)...)
		add := func(seq uint64, id, tag, body any) {
			p.XAdd(ctx, &redis.XAddArgs{Stream: logKey(topic, logEntries), ID: entryID(seq), Values: []any{"i", id, "t", tag, "b", body}})
		}
		there := false
		for _, e := range stored {
			seq, at := entryPlace(t, e)
			if there = there || seq == changed.Pos.Seq; seq != changed.Pos.Seq {
				add(seq, e.Values["i"], e.Values["t"], e.Values["b"])
				p.HSet(ctx, logKey(topic, logIDs), e.Values["i"], at)
				continue
			}
			add(seq, changed.ID, string(changed.Pos.Tag[:]), changed.Body)
		}
		at := logPosBytes(changed.Pos)
		if !there {
			add(changed.Pos.Seq, changed.ID, string(changed.Pos.Tag[:]), changed.Body)
		}
		p.HSet(ctx, logKey(topic, logIDs), changed.ID, at[8:])
		if page, err := logBounds(meta); err != nil || page.Head.Seq <= changed.Pos.Seq {
			p.Set(ctx, logKey(topic, logMeta), at+meta[logPosSize:], 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
