package sqlite

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/lodge-gateway/lodge/messaging"
)

// logTopic is the row of a topic; the zero value is a topic nobody wrote to.
// Epochs and sequence numbers fit in 63 bits, so that SQLite can hold them.
type logTopic struct {
	epoch, seq, tag, floorSeq, floorTag int64
}

func loadLogTopic(tx *Tx, name messaging.Topic) (logTopic, error) {
	var t logTopic
	_, err := found(tx.Get(`SELECT epoch, seq, tag, floor_seq, floor_tag FROM log_topics WHERE topic = ?`,
		[]any{[]byte(name)}, &t.epoch, &t.seq, &t.tag, &t.floorSeq, &t.floorTag))
	return t, err
}

// start gives a topic an epoch. It is random: no counter could tell a database
// that was restored from an old copy from the one that went on.
func (t *logTopic) start(tx *Tx, name messaging.Topic) error {
	var b [8]byte
	rand.Read(b[:]) // never fails
	t.epoch = int64(binary.BigEndian.Uint64(b[:])>>1 | 1)
	_, err := tx.Exec(`INSERT INTO log_topics (topic, epoch, seq, tag, floor_seq, floor_tag) VALUES (?, ?, 0, 0, 0, 0)`, []byte(name), t.epoch)
	return err
}

func (t *logTopic) head() messaging.Pos { return logPos(t.epoch, t.seq, t.tag) }

func (t *logTopic) floor() messaging.Pos { return logPos(t.epoch, t.floorSeq, t.floorTag) }

func (t *logTopic) lost() error {
	return &messaging.PosLostError{Floor: t.floor(), Head: t.head()}
}

// find returns the sequence number of a position that is in the topic.
func (t *logTopic) find(tx *Tx, p messaging.Pos) (int64, error) {
	switch {
	case p == t.floor() || p == t.head():
		return int64(p.Seq), nil
	case p.Epoch != uint64(t.epoch) || p.Seq <= uint64(t.floorSeq) || p.Seq >= uint64(t.seq):
		return 0, t.lost()
	}
	var tag int64
	there, err := found(tx.Get(`SELECT tag FROM log_entries WHERE epoch = ? AND seq = ?`, []any{t.epoch, int64(p.Seq)}, &tag))
	if err != nil {
		return 0, err
	}
	if !there || tag != tagInt(p.Tag) {
		return 0, t.lost()
	}
	return int64(p.Seq), nil
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
