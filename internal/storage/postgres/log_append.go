package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/lodge-gateway/lodge/messaging"
)

// A logCall is one Append under way. Once it is taken from the queue it belongs
// to the writer that took it, until done is closed.
type logCall struct {
	topic  messaging.Topic
	msgs   []messaging.Msg // with bodies of their own
	bytes  int             // of bodies
	ifHead *messaging.Pos

	added []messaging.Appended
	err   error
	done  chan struct{} // closed when added or err is there
}

func (c *logCall) settle(added []messaging.Appended, err error) {
	c.added, c.err = added, err
	close(c.done)
}

// Append implements messaging.Log.
func (l *Log) Append(ctx context.Context, name messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	c := &logCall{topic: name, msgs: make([]messaging.Msg, len(msgs)), done: make(chan struct{})}
	for i, m := range msgs {
		if m.ID == "" {
			return nil, messaging.ErrNoID
		}
		if len(m.Body) > messaging.MaxBody {
			return nil, messaging.ErrTooLarge
		}
		// A caller that goes away may do with it what it likes.
		c.msgs[i] = messaging.Msg{ID: m.ID, Tag: m.Tag, Body: blob(bytes.Clone(m.Body))}
		c.bytes += len(m.Body)
	}
	if ifHead != nil {
		head := *ifHead
		c.ifHead = &head
	}
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil || len(msgs) == 0 {
		if err == nil {
			done()
		}
		return nil, err
	}
	defer done()
	if !l.queue.add(c) {
		return nil, messaging.ErrClosed
	}
	select {
	case <-c.done:
		return c.added, c.err
	case <-ctx.Done():
	}
	if l.queue.withdraw(c) {
		return nil, context.Cause(ctx) // nobody has looked at it
	}
	select {
	case <-c.done:
		return c.added, c.err
	default:
		return nil, fmt.Errorf("%w: %w", messaging.ErrUncertain, context.Cause(ctx))
	}
}
