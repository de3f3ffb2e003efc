package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

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
		size += len(m.Body)
	}
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(msgs) == 0 {
		return nil, nil
	}
	expect := ""
	if ifHead != nil {
		expect = logPosBytes(*ifHead)
	}
	args := make([]any, 0, 2+3*len(msgs))
	args = append(args, newEpoch(), expect)
	for _, m := range msgs {
		args = append(args, m.ID, string(m.Tag[:]), m.Body)
	}
	answer, err := l.write(ctx, logAppend, logKeys(name, logMeta, logEntries, logIDs), args, size)
	if err != nil {
		return nil, err
	}
	added, err := appendedOf(answer, len(msgs))
	if err != nil {
		return nil, err
	}
	for _, a := range added {
		if !a.Duplicate {
			l.hints.publish(name)
			break
		}
	}
	return added, nil
}

// newEpoch makes an epoch, which is never zero. It is random: no counter could
// tell a server that lost everything from one that nobody used yet.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	b[7] |= 1
	return string(b[:])
}

// appendedOf reads what logAppend answers.
func appendedOf(answer []any, n int) ([]messaging.Appended, error) {
	const each = 1 + 16
	text, _ := answer[len(answer)-1].(string)
	if len(text) != 8+n*each {
		return nil, fmt.Errorf("%w: redis: the answer to an append is none", messaging.ErrUncertain)
	}
	epoch := binary.BigEndian.Uint64([]byte(text))
	added := make([]messaging.Appended, n)
	for i := range added {
		at := text[8+i*each:][:each]
		added[i] = messaging.Appended{Pos: logPos(epoch, at[1:]), Duplicate: at[0] == 1}
	}
	return added, nil
}
