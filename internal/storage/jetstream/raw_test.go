package jetstream

import (
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// rawRecords returns the records of a topic in order, and where in the stream each is.
func rawRecords(t *testing.T, log *Log, topic messaging.Topic) (records []*record, seqs []uint64) {
	t.Helper()
	at := log.use(topic)
	defer log.done(at)
	newest, _, err := log.newest(t.Context(), at.shard, log.subjectOf(at, kindLog))
	if err != nil {
		t.Fatal(err)
	}
	missing, err := log.records(t.Context(), at, 0, newest.seq, func(r *record, seq uint64) bool {
		records, seqs = append(records, r), append(seqs, seq)
		return true
	})
	if err != nil || missing {
		t.Fatal("the records are not there: ", err)
	}
	return records, seqs
}

// publishRaw stores a message on a topic's subject of a kind, as anybody can who may
// write to the stream.
func publishRaw(t *testing.T, log *Log, topic messaging.Topic, kind string, data []byte) {
	t.Helper()
	if _, err := log.js.Publish(t.Context(), log.subject(log.shard(topic), tokenOf(topic), kind), data); err != nil {
		t.Fatal(err)
	}
}
