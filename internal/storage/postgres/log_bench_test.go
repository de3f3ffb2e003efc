package postgres

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// benchLog is the log on a server that waits for the disk, as in production.
func benchLog(b *testing.B) *Log {
	b.Helper()
	server := postgrestest.Start(b, postgrestest.Options{Sync: true})
	return openLog(b, server.Database(b))
}

// benchAppend has 64 callers append one message after the other, each to the
// topic that name gives it.
func benchAppend(b *testing.B, name func(caller int) messaging.Topic) {
	log := benchLog(b)
	body := make([]byte, 300)
	var ids atomic.Int64
	b.ResetTimer()
	var wg sync.WaitGroup
	for caller := range 64 {
		wg.Go(func() {
			topic := name(caller)
			for {
				n := ids.Add(1)
				if n > int64(b.N) {
					return
				}
				if _, err := log.Append(b.Context(), topic, []messaging.Msg{{ID: fmt.Sprint("message-", n), Body: body}}, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

func BenchmarkLogAppendOneTopic(b *testing.B) {
	benchAppend(b, func(int) messaging.Topic { return "one" })
}

func BenchmarkLogAppendManyTopics(b *testing.B) {
	benchAppend(b, func(caller int) messaging.Topic { return messaging.Topic(fmt.Sprint("topic", caller)) })
}

// BenchmarkLogRead reads pages of 256 entries from the start of a topic to its
// end, over and over.
func BenchmarkLogRead(b *testing.B) {
	const entries, limit = 10240, 256
	log := benchLog(b)
	for i := 0; i < entries; i += 512 {
		msgs := make([]messaging.Msg, 512)
		for k := range msgs {
			msgs[k] = messaging.Msg{ID: fmt.Sprint(i + k), Body: make([]byte, 300)}
		}
		if _, err := log.Append(b.Context(), "one", msgs, nil); err != nil {
			b.Fatal(err)
		}
	}
	var at messaging.Pos
	read := 0
	b.ResetTimer()
	for range b.N {
		page, err := log.Read(b.Context(), "one", at, limit)
		if err != nil {
			b.Fatal(err)
		}
		read += len(page.Entries)
		at = page.Entries[len(page.Entries)-1].Pos
		if !page.More {
			at = messaging.Pos{}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkTopicsAppend(b *testing.B) {
	messagingtest.BenchTopicsAppend(b, func(b *testing.B) messaging.Log { return benchLog(b) })
}

func BenchmarkLogStart(b *testing.B) {
	url := postgrestest.Start(b, postgrestest.Options{}).Database(b)
	messagingtest.BenchStart(b, func() (messaging.Log, func()) {
		db, err := Open(b.Context(), url, quick())
		if err != nil {
			b.Fatal(err)
		}
		log := NewLog(db)
		return log, func() {
			if err := errors.Join(log.Close(), db.Close()); err != nil {
				b.Error(err)
			}
		}
	})
}
