package jetstream

import (
	"slices"
	"testing"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestTamper(t *testing.T) {
	config := configFor(natstest.Start(t, natstest.Options{}))
	messagingtest.Tamper(t, func(t *testing.T) messagingtest.Raw {
		log := openEmpty(t, config)
		return messagingtest.Raw{
			Log: log,
			Put: func(t *testing.T, topic messaging.Topic, e messaging.Entry) { replace(t, log, topic, e) },
			Remove: func(t *testing.T, topic messaging.Topic, at messaging.Pos) {
				removeMessage(t, log, topic, recordOf(t, log, topic, at.Seq))
			},
		}
	})
}

// recordOf returns where in the stream the record is that added an entry.
func recordOf(t *testing.T, log *Log, topic messaging.Topic, seq uint64) uint64 {
	t.Helper()
	records, seqs := rawRecords(t, log, topic)
	i := slices.IndexFunc(records, func(r *record) bool { return r.prev.seq < seq && seq <= r.head.seq })
	if i < 0 {
		t.Fatalf("no record adds entry %d", seq)
	}
	return seqs[i]
}

// removeMessage removes one message from the stream of a topic.
func removeMessage(t *testing.T, log *Log, topic messaging.Topic, seq uint64) {
	t.Helper()
	stream, err := log.js.Stream(t.Context(), log.streamName(log.shard(topic)))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SecureDeleteMsg(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
}

// replace makes a topic's records anew, one for each entry, with an entry where it
// says it stands: JetStream changes no message in place. Each record fits the one
// before it, as an attacker who knows the layout would leave them.
func replace(t *testing.T, log *Log, topic messaging.Topic, changed messaging.Entry) {
	t.Helper()
	page, err := log.Read(t.Context(), topic, messaging.Pos{}, 100)
	if err != nil || page.More {
		t.Fatalf("reading what is there: %v", err)
	}
	i, there := slices.BinarySearchFunc(page.Entries, changed.Pos.Seq, func(e messaging.Entry, seq uint64) int { return int(e.Pos.Seq) - int(seq) })
	if there {
		page.Entries[i] = changed
	} else {
		page.Entries = slices.Insert(page.Entries, i, changed)
	}
	if err := log.purge(t.Context(), log.shard(topic), log.subject(log.shard(topic), tokenOf(topic), "*"), 1<<62); err != nil {
		t.Fatal(err)
	}
	prev := place{}
	for _, e := range page.Entries {
		r := record{does: doesAdd, epoch: changed.Pos.Epoch, prev: prev, head: placeOf(e.Pos), index: []indexed{{e.ID, e.Pos.Tag, len(e.Body)}}, pieces: pieces{inline: e.Body}}
		publishRaw(t, log, topic, kindLog, r.encode())
		prev = r.head
	}
}

// TestRemovedPiece has a piece of a large body removed, whose record stays: its entry
// keeps its place with another body, which a seal does not fit, and who reads goes on.
func TestRemovedPiece(t *testing.T) {
	config := configFor(natstest.Start(t, natstest.Options{}))
	log := openLog(t, config)
	for _, id := range []string{"m0", "large", "m2"} {
		m := messaging.Msg{ID: id, Body: []byte(id)}
		if id == "large" {
			m.Body = make([]byte, maxInline+1)
		}
		if _, err := log.Append(t.Context(), "topic", []messaging.Msg{m}, nil); err != nil {
			t.Fatal(err)
		}
	}
	records, _ := rawRecords(t, log, "topic")
	removeMessage(t, log, "topic", records[1].pieces.seqs[0])
	for _, log := range []*Log{log, openLog(t, config)} {
		page, err := log.Read(t.Context(), "topic", messaging.Pos{}, 10)
		if err != nil || len(page.Entries) != 3 {
			t.Fatalf("%d entries are read: %v", len(page.Entries), err)
		}
		for i, want := range []string{"m0", "", "m2"} {
			if e := page.Entries[i]; e.Pos.Seq != uint64(i+1) || string(e.Body) != want {
				t.Errorf("entry %d is %q at %d, want %q", i, e.Body, e.Pos.Seq, want)
			}
		}
	}
}
