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
	// headRequests is how many are under way at the same time, and leaderRequests
	// how many of one topic each.
	headRequests   = 4
	leaderRequests = 16
)

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	heads := make([]messaging.Pos, len(names))
	if l.conf.Replicas > 1 {
		err = l.headsOfLeaders(ctx, names, heads)
	} else {
		err = l.headsAtOnce(ctx, names, heads)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return heads, nil
}

// headsOfLeaders asks the leader of each topic's stream. Replicas would answer for
// many at a time, but may be behind.
func (l *Log) headsOfLeaders(ctx context.Context, names []messaging.Topic, heads []messaging.Pos) error {
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(leaderRequests)
	for i, name := range names {
		group.Go(func() error {
			shard := l.shard(name)
			m, ok, err := l.ofLeader(asking, shard, get{Last: l.subject(shard, tokenOf(name), kindLog)})
			if err != nil || !ok {
				return err
			}
			heads[i], err = l.headIn(shard, m)
			return err
		})
	}
	return group.Wait()
}

// headsAtOnce asks for the newest records of many topics in one request.
func (l *Log) headsAtOnce(ctx context.Context, names []messaging.Topic, heads []messaging.Pos) error {
	// Each topic once: a request that names one twice gets one answer.
	wanted := make([]map[string]messaging.Topic, l.conf.Streams)
	for _, name := range names {
		shard := l.shard(name)
		if wanted[shard] == nil {
			wanted[shard] = map[string]messaging.Topic{}
		}
		wanted[shard][l.subject(shard, tokenOf(name), kindLog)] = name
	}
	found := make([]map[messaging.Topic]messaging.Pos, l.conf.Streams)
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(headRequests)
	for shard := range wanted {
		found[shard] = map[messaging.Topic]messaging.Pos{}
		group.Go(func() error { return l.headsOf(asking, shard, wanted[shard], found[shard]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, name := range names {
		heads[i] = found[l.shard(name)][name]
	}
	return nil
}

// headIn returns the head that the newest record of a topic says.
func (l *Log) headIn(shard int, m stored) (messaging.Pos, error) {
	r, err := decode(m.data)
	if err != nil {
		return messaging.Pos{}, l.broken(shard, m.seq)
	}
	return r.head.in(r.epoch), nil
}

// headsOf asks for the newest records of topics in one stream, by their subjects.
func (l *Log) headsOf(ctx context.Context, shard int, wanted map[string]messaging.Topic, found map[messaging.Topic]messaging.Pos) error {
	subjects := make([]string, 0, headTopics)
	ask := func() error {
		for len(subjects) > 0 {
			records, whole, err := l.many(ctx, shard, get{Lasts: subjects, MaxBytes: pageBytes})
			if err != nil {
				return err
			}
			answered := map[string]bool{}
			for _, m := range records {
				if found[wanted[m.subject]], err = l.headIn(shard, m); err != nil {
					return err
				}
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
