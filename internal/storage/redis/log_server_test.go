package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/messaging"
)

// A server is asked to be one that keeps what it has.
func TestLogRefusesServersThatForget(t *testing.T) {
	master := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	host, port, err := net.SplitHostPort(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	for _, tt := range []struct {
		server *redistest.Server
		says   string
	}{{master, "noeviction"}, {replica, "replica"}} {
		log, err := NewLog(t.Context(), Config{Addrs: []string{tt.server.Addr()}}, LogOptions{})
		if err == nil {
			closeLog(t, log)
			t.Errorf("a log is opened on a server of which it should say %q", tt.says)
		} else if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("refused with %q, which does not say %q", err, tt.says)
		}
	}
	master.Ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
	log := openLog(t, Config{Addrs: []string{master.Addr()}}, LogOptions{})
	logAdd(t, log, "topic", "m")

	dead := redistest.Start(t)
	dead.Kill()
	if log, err := NewLog(t.Context(), Config{Addrs: []string{dead.Addr()}}, LogOptions{}); err == nil {
		closeLog(t, log)
		t.Error("a log is opened where there is no server")
	}
}

// What the server refuses is not done, and said to be not done.
func TestLogSaysWhatWasRefused(t *testing.T) {
	server := startDurable(t)
	log := openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{})
	ctx := t.Context()
	first := logAdd(t, log, "topic", "first")
	for _, tt := range []struct {
		name      string
		from, to  []string
		discardOK bool // what frees memory goes on
	}{
		{"full", []string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}, true},
		{"without replicas", []string{"CONFIG", "SET", "min-replicas-to-write", "1"}, []string{"CONFIG", "SET", "min-replicas-to-write", "0"}, false},
		{"a replica", []string{"REPLICAOF", "127.0.0.1", "1"}, []string{"REPLICAOF", "NO", "ONE"}, false},
	} {
		server.Ask(tt.from...)
		_, err := log.Append(ctx, "topic", []messaging.Msg{logMsg("more"), logMsg("and more")}, nil)
		if !errors.Is(err, messaging.ErrUnavailable) || errors.Is(err, messaging.ErrUncertain) {
			t.Errorf("%s: append: %v, want ErrUnavailable", tt.name, err)
		}
		if _, err := log.SaveSnapshot(ctx, "topic", 0, messaging.Snapshot{At: first, Data: []byte("x")}); !errors.Is(err, messaging.ErrUnavailable) {
			t.Errorf("%s: save: %v, want ErrUnavailable", tt.name, err)
		}
		if err := log.Discard(ctx, "topic", first); tt.discardOK != (err == nil) {
			t.Errorf("%s: discard: %v", tt.name, err)
		}
		server.Ask(tt.to...)
		eventually(t, func() error {
			p, err := log.Read(ctx, "topic", first, 10)
			if err == nil && len(p.Entries) != 0 {
				t.Fatalf("%s: what was refused is there: %+v", tt.name, p.Entries)
			}
			return err
		})
	}
	if pos := logAdd(t, log, "topic", "second"); pos.Seq != 2 || pos.Epoch != first.Epoch {
		t.Errorf("after the refusals the next is at %+v", pos)
	}
}

// Nothing on a server is taken for granted that its operator can take away.
func TestLogOnAnEmptiedServer(t *testing.T) {
	server := startDurable(t)
	log := openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{})
	old := logAdd(t, log, "topic", "m")
	server.Ask("SCRIPT", "FLUSH")
	if pos := logAdd(t, log, "topic", "m2"); pos.Seq != 2 {
		t.Fatalf("without its scripts the server puts the second at %+v", pos)
	}
	server.Ask("SCRIPT", "FLUSH")
	if _, err := log.Read(t.Context(), "topic", old, 10); err != nil {
		t.Fatal(err)
	}
	flush(t, server)
	if pos := logAdd(t, log, "topic", "m"); pos.Seq != 1 || pos.Epoch == old.Epoch {
		t.Fatalf("on an emptied server the first is at %+v, and was at %+v", pos, old)
	}
	if _, err := log.Read(t.Context(), "topic", old, 10); !isLost(err) {
		t.Fatalf("a position of before: %v, want *PosLostError", err)
	}
}

// Those who write at the same time share round trips, and scripts are sent once,
// not each time.
func TestLogSharesRoundTrips(t *testing.T) {
	server := startDurable(t)
	log := openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{})
	var wg sync.WaitGroup
	for c := range 32 {
		wg.Go(func() {
			for i := range 20 {
				if _, err := log.Append(t.Context(), "topic", []messaging.Msg{logMsg(fmt.Sprint(c, "-", i))}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stats := server.Ask("INFO", "commandstats")
	if !strings.Contains(stats, "cmdstat_evalsha:calls=640,") || logInfo(stats, "cmdstat_eval") != "" {
		t.Errorf("640 appends by name, and none in full, are asked of the server:\n%s", stats)
	}
	conns, err := strconv.Atoi(logInfo(server.Ask("INFO", "clients"), "connected_clients"))
	if err != nil || conns > 12 {
		t.Errorf("32 writers use %d connections, %v", conns, err)
	}
}

// A caller who gives up before the call has left has done nothing, and who gives
// up later is told so.
func TestLogGivesUp(t *testing.T) {
	l := &Log{lanes: map[*redis.Client]*logLane{}}
	node := redis.NewClient(&redis.Options{})
	defer func() { _ = node.Close() }() // it was never used
	lane := &logLane{flying: logFlights}
	l.lanes[node] = lane
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.send(ctx, node, &logCall{done: make(chan struct{})}); !errors.Is(err, context.Canceled) || errors.Is(err, messaging.ErrUncertain) || len(lane.queue) != 0 {
		t.Errorf("given up in the queue: %v, %d are in it", err, len(lane.queue))
	}
	gone := &logCall{done: make(chan struct{}), taken: true}
	if err := l.send(ctx, node, gone); !errors.Is(err, messaging.ErrUncertain) || errors.Is(err, context.Canceled) {
		t.Errorf("given up under way: %v", err)
	}
}

func TestLogErrorsOfWrites(t *testing.T) {
	l := &Log{calls: messaging.NewCalls()}
	for _, tt := range []struct{ err, want error }{
		{redisError("OOM command not allowed when used memory > 'maxmemory'."), messaging.ErrUnavailable},
		{redisError("NOREPLICAS Not enough good replicas to write."), messaging.ErrUnavailable},
		{redisError("READONLY You can't write against a read only replica."), messaging.ErrUnavailable},
		{redisError("LOADING Redis is loading the dataset in memory"), messaging.ErrUnavailable},
		{redisError("MASTERDOWN Link with MASTER is down"), messaging.ErrUnavailable},
		{redisError("CLUSTERDOWN The cluster is down"), messaging.ErrUnavailable},
		{redisError("ERR The ID specified in XADD is equal or smaller"), messaging.ErrUncertain},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, messaging.ErrUnavailable},
		{fmt.Errorf("%w: a replica", errLogUnsent), messaging.ErrUnavailable},
		{redis.ErrPoolTimeout, messaging.ErrUnavailable},
		{&net.OpError{Op: "read", Err: context.DeadlineExceeded}, messaging.ErrUncertain},
		{io.EOF, messaging.ErrUncertain},
	} {
		err := l.failed(tt.err)
		if !errors.Is(err, tt.want) || errors.Is(err, messaging.ErrUncertain) && errors.Is(err, messaging.ErrUnavailable) {
			t.Errorf("%v becomes %v, want %v", tt.err, err, tt.want)
		}
	}
}

// redisError is what a server says.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// Whoever may publish may send anything.
func FuzzLogHints(f *testing.F) {
	f.Add("")
	f.Add(packHints("node", nil))
	f.Add(packHints("node", []messaging.Topic{"", "a", "b\x00\xff"}))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x")
	f.Fuzz(func(t *testing.T, text string) {
		node, names := unpackHints(text)
		again, same := unpackHints(packHints(node, names))
		if node != again || !slices.Equal(names, same) {
			t.Errorf("%q and %q become %q and %q", node, names, again, same)
		}
	})
}

// What somebody deletes or breaks on the server shows as what it is, and keeps no
// reader turning on the spot.
func TestLogWithEntriesTakenAway(t *testing.T) {
	server := startDurable(t)
	log := openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{})
	var at []messaging.Pos
	for i := range 4 {
		at = append(at, logAdd(t, log, "topic", fmt.Sprint("m", i)))
	}
	server.Ask("XDEL", logKey("topic", logEntries), "2-0", "4-0")
	p, err := log.Read(t.Context(), "topic", messaging.Pos{}, 10)
	if err != nil || len(p.Entries) != 2 || p.Entries[1].Pos != at[2] || p.More || p.Head != at[3] {
		t.Errorf("with two entries taken away: %+v, %v", p, err)
	}
	if _, err := log.Read(t.Context(), "topic", at[1], 10); !isLost(err) {
		t.Errorf("after one that was taken away: %v, want *PosLostError", err)
	}
	server.Ask("SET", logKey("topic", logMeta), "broken")
	if _, err := log.Read(t.Context(), "topic", at[0], 10); !errors.Is(err, messaging.ErrUnavailable) {
		t.Errorf("read of a broken topic: %v, want ErrUnavailable", err)
	}
	if _, err := log.Heads(t.Context(), []messaging.Topic{"topic"}); !errors.Is(err, messaging.ErrUnavailable) {
		t.Errorf("head of a broken topic: %v, want ErrUnavailable", err)
	}
	if err := log.Drop(t.Context(), "topic"); err != nil {
		t.Error(err)
	}
	logAdd(t, log, "topic", "again")
}

// More is discarded than one sweep takes.
func TestLogSweepsInPieces(t *testing.T) {
	server := startDurable(t)
	log := openLog(t, Config{Addrs: []string{server.Addr()}}, LogOptions{})
	batch := make([]messaging.Msg, 5*logSweepRows)
	for i := range batch {
		batch[i] = logMsg(fmt.Sprint("m", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	added, err := log.Append(ctx, "topic", batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Discard(ctx, "topic", added[len(added)-2].Pos); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]int64{logEntries: 1, logIDs: 1} {
		client := rawClient(t, server)
		count := client.XLen
		if part == logIDs {
			count = client.HLen
		}
		if n, err := count(ctx, logKey("topic", part)).Result(); err != nil || n != want {
			t.Errorf("%s has %d left, want %d: %v", part, n, want, err)
		}
	}
}
