package redis

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
)

// logSweepRows is how many entries one script deletes: the server does nothing
// else meanwhile.
const logSweepRows = 100

// Discard implements messaging.Log.
func (l *Log) Discard(ctx context.Context, name messaging.Topic, through messaging.Pos) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if through.IsZero() {
		return nil
	}
	if _, err := l.write(ctx, logDiscard, logKeys(name, logMeta, logEntries), []any{logPosBytes(through)}, 0); err != nil {
		return err
	}
	return l.sweep(ctx, name)
}

// sweep deletes what is behind the floor. What it leaves, because its caller
// went away or the process ended, the next sweep of the topic finds.
func (l *Log) sweep(ctx context.Context, name messaging.Topic) error {
	keys := logKeys(name, logMeta, logEntries, logIDs)
	for {
		answer, err := l.write(ctx, logSweep, keys, []any{logSweepRows}, 0)
		if ctx.Err() != nil {
			return nil // the discarding itself is done
		}
		if err != nil {
			return err
		}
		if n, _ := answer[len(answer)-1].(int64); n < logSweepRows {
			return nil
		}
	}
}

// Drop implements messaging.Log.
func (l *Log) Drop(ctx context.Context, name messaging.Topic) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := l.write(ctx, logDrop, logKeys(name, logMeta, logEntries, logIDs, logSnapshot), nil, 0); err != nil {
		return err
	}
	l.hints.publish(name)
	return nil
}
