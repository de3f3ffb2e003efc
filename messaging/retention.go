package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Discard removes the entries of a topic whose time (the attribute of an event, or
// of a record of one) is before a given one, and returns how many. It begins with the oldest and ends at the first that is
// younger; what cannot be read, or has no time, goes with what follows it. Any
// number of nodes may do so at once.
func (t *Topics) Discard(ctx context.Context, tenant lodge.Tenant, name string, before time.Time) (int, error) {
	s := t.seals.of(tenant, name)
	after, gone := Pos{}, 0
	for {
		page, err := t.read(ctx, s, after, maxRead)
		if lost, ok := errors.AsType[*PosLostError](err); ok && after != lost.Floor {
			after = lost.Floor
			continue
		}
		if err != nil {
			return gone, err
		}
		through, n := Pos{}, 0
		for i, it := range page.Items {
			var e struct {
				Time time.Time `json:"time"`
			}
			if it.Gap || json.Unmarshal(it.Body, &e) != nil || e.Time.IsZero() {
				continue
			}
			if !e.Time.Before(before) {
				break
			}
			through, n = it.Pos, i+1
		}
		if n > 0 {
			if err := t.log.Discard(ctx, s.topic, through); err != nil {
				return gone, outward(err)
			}
			t.forget(s, through)
			gone += n
		}
		if n < len(page.Items) || !page.More {
			return gone, nil
		}
		after = through
	}
}

// forget lets go of what the node keeps of a topic up to a position, which was
// discarded. Other nodes notice for themselves (Topics.repair).
func (t *Topics) forget(s *sealer, through Pos) {
	t.mu.RLock()
	tl := t.tails[s.topic]
	t.mu.RUnlock()
	if tl == nil {
		return
	}
	tl.mu.Lock()
	defer tl.mu.Unlock()
	tl.forgetLocked(through)
}

// Compact removes the entries of a topic that its stored snapshot stands for: a
// projection that starts later needs them no more, and one that is behind takes up
// the snapshot. Without a snapshot that can be opened nothing is removed.
func (t *Topics) Compact(ctx context.Context, tenant lodge.Tenant, name string) error {
	return t.compact(ctx, t.seals.of(tenant, name))
}

func (t *Topics) compact(ctx context.Context, s *sealer) error {
	snap, rev, err := t.log.LoadSnapshot(ctx, s.topic)
	if err != nil || rev == 0 {
		return outward(err)
	}
	if _, _, err := s.openSnapshot(snap); err != nil {
		t.n.rejected.Add(1)
		t.out.Error("a snapshot was rejected; somebody may have tampered with the back end",
			s.attr(), slog.String("why", err.Error()))
		return nil
	}
	err = t.log.Discard(ctx, s.topic, snap.At)
	if err == nil {
		t.forget(s, snap.At)
	}
	if _, lost := errors.AsType[*PosLostError](err); lost {
		return nil // the topic was dropped meanwhile
	}
	return outward(err)
}

// Compact stores the state, and removes the entries that it stands for.
func (p *Projection[S]) Compact(ctx context.Context) error {
	return p.own(ctx, func() error {
		if err := p.catchUp(ctx); err != nil {
			return err
		}
		if p.since > 0 {
			p.save(ctx)
		}
		return p.t.compact(ctx, p.s)
	})
}
