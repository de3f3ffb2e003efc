package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lodge-gateway/lodge/messaging"
)

// exactRequests is how many single messages are asked for at the same time: the
// server disconnects who has more than 64 MB on their way.
const exactRequests = 64

// mostAnswers is how many answers one question has at most.
const mostAnswers = max(batchRecords, headTopics)

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

// readError puts the error of a request that changes nothing in words of
// messaging.Log; ctx is the caller's.
func (l *Log) readError(ctx context.Context, err error) error {
	if l.calls.Life().Err() != nil {
		return messaging.ErrClosed
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	// Not wrapped: the log's own time-out is not the caller's.
	return unavailable(errors.New(err.Error()))
}

// newest returns the last message of a subject; ok is false when there is none.
// Where there are replicas it is the leader that says so: the others may be behind.
func (l *Log) newest(ctx context.Context, shard int, subject string) (_ stored, ok bool, err error) {
	if l.conf.Replicas > 1 {
		return l.ofLeader(ctx, shard, get{Last: subject})
	}
	return l.one(ctx, shard, get{Last: subject})
}

// ofLeader returns the message that a request is for, as the leader of the stream
// has it, which is never behind; ok is false when there is none.
func (l *Log) ofLeader(ctx context.Context, shard int, what get) (_ stored, ok bool, err error) {
	asking, done := l.request(ctx)
	defer done()
	question, err := json.Marshal(what)
	if err != nil {
		return stored{}, false, fmt.Errorf("jetstream: %w", err)
	}
	answer, err := l.ask(asking, &nats.Msg{Subject: "$JS.API.STREAM.MSG.GET." + l.streamName(shard), Data: question})
	if err != nil {
		return stored{}, false, l.readError(ctx, err)
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
	answer, err := l.ask(asking, &nats.Msg{Subject: "$JS.API.DIRECT.GET." + l.streamName(shard), Data: question})
	if err != nil {
		return stored{}, false, l.readError(ctx, err)
	}
	m, _, err := unpack(answer)
	return m, err == nil && m.seq != 0, err
}

// many returns the messages that a request is for, as many as the server gives at
// a time; whole is false when there are more of them.
func (l *Log) many(ctx context.Context, shard int, what get) (found []stored, whole bool, err error) {
	err = l.direct(ctx, shard, []get{what}, func(m stored, end bool, pending string) bool {
		if end {
			whole = pending == "" || pending == "0"
			return false
		}
		found = append(found, m)
		return true
	})
	return found, whole, err
}

// exact returns those messages with these sequences that are there, and false when
// one of them is not. Their order does not matter.
func (l *Log) exact(ctx context.Context, shard int, seqs []uint64) (_ map[uint64]stored, ok bool, err error) {
	found, whole := make(map[uint64]stored, len(seqs)), true
	for some := range slices.Chunk(seqs, exactRequests) {
		questions := make([]get, len(some))
		for i, seq := range some {
			questions[i].Seq = seq
		}
		left := len(some)
		err := l.direct(ctx, shard, questions, func(m stored, end bool, _ string) bool {
			if end {
				whole = false
			} else {
				found[m.seq] = m
			}
			left--
			return left > 0
		})
		if err != nil {
			return nil, false, err
		}
	}
	return found, whole, nil
}

// direct asks questions all at once, and hands over the answers, and what the
// server says behind those of one question, until take returns false.
func (l *Log) direct(ctx context.Context, shard int, questions []get, take func(m stored, end bool, pending string) bool) error {
	asking, done := l.request(ctx)
	defer done()
	inbox, answers, forget := l.inbox.open(max(len(questions), mostAnswers) + 1)
	defer forget()
	for _, question := range questions {
		text, err := json.Marshal(question)
		if err != nil {
			return fmt.Errorf("jetstream: %w", err)
		}
		if err := l.conn.PublishRequest("$JS.API.DIRECT.GET."+l.streamName(shard), inbox, text); err != nil {
			return l.readError(ctx, err)
		}
	}
	for {
		var answer *nats.Msg
		select {
		case answer = <-answers:
		case <-asking.Done():
			return l.readError(ctx, context.Cause(asking))
		}
		m, end, err := unpack(answer)
		if err != nil {
			return err
		}
		if !take(m, end, answer.Header.Get("Nats-Num-Pending")) {
			return nil
		}
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
