package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// openLog opens a log that is closed with the test.
func openLog(t testing.TB, c Config, o LogOptions) *Log {
	t.Helper()
	log, err := NewLog(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, log) })
	return log
}

func closeLog(t testing.TB, log messaging.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// startDurable runs a server that loses nothing when it is killed.
func startDurable(t testing.TB) *redistest.Server {
	t.Helper()
	return redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// flush empties servers.
func flush(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, s := range servers {
		s.Ask("FLUSHALL")
	}
}

// A restart is a new log on a server that was killed: what it acknowledged is in
// its append-only file.
func TestLog(t *testing.T) {
	server := startDurable(t)
	config := Config{Addrs: []string{server.Addr()}}
	fresh := func(t *testing.T) messaging.Log {
		flush(t, server)
		return openLog(t, config, LogOptions{})
	}
	messagingtest.Run(t, messagingtest.Harness{
		Open: fresh,
		Reopen: func(t *testing.T, log messaging.Log) messaging.Log {
			closeLog(t, log)
			server.Kill()
			server.Restart()
			return openLog(t, config, LogOptions{})
		},
		Join:     func(t *testing.T, _ messaging.Log) messaging.Log { return openLog(t, config, LogOptions{}) },
		LoseTail: loseTail,
		OpenVia: func(t *testing.T) (messaging.Log, messagingtest.Network) {
			flush(t, server)
			proxy := faultproxy.Start(t, server.Addr())
			return openLog(t, Config{Addrs: []string{proxy.Addr()}}, LogOptions{}), proxy
		},
	})
}

// Every append waits for one of the two replicas.
func TestLogBySentinel(t *testing.T) {
	f := redistest.StartSentinel(t, 3)
	config := bySentinel(t, f, nil)
	open := func(t *testing.T) messaging.Log { return openLog(t, config, LogOptions{MinReplicas: 1}) }
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log {
			flush(t, f.Master())
			return open(t)
		},
		Join:     func(t *testing.T, _ messaging.Log) messaging.Log { return open(t) },
		LoseTail: loseTail,
	})
	t.Run("a failover loses its tail and says so", func(t *testing.T) { logFailsOver(t, f, config) })
}

func TestLogOnACluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	config := Config{Addrs: []string{nodes[0].Addr()}, Cluster: true}
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log {
			flush(t, nodes...)
			return openLog(t, config, LogOptions{})
		},
		Join:     func(t *testing.T, _ messaging.Log) messaging.Log { return openLog(t, config, LogOptions{}) },
		LoseTail: loseTail,
	})
	t.Run("a slot that moves takes its topics along", func(t *testing.T) { logSlotMoves(t, config, nodes) })
}

// loseTail makes of a topic what a replica has of it that lags.
func loseTail(t *testing.T, log messaging.Log, name messaging.Topic, last messaging.Pos) messaging.Log {
	t.Helper()
	client := log.(*Log).client
	ctx := t.Context()
	meta, err := client.Get(ctx, logKey(name, logMeta)).Result()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := client.XRange(ctx, logKey(name, logEntries), "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, logKeys(name, logEntries, logIDs)...)
		for _, e := range entries {
			seq, at := entryPlace(t, e)
			if seq > last.Seq {
				continue
			}
			p.XAdd(ctx, &redis.XAddArgs{Stream: logKey(name, logEntries), ID: e.ID, Values: []any{"i", e.Values["i"], "t", e.Values["t"], "b", e.Values["b"]}})
			p.HSet(ctx, logKey(name, logIDs), e.Values["i"], at)
		}
		p.Set(ctx, logKey(name, logMeta), logPosBytes(last)+meta[logPosSize:], 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// entryPlace returns the sequence number of an entry in its stream, and sequence
// and tag as the hash of IDs has them.
func entryPlace(t *testing.T, e redis.XMessage) (uint64, string) {
	t.Helper()
	tag, _ := e.Values["t"].(string)
	page, err := pageOf([]any{logOK, "", int64(0), e.ID, "", tag, ""})
	if err != nil {
		t.Fatal(err)
	}
	pos := page.Entries[0].Pos
	return pos.Seq, logPosBytes(pos)[8:]
}

// entryID returns the id that an entry has in its stream.
func entryID(seq uint64) string { return fmt.Sprintf("%d-0", seq) }

func isLost(err error) bool {
	_, ok := errors.AsType[*messaging.PosLostError](err)
	return ok
}
