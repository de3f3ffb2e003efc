package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
)

func TestNewLogRefuses(t *testing.T) {
	synced, lazy := natstest.Start(t, natstest.Options{}), natstest.Start(t, natstest.Options{Lazy: true})
	for what, c := range map[string]struct {
		conf Config
		says string
	}{
		"a server that does not sync":  {configFor(lazy), "sync_interval: always"},
		"a server nobody vouches for":  {Config{URLs: []string{synced.URL()}}, "is not known"},
		"another server's monitoring":  {Config{URLs: []string{lazy.URL()}, Monitors: []string{synced.Monitor()}}, "not among those"},
		"a monitoring that is silent":  {Config{URLs: []string{synced.URL()}, Monitors: []string{"http://127.0.0.1:1"}}, "monitoring"},
		"too few servers for replicas": {Config{URLs: []string{synced.URL()}, Monitors: []string{synced.Monitor()}, Replicas: 3}, "of all servers"},
		"one server given three times": {Config{URLs: []string{synced.URL()}, Monitors: []string{synced.Monitor(), synced.Monitor(), synced.Monitor()}, Replicas: 3}, "of 1 servers"},
		"a server that is not there":   {Config{URLs: []string{"nats://127.0.0.1:1"}, SyncVouched: true}, "connecting"},
		"no server":                    {Config{}, "no URL"},
		"a prefix with a wildcard":     {Config{URLs: []string{synced.URL()}, Prefix: "a.*"}, "prefix"},
		"no replicas JetStream knows":  {Config{URLs: []string{synced.URL()}, Replicas: 2}, "replicas"},
		"a wrong token":                {Config{URLs: []string{natstest.Start(t, natstest.Options{Settings: []string{`authorization { token: "right" }`}}).URL()}, Token: "wrong", SyncVouched: true}, "uthorization"},
	} {
		log, err := NewLog(t.Context(), c.conf)
		if err == nil {
			closeLog(t, log)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want one that says %q", what, err, c.says)
		}
	}
}

func TestNewLogRefusesStreams(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	log := openLog(t, configFor(server))
	for what, change := range map[string]func(*jetstream.StreamConfig){
		"ages":               func(c *jetstream.StreamConfig) { c.MaxAge = 3600e9 },
		"makes room":         func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"keeps few a topic":  func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 },
		"is of more streams": func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{streamsKey: "9"} },
		"has small messages": func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 },
		"acknowledges early": func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"is in memory":       func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"tells nobody":       func(c *jetstream.StreamConfig) { c.RePublish = nil },
	} {
		c := configFor(server)
		c.Prefix = "other-" + strings.ReplaceAll(what, " ", "-")
		probe := Log{conf: c}
		probe.conf.Streams, probe.conf.Replicas = 1, 1
		has := probe.streamConfig(0)
		change(&has)
		if _, err := log.js.CreateStream(t.Context(), has); err != nil {
			t.Fatalf("a stream that %s: %v", what, err)
		}
		if other, err := NewLog(t.Context(), c); err == nil {
			closeLog(t, other)
			t.Errorf("a stream that %s was taken", what)
		}
	}
}

// TestCredentials also has a user who may do no more than the operators' guide says.
func TestCredentials(t *testing.T) {
	byToken := natstest.Start(t, natstest.Options{Settings: []string{`authorization { token: "sesame" }`}})
	byName := natstest.Start(t, natstest.Options{Settings: []string{`authorization { users: [ { user: "lodge", password: "sesame", permissions: {
		publish: ["lodge.>", "$JS.API.STREAM.*.lodge-0", "$JS.API.STREAM.MSG.*.lodge-0", "$JS.API.DIRECT.GET.lodge-0"]
		subscribe: ["lodge-hint.*", "_INBOX.>"] } } ] }`}})
	for _, c := range []Config{
		{URLs: []string{byToken.URL()}, Token: "sesame", SyncVouched: true},
		{URLs: []string{byName.URL()}, User: "lodge", Password: "sesame", Monitors: []string{byName.Monitor()}, Streams: 1},
	} {
		log := openLog(t, c)
		added, err := log.Append(t.Context(), "topic", []messaging.Msg{{ID: "m", Body: make([]byte, messaging.MaxBody)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Read(t.Context(), "topic", messaging.Pos{}, 1); err != nil {
			t.Error(err)
		}
		if _, err := log.Heads(t.Context(), []messaging.Topic{"topic"}); err != nil {
			t.Error(err)
		}
		if _, err := log.SaveSnapshot(t.Context(), "topic", 0, messaging.Snapshot{At: added[0].Pos}); err != nil {
			t.Error(err)
		}
		if err := errors.Join(log.Discard(t.Context(), "topic", added[0].Pos), log.Drop(t.Context(), "topic")); err != nil {
			t.Error(err)
		}
	}
}

// TestLargeBatch appends what no message takes, and reads parts of it.
func TestLargeBatch(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	log := openLog(t, configFor(server))
	batch := make([]messaging.Msg, 12)
	for i := range batch {
		batch[i] = messaging.Msg{ID: fmt.Sprint("m", i), Body: bytes.Repeat([]byte{byte(i), 1, 2}, 1<<20/3-i)}
	}
	batch[5].Body = nil
	added, err := log.Append(t.Context(), "topic", batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(log *Log, from int) {
		t.Helper()
		page, err := log.Read(t.Context(), "topic", added[from-1].Pos, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range page.Entries {
			if !bytes.Equal(e.Body, batch[from+i].Body) || len(page.Entries) != 3 {
				t.Fatalf("entry %d has %d bytes", from+i, len(e.Body))
			}
		}
	}
	for from := 1; from < 10; from++ {
		check(log, from)
	}
	if err := log.Discard(t.Context(), "topic", added[6].Pos); err != nil {
		t.Fatal(err)
	}
	check(openLog(t, configFor(server)), 8)
	if err := log.Discard(t.Context(), "topic", added[11].Pos); err != nil {
		t.Fatal(err)
	}
	if n := left(t, log, "topic"); n != 1 {
		t.Errorf("%d messages are left of a topic without entries, want its floor alone", n)
	}
	if err := log.Drop(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if n := left(t, log, "topic"); n != 0 {
		t.Errorf("%d messages are left of a dropped topic", n)
	}
}

// left returns how many messages the stream of a topic has.
func left(t *testing.T, log *Log, name messaging.Topic) uint64 {
	t.Helper()
	stream, err := log.js.Stream(t.Context(), log.streamName(log.shard(name)))
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// TestStreamMadeAnew has a stream removed and come back with the sequences of the
// old one, as from an older copy, under a node that knows the old one.
func TestStreamMadeAnew(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	config := configFor(server)
	config.Streams = 1
	log, other := openLog(t, config), openLog(t, config)
	add := func(log *Log, id string) messaging.Pos {
		t.Helper()
		m := messaging.Msg{ID: id, Tag: messaging.Tag([]byte(id + "-tagged!")[:8]), Body: []byte(id)}
		added, err := log.Append(t.Context(), "topic", []messaging.Msg{m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return added[0].Pos
	}
	add(log, "a")
	lost := add(log, "b")
	if err := log.js.DeleteStream(t.Context(), log.streamName(0)); err != nil {
		t.Fatal(err)
	}
	if err := other.makeStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(other, "c")
	add(other, "d") // at the sequence of b
	if _, err := log.Read(t.Context(), "topic", lost, 10); !isLost(err) {
		t.Errorf("read after a lost position: %v", err)
	}
	page, err := log.Read(t.Context(), "topic", messaging.Pos{}, 10)
	if err != nil || len(page.Entries) != 2 || page.Entries[0].ID != "c" || string(page.Entries[1].Body) != "d" {
		t.Errorf("read from the start: %+v, %v", page.Entries, err)
	}
}

func isLost(err error) bool {
	_, ok := errors.AsType[*messaging.PosLostError](err)
	return ok
}

// TestBrokenRecord has somebody else write to a topic's subjects: it is said, other
// topics go on, and the topic can be dropped.
func TestBrokenRecord(t *testing.T) {
	log := openLog(t, configFor(natstest.Start(t, natstest.Options{})))
	put := func(name messaging.Topic) error {
		_, err := log.Append(t.Context(), name, []messaging.Msg{{ID: "m"}}, nil)
		return err
	}
	if err := put("topic"); err != nil {
		t.Fatal(err)
	}
	at := log.use("topic")
	defer log.done(at)
	if _, err := log.publish(t.Context(), log.subjectOf(at, kindLog), nil, false, []byte("not Lodge's")); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Read(t.Context(), "topic", messaging.Pos{}, 1); !errors.Is(err, errBroken) || !errors.Is(err, messaging.ErrUnavailable) {
		t.Errorf("a broken topic reads %v", err)
	}
	if err := put("topic"); !errors.Is(err, messaging.ErrUnavailable) {
		t.Errorf("a broken topic is appended to: %v", err)
	}
	if err := put("another"); err != nil {
		t.Error(err)
	}
	if err := log.Drop(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if err := put("topic"); err != nil {
		t.Errorf("after it was dropped: %v", err)
	}
}

// TestForgetting has a node use more topics than it keeps in mind.
func TestForgetting(t *testing.T) {
	l := &Log{conf: Config{Streams: 1}, topics: map[messaging.Topic]*topic{}}
	const each = 1000
	items := make([]item, each)
	for i := range 2000 {
		at := l.use(messaging.Topic(fmt.Sprint("topic", i)))
		at.state = &state{last: 1, items: items}
		l.done(at)
	}
	if n := len(l.topics); l.kept > maxKept || l.kept != n*(each+topicWeight) || n != maxKept/(each+topicWeight) {
		t.Errorf("%d topics are kept, of weight %d", n, l.kept)
	}
}

func TestTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := messaging.Topic(rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_-]{0,200}`)).Draw(t, "name"))
		token := tokenOf(name)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n\x00") {
			t.Fatalf("%q is not fit for a subject", token)
		}
		if back, ok := topicOf(token); !ok || back != name {
			t.Fatalf("%q comes back as %q", name, back)
		}
	})
}

func FuzzDecode(f *testing.F) {
	whole := record{does: doesAdd, epoch: 1, prev: place{seq: 4}, head: place{seq: 5}, index: []indexed{{"id", messaging.Tag{}, 3}}, pieces: pieces{inline: []byte("abc")}}
	f.Add(whole.encode())
	f.Add((&record{does: doesDrop}).encode())
	f.Add((&record{does: doesAdd, epoch: 1, head: place{seq: 1}, index: []indexed{{"id", messaging.Tag{}, 3}}, pieces: pieces{seqs: []uint64{7, 9}, size: minPart}}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		if again, err := decode(r.encode()); err != nil || !bytes.Equal(again.encode(), r.encode()) {
			t.Fatalf("%+v does not come back: %v", r, err)
		}
		var s state
		s.apply(r, 1)
		if _, err := s.find(s.headPos()); err != nil && s.head.seq > s.floor.seq {
			t.Fatalf("the head of %+v is not in it: %v", r, err)
		}
	})
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := NewLog(ctx, configFor(natstest.Start(t, natstest.Options{}))); !errors.Is(err, context.Canceled) {
		t.Errorf("opened with a context that has ended: %v", err)
	}
}
