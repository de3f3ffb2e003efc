package jetstream

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
)

func BenchmarkLogFirstUseMillion(b *testing.B) {
	config := Config{URLs: []string{natstest.Start(b, natstest.Options{Lazy: true}).URL()}, SyncVouched: true}
	log := openLog(b, config)
	began := time.Now()
	at := benchTopic(b, log, "topic", 1_000_000, 200)
	for marking := true; marking; {
		log.mu.Lock()
		marking = log.topics["topic"].marking
		log.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	b.Log("filled in", time.Since(began))
	for _, what := range []string{"read", "append"} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				log := openLog(b, config)
				log.use("topic").marking = true
				b.StartTimer()
				if what == "read" {
					if _, err := log.Read(b.Context(), "topic", at[len(at)-5], 10); err != nil {
						b.Fatal(err)
					}
				} else if _, err := log.Append(b.Context(), "topic", []messaging.Msg{{ID: "message-7", Body: benchBody}}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
