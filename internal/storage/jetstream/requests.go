package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nodeHeader says on a record which node wrote it, so that this one can tell its
// own hints from others'.
const nodeHeader = "Lodge-Node"

// askTries and askPause bound how long a stream is asked again that has nobody to
// answer for it.
const (
	askTries = 20
	askPause = 50 * time.Millisecond
)

// request returns a context for one exchange: it ends with the caller's, after the
// log's time-out, and with the connection.
func (l *Log) request(ctx context.Context) (context.Context, func()) {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, expire := context.WithTimeout(ctx, l.conf.Timeout)
	stop := context.AfterFunc(up, func() { cancel(errCut) })
	return ctx, func() {
		stop()
		expire()
		cancel(nil)
	}
}

// ask sends one request and returns its answer. A stream that has nobody to answer
// for it, because it was just made or chooses a leader, is asked again for a while.
func (l *Log) ask(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	for tries := 0; ; tries++ {
		answer, err := l.conn.RequestMsgWithContext(ctx, m)
		if !errors.Is(err, nats.ErrNoResponders) || tries == askTries || !wait(ctx, askPause) {
			return answer, err
		}
	}
}

// notSent reports whether a request surely did not reach a server that acts on it.
func notSent(err error) bool {
	for _, one := range []error{nats.ErrNoResponders, nats.ErrReconnectBufExceeded, nats.ErrMaxPayload} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// publish stores a message. With expect set it does so only when the subject's
// last message has that sequence (0: there is none), else errMoved. The error is in
// words of messaging.Log.
func (l *Log) publish(ctx context.Context, subject string, expect *uint64, rollup bool, data []byte) (uint64, error) {
	ctx, done := l.request(ctx)
	defer done()
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{nodeHeader: {l.node}}}
	if expect != nil {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*expect, 10))
	}
	if rollup {
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	}
	answer, err := l.ask(ctx, m)
	if err != nil {
		if notSent(err) {
			return 0, unavailable(err)
		}
		return 0, uncertain(errors.Join(err, context.Cause(ctx)))
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, uncertain(err)
	}
	const wrongLast, wrongLastConstant = 10071, 10164
	switch {
	case ack.Error != nil && (ack.Error.ErrorCode == wrongLast || ack.Error.ErrorCode == wrongLastConstant):
		return 0, errMoved
	case ack.Error != nil:
		return 0, unavailable(ack.Error)
	case ack.Seq == 0:
		return 0, uncertain(errors.New("jetstream: an acknowledgement without a sequence"))
	}
	return ack.Seq, nil
}

// purge removes the messages of a subject, which may have wildcards, below a
// sequence.
func (l *Log) purge(ctx context.Context, shard int, subject string, below uint64) error {
	asking, done := l.request(ctx)
	defer done()
	question, err := json.Marshal(struct {
		Filter string `json:"filter"`
		Seq    uint64 `json:"seq"`
	}{subject, below})
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	answer, err := l.ask(asking, &nats.Msg{Subject: "$JS.API.STREAM.PURGE." + l.streamName(shard), Data: question})
	if err != nil {
		return uncertain(errors.Join(err, context.Cause(asking)))
	}
	var said struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return uncertain(err)
	}
	if said.Error != nil {
		return uncertain(said.Error)
	}
	return nil
}
