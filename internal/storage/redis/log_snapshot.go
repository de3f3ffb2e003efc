package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/lodge-gateway/lodge/messaging"
)

// LoadSnapshot implements messaging.Log.
func (l *Log) LoadSnapshot(ctx context.Context, name messaging.Topic) (messaging.Snapshot, messaging.Rev, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	defer done()
	var stored []any
	err = l.again(ctx, func() error {
		var err error
		stored, err = l.client.HMGet(ctx, logKey(name, logSnapshot), "rev", "at", "data").Result()
		return err
	})
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	if stored[0] == nil {
		return messaging.Snapshot{}, 0, nil
	}
	text, _ := stored[0].(string)
	at, _ := stored[1].(string)
	data, _ := stored[2].(string)
	rev, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(at) != logPosSize {
		return messaging.Snapshot{}, 0, fmt.Errorf("%w: redis: a stored snapshot is broken", messaging.ErrUnavailable)
	}
	pos := logPos(binary.BigEndian.Uint64([]byte(at)), at[8:])
	return messaging.Snapshot{At: pos, Data: []byte(data)}, messaging.Rev(rev), nil
}

// SaveSnapshot implements messaging.Log.
func (l *Log) SaveSnapshot(ctx context.Context, name messaging.Topic, expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	args := []any{strconv.FormatUint(uint64(expect), 10), logPosBytes(s.At), s.Data}
	answer, err := l.write(ctx, logSave, logKeys(name, logMeta, logEntries, logSnapshot), args, len(s.Data))
	if err != nil {
		return 0, err
	}
	text, _ := answer[len(answer)-1].(string)
	rev, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: redis: the answer to a save is none", messaging.ErrUncertain)
	}
	return messaging.Rev(rev), nil
}
