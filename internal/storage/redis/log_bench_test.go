package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// benchCallers is how many callers append at the same time, one message a call.
const benchCallers = 64

// benchBody is about what a sealed notice has.
var benchBody = make([]byte, 256)

func benchServer(b *testing.B, fsync string) *redistest.Server {
	b.Helper()
	return redistest.Start(b, "--appendonly", "yes", "--appendfsync", fsync)
}

// inParallel runs b.N calls on a number of callers.
func inParallel(b *testing.B, callers int, call func(caller, i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := call(c, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkLogAppend(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		for _, topics := range []int{1, benchCallers} {
			b.Run(fmt.Sprintf("%s/topics=%d", fsync, topics), func(b *testing.B) {
				log := openLog(b, Config{Addrs: []string{benchServer(b, fsync).Addr()}}, LogOptions{})
				inParallel(b, benchCallers, func(c, i int) error {
					m := messaging.Msg{ID: fmt.Sprint("message-", i), Body: benchBody}
					_, err := log.Append(context.Background(), messaging.Topic(fmt.Sprint("topic", c%topics)), []messaging.Msg{m}, nil)
					return err
				})
			})
		}
	}
}

// BenchmarkLogLimit is what bare XADDs cost in as many pipelines, of as many
// commands, as the log has on their way.
func BenchmarkLogLimit(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		b.Run(fsync, func(b *testing.B) {
			client := redis.NewClient(&redis.Options{Addr: benchServer(b, fsync).Addr()})
			defer func() { _ = client.Close() }() // with its server
			const each = benchCallers / logFlights
			inParallel(b, logFlights, func(_, i int) error {
				if i%each != 0 {
					return nil // goes with the next that is
				}
				_, err := client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
					for range each {
						p.XAdd(context.Background(), &redis.XAddArgs{Stream: "topic", Values: []any{"i", "message", "t", "12345678", "b", benchBody}})
					}
					return nil
				})
				return err
			})
		})
	}
}

func BenchmarkLogRead(b *testing.B) {
	log := openLog(b, Config{Addrs: []string{benchServer(b, "everysec").Addr()}}, LogOptions{})
	const n = 10_000
	batch := make([]messaging.Msg, n)
	for i := range batch {
		batch[i] = messaging.Msg{ID: fmt.Sprint("message-", i), Body: benchBody}
	}
	added, err := log.Append(b.Context(), "topic", batch, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, limit := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("limit=", limit), func(b *testing.B) {
			for i := range b.N {
				page, err := log.Read(b.Context(), "topic", added[i*limit%(n-limit)].Pos, limit)
				if err != nil || len(page.Entries) != limit {
					b.Fatal(len(page.Entries), err)
				}
			}
			b.ReportMetric(float64(b.N*limit)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkLogHeads(b *testing.B) {
	log := openLog(b, Config{Addrs: []string{benchServer(b, "everysec").Addr()}}, LogOptions{})
	names := make([]messaging.Topic, 1000)
	for i := range names {
		names[i] = messaging.Topic(fmt.Sprint("topic", i))
		logAdd(b, log, names[i], "m")
	}
	b.ResetTimer()
	for range b.N {
		if _, err := log.Heads(b.Context(), names); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTopicsAppend(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		b.Run(fsync, func(b *testing.B) {
			messagingtest.BenchTopicsAppend(b, func(b *testing.B) messaging.Log {
				return openLog(b, Config{Addrs: []string{benchServer(b, fsync).Addr()}}, LogOptions{})
			})
		})
	}
}

func BenchmarkLogStart(b *testing.B) {
	config := Config{Addrs: []string{benchServer(b, "everysec").Addr()}}
	messagingtest.BenchStart(b, func() (messaging.Log, func()) {
		log, err := NewLog(b.Context(), config, LogOptions{})
		if err != nil {
			b.Fatal(err)
		}
		return log, func() {
			if err := log.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}
