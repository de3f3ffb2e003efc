package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nodeHeader says on a record which node wrote it, so that this one can tell its
// own hints from others'.
const nodeHeader = "Lodge-Node"

// A stored is a message in a stream.
type stored struct {
	seq     uint64
	subject string
	data    []byte
}

// get is a request for stored messages, as JetStream's API has it.
type get struct {
	Seq      uint64   `json:"seq,omitempty"`
	Last     string   `json:"last_by_subj,omitempty"`
	Next     string   `json:"next_by_subj,omitempty"`
	Batch    int      `json:"batch,omitempty"`
	MaxBytes int      `json:"max_bytes,omitempty"`
	Lasts    []string `json:"multi_last,omitempty"`
}

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

// readError puts the error of a request that changes nothing in words of
// messaging.Log; ctx is the caller's.
func readError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	// Not wrapped: the log's own time-out is not the caller's.
	return unavailable(errors.New(err.Error()))
}

// notSent reports whether a request surely did not reach a server that acts on it.
func notSent(err error) bool {
	for _, one := range []error{
		nats.ErrNoResponders, nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting,
		nats.ErrDisconnected, nats.ErrMaxPayload, nats.ErrInvalidConnection, nats.ErrConnectionDraining,
	} {
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
	answer, err := l.conn.RequestMsgWithContext(ctx, m)
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

// newest returns the last message of a subject; ok is false when there is none.
// Where there are replicas it is the leader that says so: the others may be behind.
func (l *Log) newest(ctx context.Context, shard int, subject string) (_ stored, ok bool, err error) {
	if l.conf.Replicas > 1 {
		return l.newestOfLeader(ctx, shard, subject)
	}
	return l.one(ctx, shard, get{Last: subject})
}

func (l *Log) newestOfLeader(ctx context.Context, shard int, subject string) (_ stored, ok bool, err error) {
	asking, done := l.request(ctx)
	defer done()
	question, err := json.Marshal(get{Last: subject})
	if err != nil {
		return stored{}, false, fmt.Errorf("jetstream: %w", err)
	}
	answer, err := l.conn.RequestWithContext(asking, "$JS.API.STREAM.MSG.GET."+l.streamName(shard), question)
	if err != nil {
		return stored{}, false, readError(ctx, err)
	}
	var said struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return stored{}, false, unavailable(err)
	}
	if said.Error != nil {
		if said.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return stored{}, false, nil
		}
		return stored{}, false, unavailable(said.Error)
	}
	return stored{seq: said.Message.Seq, subject: said.Message.Subject, data: said.Message.Data}, true, nil
}

// one returns the message that a request is for; ok is false when there is none.
func (l *Log) one(ctx context.Context, shard int, what get) (_ stored, ok bool, err error) {
	asking, done := l.request(ctx)
	defer done()
	question, err := json.Marshal(what)
	if err != nil {
		return stored{}, false, fmt.Errorf("jetstream: %w", err)
	}
	answer, err := l.conn.RequestWithContext(asking, "$JS.API.DIRECT.GET."+l.streamName(shard), question)
	if err != nil {
		return stored{}, false, readError(ctx, err)
	}
	m, _, err := unpack(answer)
	return m, err == nil && m.seq != 0, err
}

// many returns the messages that a request is for, as many as the server gives at
// a time; whole is false when there are more of them.
func (l *Log) many(ctx context.Context, shard int, what get) (_ []stored, whole bool, err error) {
	asking, done := l.request(ctx)
	defer done()
	question, err := json.Marshal(what)
	if err != nil {
		return nil, false, fmt.Errorf("jetstream: %w", err)
	}
	inbox := l.conn.NewRespInbox()
	sub, err := l.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, false, readError(ctx, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only with the connection
	if err := l.conn.PublishRequest("$JS.API.DIRECT.GET."+l.streamName(shard), inbox, question); err != nil {
		return nil, false, readError(ctx, err)
	}
	var all []stored
	for {
		answer, err := sub.NextMsgWithContext(asking)
		if err != nil {
			return nil, false, readError(ctx, err)
		}
		m, end, err := unpack(answer)
		if err != nil {
			return nil, false, err
		}
		if end {
			return all, answer.Header.Get("Nats-Num-Pending") == "0" || answer.Header.Get("Nats-Num-Pending") == "", nil
		}
		all = append(all, m)
	}
}

// unpack reads an answer of direct access: a message, or the end of them.
func unpack(answer *nats.Msg) (_ stored, end bool, err error) {
	switch status := answer.Header.Get("Status"); status {
	case "":
	case "204", "404":
		return stored{}, true, nil
	default:
		return stored{}, false, unavailable(fmt.Errorf("jetstream: direct access: %s %s", status, answer.Header.Get("Description")))
	}
	seq, err := strconv.ParseUint(answer.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return stored{}, false, unavailable(fmt.Errorf("jetstream: direct access: a message without a sequence: %w", err))
	}
	return stored{seq: seq, subject: answer.Header.Get("Nats-Subject"), data: answer.Data}, false, nil
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
	answer, err := l.conn.RequestWithContext(asking, "$JS.API.STREAM.PURGE."+l.streamName(shard), question)
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
