package jetstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lodge-gateway/lodge/messaging"
)

// The kinds of a topic's subjects.
const (
	kindLog  = "log"
	kindPart = "part"
	kindSnap = "snap"
	kindCut  = "cut"
	kindMark = "mark"
)

// streamsKey is where a stream's metadata says how many share the topics.
const streamsKey = "lodge-streams"

func (l *Log) streamName(n int) string { return l.conf.Prefix + "-" + strconv.Itoa(n) }

// hintRoot begins the subjects on which the server tells of new records.
func (l *Log) hintRoot() string { return l.conf.Prefix + "-hint." }

// shard returns the number of the stream that has a topic.
func (l *Log) shard(name messaging.Topic) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return int(h.Sum32() % uint32(l.conf.Streams))
}

// subject returns one of a topic's subjects.
func (l *Log) subject(shard int, token, kind string) string {
	return l.conf.Prefix + "." + strconv.Itoa(shard) + "." + token + "." + kind
}

// Names of Topics' making are base64url and tokens as they are. Any other stands
// encoded behind a sign that none of those has.
const encoded = "="

func tokenOf(name messaging.Topic) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if name != "" && strings.Trim(string(name), plain) == "" && len(name) <= 128 {
		return string(name)
	}
	return encoded + base64.RawURLEncoding.EncodeToString([]byte(name))
}

func topicOf(token string) (messaging.Topic, bool) {
	text, is := strings.CutPrefix(token, encoded)
	if !is {
		return messaging.Topic(token), true
	}
	name, err := base64.RawURLEncoding.DecodeString(text)
	return messaging.Topic(name), err == nil
}

// streamConfig returns how a stream must be.
func (l *Log) streamConfig(n int) jetstream.StreamConfig {
	var subjects []string
	for _, kind := range []string{kindLog, kindPart, kindSnap, kindCut, kindMark} {
		subjects = append(subjects, l.subject(n, "*", kind))
	}
	return jetstream.StreamConfig{
		Name: l.streamName(n), Description: "Lodge's messages", Subjects: subjects,
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: l.conf.Replicas,
		// A full stream refuses; it never makes room by itself.
		Discard: jetstream.DiscardNew, AllowDirect: true, AllowRollup: true,
		RePublish: &jetstream.RePublish{Source: l.subject(n, "*", kindLog), Destination: l.hintRoot() + "{{wildcard(1)}}", HeadersOnly: true},
		Metadata:  map[string]string{streamsKey: strconv.Itoa(l.conf.Streams)},
	}
}

// makeTries is how often a stream is asked for, or made, that nobody says anything of:
// servers that are choosing who leads them leave what they are asked unanswered.
const makeTries = 3

// makeStreams makes the streams that are missing and looks at the others.
func (l *Log) makeStreams(ctx context.Context) error {
	for n := range l.conf.Streams {
		err := l.makeStream(ctx, l.streamConfig(n))
		for again := 1; again < makeTries && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil; again++ {
			err = l.makeStream(ctx, l.streamConfig(n))
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", l.streamName(n), err)
		}
	}
	return nil
}

func (l *Log) makeStream(ctx context.Context, want jetstream.StreamConfig) error {
	ctx, stop := context.WithTimeout(ctx, l.conf.Timeout)
	defer stop()
	stream, err := l.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = l.js.CreateStream(ctx, want) // another node's at the same moment is the same
	}
	if err != nil {
		return err
	}
	has := stream.CachedInfo().Config
	if err := fits(has, want); err != nil {
		return err
	}
	lacks := slices.ContainsFunc(want.Subjects, func(s string) bool { return !slices.Contains(has.Subjects, s) })
	if lacks || has.Replicas < want.Replicas {
		has.Subjects, has.Replicas = want.Subjects, max(has.Replicas, want.Replicas)
		_, err = l.js.UpdateStream(ctx, has)
	}
	return err
}

// fits refuses a stream that would lose or hide messages. What an operator may
// choose, such as a limit of its size or where its replicas are, is left alone.
func fits(has, want jetstream.StreamConfig) error {
	switch {
	case has.Metadata[streamsKey] != want.Metadata[streamsKey]:
		return fmt.Errorf("it is one of %q streams, not of %s: their number cannot be changed", has.Metadata[streamsKey], want.Metadata[streamsKey])
	case has.Storage != jetstream.FileStorage:
		return errors.New("it is kept in memory")
	case has.PersistMode != jetstream.DefaultPersistMode:
		return errors.New("its persist_mode is async, with which it acknowledges what is not on its disk yet")
	case has.Retention != jetstream.LimitsPolicy, has.Discard != jetstream.DiscardNew, has.MaxAge != 0, has.MaxMsgsPerSubject > 0:
		return errors.New("it removes messages of its own accord: it must have retention limits, discard new, and neither a maximal age nor a number of messages per subject")
	case has.MaxMsgSize > 0 && has.MaxMsgSize < 1<<20, has.NoAck, has.Sealed, has.DenyPurge, !has.AllowDirect, !has.AllowRollup, has.Mirror != nil, len(has.Sources) > 0:
		return errors.New("it must take messages of 1 MiB, acknowledge them, allow purging, rollups and direct access, and be neither sealed nor a mirror")
	case has.RePublish == nil, has.RePublish.Destination != want.RePublish.Destination:
		return errors.New("it does not republish its records as hints")
	}
	return nil
}
