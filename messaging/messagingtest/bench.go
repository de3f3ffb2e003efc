package messagingtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// BenchCallers is how many callers BenchTopicsAppend has.
const BenchCallers = 64

// BenchTopicsAppend measures publishing as it is done: 64 callers, one message a
// call with an ID of the caller's, sealed and chained by Topics, to one topic and
// to as many topics as there are callers. open gives each a fresh log, which it
// closes with the benchmark.
func BenchTopicsAppend(b *testing.B, open func(b *testing.B) messaging.Log) {
	for _, names := range []int{1, BenchCallers} {
		b.Run(fmt.Sprint("topics=", names), func(b *testing.B) {
			topics, err := messaging.NewTopics(open(b), messaging.Keyring{
				Names:   bytes.Repeat([]byte{1}, 32),
				Seals:   map[string][]byte{"k1": bytes.Repeat([]byte{2}, 32)},
				Current: "k1",
			}, messaging.TopicsOptions{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			body := bytes.Repeat([]byte("notice"), 40)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for caller := range BenchCallers {
				wg.Go(func() {
					name := fmt.Sprint("group:", caller%names)
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						m := messaging.Message{ID: fmt.Sprint("message-", n), Body: body}
						if _, err := topics.Append(context.Background(), "tenant", name, m); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}
