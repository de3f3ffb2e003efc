package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/lodge-gateway/lodge/messaging"
)

// Append implements messaging.Log.
func (l *Log) Append(ctx context.Context, name messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	size := 0
	for _, m := range msgs {
		if m.ID == "" {
			return nil, messaging.ErrNoID
		}
		if len(m.Body) > messaging.MaxBody {
			return nil, messaging.ErrTooLarge
		}
		size += len(m.Body) + len(m.ID)
	}
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(msgs) == 0 {
		return nil, nil
	}
	c := &call{msgs: msgs, ifHead: ifHead, size: size, done: make(chan struct{})}
	if err := l.send(ctx, name, c); err != nil {
		return nil, err
	}
	return c.added, nil
}

// A plan is the record that does what some calls want, and what each of them is
// told when it is stored behind what they were judged by.
type plan struct {
	behind uint64 // the stream's sequence of the newest record
	record *record
	msgs   []messaging.Msg // the entries
	added  [][]messaging.Appended
	errs   []error
}

// judge looks at calls one after the other, as they would have found the topic.
func (s *state) judge(calls []*call) *plan {
	p := &plan{behind: s.last, added: make([][]messaging.Appended, len(calls)), errs: make([]error, len(calls))}
	r := &record{does: doesAdd, epoch: s.epoch, floor: s.floor, prev: s.head, head: s.head}
	if r.epoch == 0 {
		r.epoch = newEpoch()
	}
	fresh := map[string]messaging.Pos{}
	for i, c := range calls {
		if c.discard != nil {
			p.errs[i] = s.judgeDiscard(p, *c.discard)
			return p // alone
		}
		p.added[i], p.errs[i] = s.judgeAppend(p, r, c, fresh)
	}
	if len(r.index) > 0 {
		p.record = r
	}
	return p
}

// judgeAppend adds to a planned record what an append has that is not there yet, nor
// among the fresh ones.
func (s *state) judgeAppend(p *plan, r *record, c *call, fresh map[string]messaging.Pos) ([]messaging.Appended, error) {
	there := func(id string) (messaging.Pos, bool) {
		if pos, ok := fresh[id]; ok {
			return pos, true
		}
		return s.pos(id)
	}
	old := 0
	for _, m := range c.msgs {
		if _, ok := there(m.ID); ok {
			old++
		}
	}
	if c.ifHead != nil && old < len(c.msgs) && (old > 0 || *c.ifHead != r.head.in(r.epoch)) {
		return nil, messaging.ErrConflict
	}
	added := make([]messaging.Appended, len(c.msgs))
	for i, m := range c.msgs {
		if pos, ok := there(m.ID); ok {
			added[i] = messaging.Appended{Pos: pos, Duplicate: true}
			continue
		}
		r.head = place{r.head.seq + 1, m.Tag}
		added[i].Pos = r.head.in(r.epoch)
		fresh[m.ID] = added[i].Pos
		r.index = append(r.index, indexed{m.ID, m.Tag, len(m.Body)})
		p.msgs = append(p.msgs, m)
	}
	return added, nil
}

// judgeDiscard plans a new floor, unless it is the floor already.
func (s *state) judgeDiscard(p *plan, through messaging.Pos) error {
	if s.epoch != 0 && through.Epoch == s.epoch && through.Seq < s.floor.seq || through == s.floor.in(s.epoch) {
		return nil
	}
	if _, err := s.find(through); err != nil {
		return err
	}
	p.record = &record{does: doesDiscard, epoch: s.epoch, floor: placeOf(through), prev: s.head, head: s.head}
	return nil
}

// newEpoch makes an epoch, which is never zero. It is random: no counter could
// tell a stream that lost everything from one that nobody used yet.
func newEpoch() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}
