package jetstream

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openLog opens a log that is closed with the test.
func openLog(t testing.TB, c Config) *Log {
	t.Helper()
	log, err := NewLog(context.Background(), c)
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

func configFor(s *natstest.Server) Config {
	return Config{URLs: []string{s.URL()}, Monitors: []string{s.Monitor()}}
}

// openEmpty opens a log whose streams have nothing of the tests before.
func openEmpty(t *testing.T, c Config) *Log {
	t.Helper()
	log := openLog(t, c)
	for n := range log.conf.Streams {
		stream, err := log.js.Stream(t.Context(), log.streamName(n))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// A restart is a new log on a server that was killed: what it acknowledged is on
// its disk.
func TestLog(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	config := configFor(server)
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log { return openEmpty(t, config) },
		Reopen: func(t *testing.T, log messaging.Log) messaging.Log {
			closeLog(t, log)
			server.Kill9()
			server.Restart()
			return openLog(t, config)
		},
		Join:     func(t *testing.T, _ messaging.Log) messaging.Log { return openLog(t, config) },
		LoseTail: loseTail,
		OpenVia: func(t *testing.T) (messaging.Log, messagingtest.Network) {
			closeLog(t, openEmpty(t, config))
			proxy := faultproxy.Start(t, server.Addr())
			c := config
			c.URLs = []string{"nats://" + proxy.Addr()}
			return openLog(t, c), proxy
		},
	})
}

// loseTail makes of a topic what a copy of its stream has that is older: here in
// records cut short, as no copy has them, so that the loss is where it is asked for.
func loseTail(t *testing.T, log messaging.Log, name messaging.Topic, last messaging.Pos) messaging.Log {
	t.Helper()
	l := log.(*Log)
	ctx := t.Context()
	at := l.use(name)
	defer l.done(at)
	var kept []*record
	newest, _, err := l.newest(ctx, at.shard, l.subjectOf(at, kindLog))
	if err != nil {
		t.Fatal(err)
	}
	missing, err := l.records(ctx, at, 0, newest.seq, func(r *record, _ uint64) bool {
		if r.does == doesAdd && r.head.seq > last.Seq {
			n := last.Seq - min(r.prev.seq, last.Seq)
			size := 0
			for _, e := range r.index[:n] {
				size += e.size
			}
			r.index, r.pieces.inline, r.head = r.index[:n], r.pieces.inline[:size], placeOf(last)
		}
		if r.does == doesDiscard {
			r.prev, r.head = placeOf(last), placeOf(last)
		}
		if r.does != doesAdd || len(r.index) > 0 {
			kept = append(kept, r)
		}
		return true
	})
	if err != nil || missing {
		t.Fatal("the records are not there: ", err)
	}
	if err := l.purge(ctx, at.shard, l.subjectOf(at, kindLog), newest.seq+1); err != nil {
		t.Fatal(err)
	}
	for _, r := range kept {
		if _, err := l.publish(ctx, l.subjectOf(at, kindLog), nil, false, r.encode()); err != nil {
			t.Fatal(err)
		}
	}
	return log
}
