package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

// logLimits are the bare limits by back end: how many writes of a message's size
// its mechanism takes a second, with nothing of Lodge's around it and as many
// under way as there are callers.
var logLimits = map[string]func(ctx context.Context, b *logBench) (float64, error){
	"memory": mapLimit, "sqlite": fsyncLimit, "redis": xaddLimit, "postgres": insertLimit, "nats": publishLimit,
}

// lanes is how many groups of writes are under way at the servers at a time.
const lanes = 4

// group is how many writes share a way, so that the lanes hold all callers.
func (b *logBench) group() int { return max(1, b.callers/lanes) }

// inLanes repeats write in each lane for the period and returns writes a second.
func (b *logBench) inLanes(count int, write func(lane, n int) error) (float64, error) {
	var done atomic.Int64
	until := time.Now().Add(b.period)
	err := each(lanes, lanes, func(lane int) error {
		for n := 0; time.Now().Before(until); n++ {
			if err := write(lane, n); err != nil {
				return err
			}
			done.Add(int64(count))
		}
		return nil
	})
	return float64(done.Load()) / b.period.Seconds(), err
}

// mapLimit is a copy into a map, under a lock.
func mapLimit(_ context.Context, b *logBench) (float64, error) {
	var mu sync.Mutex
	stored := map[string][]byte{}
	return b.inLanes(1, func(lane, n int) error {
		id := fmt.Sprint("message-", lane, "-", n)
		body := append([]byte(nil), b.body...)
		mu.Lock()
		defer mu.Unlock()
		stored[id] = body
		return nil
	})
}

// pageSize is that of SQLite's pages, as they stand in its write-ahead log.
const pageSize = 4096 + 24

// fsyncLimit appends pages to a file, as many as half the callers' messages fill,
// and waits for the disk: while that half waits, the other gathers.
func fsyncLimit(_ context.Context, b *logBench) (float64, error) {
	file, err := os.Create(filepath.Join(b.dir, "pages"))
	if err != nil {
		return 0, err
	}
	half := max(1, b.callers/2)
	pages := make([]byte, ((half*(len(b.body)+64)+pageSize-1)/pageSize)*pageSize)
	until, done := time.Now().Add(b.period), 0
	for time.Now().Before(until) {
		if _, err = file.Write(pages); err == nil {
			err = file.Sync()
		}
		if err != nil {
			break
		}
		done += half
	}
	return float64(done) / b.period.Seconds(), errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// xaddLimit is pipelined XADD.
func xaddLimit(ctx context.Context, b *logBench) (float64, error) {
	client := redis.NewClient(&redis.Options{Addr: b.redis})
	writes, err := b.inLanes(b.group(), func(int, int) error {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range b.group() {
				p.XAdd(ctx, &redis.XAddArgs{Stream: "bare", Values: []any{"i", "message", "b", b.body}})
			}
			return nil
		})
		return err
	})
	return writes, errors.Join(err, client.Close())
}

// insertLimit inserts rows, those of a lane in one statement and one commit.
func insertLimit(ctx context.Context, b *logBench) (writes float64, err error) {
	conns := make([]*pgx.Conn, lanes)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				err = errors.Join(err, conn.Close(ctx))
			}
		}
	}()
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, b.postgres); err != nil {
			return 0, err
		}
	}
	const table = `CREATE TABLE IF NOT EXISTS lodge_bench (n bigserial PRIMARY KEY, id text NOT NULL, body bytea NOT NULL)`
	if _, err := conns[0].Exec(ctx, table); err != nil {
		return 0, err
	}
	ids, bodies := make([]string, b.group()), make([][]byte, b.group())
	for i := range ids {
		ids[i], bodies[i] = fmt.Sprint("message-", i), b.body
	}
	writes, err = b.inLanes(b.group(), func(lane, _ int) error {
		_, err := conns[lane].Exec(ctx, `INSERT INTO lodge_bench (id, body) SELECT * FROM unnest($1::text[], $2::bytea[])`, ids, bodies)
		return err
	})
	_, dropped := conns[0].Exec(ctx, `DROP TABLE lodge_bench`)
	return writes, errors.Join(err, dropped)
}

// publishLimit publishes without waiting to a stream on disk, then waits for all
// of a lane's.
func publishLimit(ctx context.Context, b *logBench) (float64, error) {
	conn, err := nats.Connect(b.nats)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	const stream = "lodge-bench-bare"
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}}); err != nil {
		return 0, err
	}
	writes, err := b.inLanes(b.group(), func(lane, _ int) error {
		acks := make([]jetstream.PubAckFuture, b.group())
		var err error
		for i := range acks {
			if acks[i], err = js.PublishAsync(fmt.Sprint(stream, ".", lane), b.body); err != nil {
				return err
			}
		}
		for _, ack := range acks {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return writes, errors.Join(err, js.DeleteStream(ctx, stream))
}
