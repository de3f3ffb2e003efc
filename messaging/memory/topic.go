package memory

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"github.com/lodge-gateway/lodge/messaging"
)

// A topic is one topic's state, guarded by Log.mu. A nil topic is one that
// nobody wrote to; its methods that read may be called.
type topic struct {
	epoch   uint64
	last    uint64            // the newest sequence number given out; never taken back
	floor   messaging.Pos     // zero when nothing was discarded
	entries []messaging.Entry // with the sequence numbers floor.Seq+1 to last
	ids     map[string]uint64 // the sequence number of each entry, by its ID

	snapshot messaging.Snapshot
	rev      messaging.Rev // 0: there is no snapshot
}

// newTopic starts an epoch. It is random, so that neither another topic nor
// another run of the process has the same one.
func newTopic() *topic {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return &topic{epoch: binary.BigEndian.Uint64(b[:]) | 1, ids: map[string]uint64{}}
}

func (t *topic) head() messaging.Pos {
	switch {
	case t == nil:
		return messaging.Pos{}
	case len(t.entries) == 0:
		return t.floor
	default:
		return t.entries[len(t.entries)-1].Pos
	}
}

func (t *topic) bounds() messaging.Page {
	if t == nil {
		return messaging.Page{}
	}
	return messaging.Page{Floor: t.floor, Head: t.head()}
}

func (t *topic) lost() error {
	page := t.bounds()
	return &messaging.PosLostError{Floor: page.Floor, Head: page.Head}
}

// find returns how many entries are at or before p, when p is in the topic.
func (t *topic) find(p messaging.Pos) (int, error) {
	switch {
	case t == nil && p.IsZero():
		return 0, nil
	case t == nil:
		return 0, t.lost()
	case p == t.floor:
		return 0, nil
	case p.Epoch != t.epoch || p.Seq <= t.floor.Seq || p.Seq > t.last:
		return 0, t.lost()
	}
	n := int(p.Seq - t.floor.Seq)
	if t.entries[n-1].Pos != p {
		return 0, t.lost()
	}
	return n, nil
}

func (t *topic) append(msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	if n := t.count(msgs); ifHead != nil && n < len(msgs) && (n > 0 || *ifHead != t.head()) {
		return nil, messaging.ErrConflict
	}
	added := make([]messaging.Appended, len(msgs))
	for i, m := range msgs {
		if seq, ok := t.ids[m.ID]; ok {
			added[i] = messaging.Appended{Pos: t.entries[seq-t.floor.Seq-1].Pos, Duplicate: true}
			continue
		}
		t.last++
		pos := messaging.Pos{Epoch: t.epoch, Seq: t.last, Tag: m.Tag}
		t.entries = append(t.entries, messaging.Entry{Pos: pos, ID: m.ID, Body: bytes.Clone(m.Body)})
		t.ids[m.ID] = t.last
		added[i].Pos = pos
	}
	return added, nil
}

// count returns of how many messages the ID is there.
func (t *topic) count(msgs []messaging.Msg) int {
	n := 0
	for _, m := range msgs {
		if _, ok := t.ids[m.ID]; ok {
			n++
		}
	}
	return n
}

func (t *topic) read(after messaging.Pos, limit int) (messaging.Page, error) {
	n, err := t.find(after)
	if err != nil || t == nil {
		return messaging.Page{}, err
	}
	page := t.bounds()
	rest := t.entries[n:]
	page.More = len(rest) > max(limit, 0)
	for _, e := range rest[:min(len(rest), max(limit, 0))] {
		page.Entries = append(page.Entries, clone(e))
	}
	return page, nil
}

func (t *topic) readBack(before messaging.Pos, limit int) (messaging.Page, error) {
	if t == nil {
		_, err := t.find(before)
		return messaging.Page{}, err
	}
	rest := t.entries
	if !before.IsZero() {
		n, err := t.find(before)
		if err != nil {
			return messaging.Page{}, err
		}
		rest = rest[:max(n-1, 0)]
	}
	page := t.bounds()
	page.More = len(rest) > max(limit, 0)
	for i := len(rest) - 1; i >= 0 && len(page.Entries) < limit; i-- {
		page.Entries = append(page.Entries, clone(rest[i]))
	}
	return page, nil
}

func clone(e messaging.Entry) messaging.Entry {
	e.Body = bytes.Clone(e.Body)
	return e
}

func (t *topic) discard(through messaging.Pos) error {
	if through.IsZero() || t != nil && through.Epoch == t.epoch && through.Seq < t.floor.Seq {
		return nil
	}
	n, err := t.find(through)
	if err != nil {
		return err
	}
	for _, e := range t.entries[:n] {
		delete(t.ids, e.ID)
	}
	t.entries = append([]messaging.Entry(nil), t.entries[n:]...) // lets go of the old ones
	t.floor = through
	return nil
}

func (t *topic) loadSnapshot() (messaging.Snapshot, messaging.Rev) {
	if t == nil {
		return messaging.Snapshot{}, 0
	}
	s := t.snapshot
	s.Data = bytes.Clone(s.Data)
	return s, t.rev
}

func (t *topic) saveSnapshot(expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	if s.At.IsZero() {
		return 0, t.lost()
	}
	if t != nil && s.At.Epoch == t.epoch && (expect != t.rev || s.At.Seq < t.snapshot.At.Seq) {
		return 0, messaging.ErrConflict
	}
	if _, err := t.find(s.At); err != nil {
		return 0, err
	}
	t.snapshot = messaging.Snapshot{At: s.At, Data: bytes.Clone(s.Data)}
	t.rev++
	return t.rev, nil
}
