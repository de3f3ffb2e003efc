package messaging_test

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
)

// cutLog cannot be read while down is set.
type cutLog struct {
	messaging.Log
	down chan struct{} // closed: up again
}

func (l *cutLog) err() error {
	select {
	case <-l.down:
		return nil
	default:
		return messaging.ErrUnavailable
	}
}

func (l *cutLog) ReadBack(ctx context.Context, topic messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	if err := l.err(); err != nil {
		return messaging.Page{}, err
	}
	return l.Log.ReadBack(ctx, topic, before, limit)
}

func (l *cutLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	if err := l.err(); err != nil {
		return messaging.Page{}, err
	}
	return l.Log.Read(ctx, topic, after, limit)
}

// hangLog does not answer who reads, until they give up.
type hangLog struct {
	messaging.Log
	asked chan struct{} // capacity enough for all
}

func (l *hangLog) ReadBack(ctx context.Context, _ messaging.Topic, _ messaging.Pos, _ int) (messaging.Page, error) {
	l.asked <- struct{}{}
	<-ctx.Done()
	return messaging.Page{}, ctx.Err()
}
