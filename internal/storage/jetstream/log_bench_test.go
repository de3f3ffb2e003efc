package jetstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// benchCallers is how many callers append at the same time, one message a call.
const benchCallers = 64

// benchBody is about what a sealed notice has.
var benchBody = make([]byte, 256)

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

// syncs are the settings measured: the one the log insists on, and JetStream's own.
var syncs = map[string]natstest.Options{"always": {}, "lazy": {Lazy: true}}

func BenchmarkLogAppend(b *testing.B) {
	for sync, opts := range syncs {
		for _, topics := range []int{1, benchCallers} {
			b.Run(fmt.Sprintf("%s/topics=%d", sync, topics), func(b *testing.B) {
				server := natstest.Start(b, opts)
				log := openLog(b, Config{URLs: []string{server.URL()}, SyncVouched: true})
				inParallel(b, benchCallers, func(c, i int) error {
					m := messaging.Msg{ID: fmt.Sprint("message-", i), Body: benchBody}
					_, err := log.Append(context.Background(), messaging.Topic(fmt.Sprint("topic", c%topics)), []messaging.Msg{m}, nil)
					return err
				})
			})
		}
	}
}

// BenchmarkLogLimit is what bare asynchronous publishing of the same bodies costs,
// on one stream and on as many as the log has.
func BenchmarkLogLimit(b *testing.B) {
	for sync, opts := range syncs {
		for _, streams := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/streams=%d", sync, streams), func(b *testing.B) {
				conn, err := nats.Connect(natstest.Start(b, opts).URL())
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(benchCallers))
				if err != nil {
					b.Fatal(err)
				}
				for n := range streams {
					if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: fmt.Sprint("bare", n), Subjects: []string{fmt.Sprintf("bare.%d.*", n)}}); err != nil {
						b.Fatal(err)
					}
				}
				b.ResetTimer()
				for i := range b.N {
					if _, err := js.PublishAsync(fmt.Sprintf("bare.%d.%d", i%streams, i%benchCallers), benchBody, jetstream.WithStallWait(time.Minute)); err != nil {
						b.Fatal(err)
					}
				}
				<-js.PublishAsyncComplete()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}

// benchTopic fills a topic with n entries in batches and returns their positions.
func benchTopic(b *testing.B, log *Log, name messaging.Topic, n, batch int) []messaging.Pos {
	b.Helper()
	at := make([]messaging.Pos, 0, n)
	for len(at) < n {
		msgs := make([]messaging.Msg, min(batch, n-len(at)))
		for i := range msgs {
			msgs[i] = messaging.Msg{ID: fmt.Sprint("message-", len(at)+i), Body: benchBody}
		}
		added, err := log.Append(b.Context(), name, msgs, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range added {
			at = append(at, a.Pos)
		}
	}
	return at
}

func BenchmarkLogRead(b *testing.B) {
	log := openLog(b, configFor(natstest.Start(b, natstest.Options{})))
	const n = 10_000
	at := benchTopic(b, log, "topic", n, 10)
	for _, limit := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("limit=", limit), func(b *testing.B) {
			for i := range b.N {
				page, err := log.Read(b.Context(), "topic", at[i*limit%(n-limit)], limit)
				if err != nil || len(page.Entries) != limit {
					b.Fatal(len(page.Entries), err)
				}
			}
			b.ReportMetric(float64(b.N*limit)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkLogHeads(b *testing.B) {
	log := openLog(b, configFor(natstest.Start(b, natstest.Options{})))
	names := make([]messaging.Topic, 1000)
	for i := range names {
		names[i] = messaging.Topic(fmt.Sprint("topic", i))
		benchTopic(b, log, names[i], 1, 1)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := log.Heads(b.Context(), names); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLogFirstUse is what a fresh node's first call on a long topic costs, with
// its marks and from its records alone: reading on near the head needs the newest
// mark, appending needs all.
func BenchmarkLogFirstUse(b *testing.B) {
	const n = 100_000
	calls := map[string]func(log *Log, last messaging.Pos, i int) error{
		"read": func(log *Log, last messaging.Pos, _ int) error {
			_, err := log.Read(context.Background(), "topic", last, 10)
			return err
		},
		"append": func(log *Log, _ messaging.Pos, i int) error {
			_, err := log.Append(context.Background(), "topic", []messaging.Msg{{ID: fmt.Sprint("first of ", i), Body: benchBody}}, nil)
			return err
		},
	}
	for _, batch := range []int{1, 10} {
		config := Config{URLs: []string{natstest.Start(b, natstest.Options{Lazy: true}).URL()}, SyncVouched: true}
		at := benchTopic(b, openLog(b, config), "topic", n, batch)
		for what, call := range calls {
			for _, marks := range []bool{true, false} {
				b.Run(fmt.Sprintf("entries-a-record=%d/marks=%t/%s", batch, marks, what), func(b *testing.B) {
					for i := range b.N {
						b.StopTimer()
						log := openLog(b, config)
						topic := log.use("topic")
						topic.distrusts = !marks
						topic.marking = true // nothing else is to be measured
						b.StartTimer()
						if err := call(log, at[n-1], i); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func BenchmarkLogStart(b *testing.B) {
	config := Config{URLs: []string{natstest.Start(b, natstest.Options{Lazy: true}).URL()}, SyncVouched: true}
	messagingtest.BenchStart(b, func() (messaging.Log, func()) {
		log, err := NewLog(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		return log, func() { closeLog(b, log) }
	})
}
