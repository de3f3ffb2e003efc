package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/messaging"
)

// logTopic is the row of a topic; the zero value is a topic nobody wrote to.
// Epochs and sequence numbers fit in 63 bits, so that a bigint can hold them.
type logTopic struct {
	epoch, seq, tag, floorSeq, floorTag int64
}

// loadLogTopic reads a topic's row, and with it the tag of the entry at a
// position's number. lock is the locking clause.
func loadLogTopic(ctx context.Context, tx pgx.Tx, name messaging.Topic, at messaging.Pos, lock string) (t logTopic, tag *int64, err error) {
	_, err = found(tx.QueryRow(ctx, `SELECT t.epoch, t.seq, t.tag, t.floor_seq, t.floor_tag,
		(SELECT e.tag FROM log_entries AS e WHERE e.epoch = t.epoch AND e.seq = $2)
		FROM log_topics AS t WHERE t.topic = $1 `+lock, []byte(name), int64(at.Seq)).
		Scan(&t.epoch, &t.seq, &t.tag, &t.floorSeq, &t.floorTag, &tag))
	return t, tag, err
}

// newEpoch returns a number for an epoch. It is random: no counter could tell a
// database that was restored from an old copy from the one that went on.
func newEpoch() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return int64(binary.BigEndian.Uint64(b[:])>>1 | 1)
}

func (t *logTopic) head() messaging.Pos { return logPos(t.epoch, t.seq, t.tag) }

func (t *logTopic) floor() messaging.Pos { return logPos(t.epoch, t.floorSeq, t.floorTag) }

func (t *logTopic) lost() error {
	return &messaging.PosLostError{Floor: t.floor(), Head: t.head()}
}

// find returns nil when a position is in the topic. tag is that of the entry
// with its number, nil when there is none.
func (t *logTopic) find(p messaging.Pos, tag *int64) error {
	switch {
	case p == t.floor() || p == t.head():
		return nil
	case p.Epoch != uint64(t.epoch) || p.Seq <= uint64(t.floorSeq) || p.Seq >= uint64(t.seq):
		return t.lost()
	case tag == nil || *tag != tagInt(p.Tag):
		return t.lost()
	}
	return nil
}

// logPos makes a position from stored numbers; before the first entry it is the
// zero one, whatever the epoch.
func logPos(epoch, seq, tag int64) messaging.Pos {
	if seq == 0 {
		return messaging.Pos{}
	}
	p := messaging.Pos{Epoch: uint64(epoch), Seq: uint64(seq)}
	binary.BigEndian.PutUint64(p.Tag[:], uint64(tag))
	return p
}

func tagInt(t messaging.Tag) int64 { return int64(binary.BigEndian.Uint64(t[:])) }

// blob returns b, never nil, which would be stored as NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
