package jetstream

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// headTopics is how many topics one request is about: JetStream answers at
	// most 1024.
	headTopics = 500
	// headRequests is how many are under way at the same time.
	headRequests = 4
)

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	ctx, done, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// Each topic once: a request that names one twice gets one answer.
	wanted := make([]map[string]messaging.Topic, l.conf.Streams)
	for _, name := range names {
		shard := l.shard(name)
		if wanted[shard] == nil {
			wanted[shard] = map[string]messaging.Topic{}
		}
		wanted[shard][l.subject(shard, tokenOf(name), kindLog)] = name
	}
	found := make([]map[messaging.Topic]newestHead, l.conf.Streams)
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(headRequests)
	for shard := range wanted {
		found[shard] = map[messaging.Topic]newestHead{}
		group.Go(func() error { return l.headsOf(asking, shard, wanted[shard], found[shard]) })
	}
	if err := group.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	heads := make([]messaging.Pos, len(names))
	for i, name := range names {
		heads[i] = l.laterHead(name, found[l.shard(name)][name])
	}
	return heads, nil
}

// newestHead is what the newest record of a topic at seq in the stream says.
type newestHead struct {
	seq  uint64
	head messaging.Pos
}

// headsOf asks for the newest records of topics in one stream, by their subjects.
func (l *Log) headsOf(ctx context.Context, shard int, wanted map[string]messaging.Topic, found map[messaging.Topic]newestHead) error {
	subjects := make([]string, 0, headTopics)
	ask := func() error {
		for len(subjects) > 0 {
			records, whole, err := l.many(ctx, shard, get{Lasts: subjects, MaxBytes: pageBytes})
			if err != nil {
				return err
			}
			answered := map[string]bool{}
			for _, m := range records {
				r, err := decode(m.data)
				if err != nil {
					return l.broken(&topic{shard: shard}, m.seq)
				}
				found[wanted[m.subject]] = newestHead{m.seq, r.head.in(r.epoch)}
				answered[m.subject] = true
			}
			if whole || len(records) == 0 {
				break
			}
			rest := subjects[:0]
			for _, subject := range subjects {
				if !answered[subject] {
					rest = append(rest, subject)
				}
			}
			subjects = rest
		}
		subjects = subjects[:0]
		return nil
	}
	for subject := range wanted {
		if subjects = append(subjects, subject); len(subjects) == headTopics {
			if err := ask(); err != nil {
				return err
			}
		}
	}
	return ask()
}

// laterHead returns the head that was found, or what this node knows to have come
// after it: of several replicas one that is behind may have answered.
func (l *Log) laterHead(name messaging.Topic, found newestHead) messaging.Pos {
	if l.conf.Replicas == 1 {
		return found.head
	}
	l.mu.Lock()
	t, session := l.topics[name], l.session
	l.mu.Unlock()
	if t == nil {
		return found.head
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session == session && t.state.last > found.seq {
		return t.state.headPos()
	}
	return found.head
}
