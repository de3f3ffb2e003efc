package jetstream

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge/messaging"
)

// Discard implements messaging.Log. The floor is written first: whatever is left
// below it, because its caller went away, nobody reads, and the next discard
// removes.
func (l *Log) Discard(ctx context.Context, name messaging.Topic, through messaging.Pos) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if through.IsZero() {
		return nil
	}
	t := l.use(name)
	defer l.done(t)
	if err := l.send(ctx, name, &call{discard: &through, done: make(chan struct{})}); err != nil {
		return err
	}
	t.mu.Lock()
	below := t.state.firstKept()
	t.mu.Unlock()
	if below == 0 {
		return nil // the next one removes it too
	}
	var both errgroup.Group
	for _, kind := range []string{kindLog, kindPart, kindMark} {
		both.Go(func() error { return l.purge(ctx, t.shard, l.subjectOf(t, kind), below) })
	}
	return both.Wait()
}

// Drop implements messaging.Log. A record says so before anything is removed, and
// is the last that is: what is left of a topic half removed is nothing.
func (l *Log) Drop(ctx context.Context, name messaging.Topic) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	t := l.use(name)
	defer l.done(t)
	_, ok, err := l.newest(ctx, t.shard, l.subjectOf(t, kindLog))
	if err != nil || !ok {
		return err
	}
	seq, err := l.publish(ctx, l.subjectOf(t, kindLog), nil, false, (&record{does: doesDrop}).encode())
	if err != nil {
		return err
	}
	l.calls.Publish(name)
	return l.purge(ctx, t.shard, l.subjectOf(t, "*"), seq+1)
}
