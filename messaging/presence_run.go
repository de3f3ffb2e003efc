package messaging

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// movesPerPresence bounds the people in one entry of topicPresence well below
// MaxBody.
const movesPerPresence = 1000

// A localStay is a stay on this node.
type localStay struct {
	placeStay
	seen time.Time
}

// here returns who is with this node.
func (h *Hub) here(tp *tenantPresence) map[stayKey]localStay {
	all := make(map[stayKey]localStay)
	now := h.clock.Now()
	lapsed := h.lapsed(now)
	h.mu.Lock()
	for key, a := range h.people {
		if key.tenant != tp.tenant {
			continue
		}
		if p := a.presence(key.person); p.count > 0 && p.seen.After(lapsed) {
			all[stayKey{key.person, inMessages}] = localStay{placeStay{p.name, p.since.UnixMilli()}, p.seen}
		}
	}
	h.mu.Unlock()
	h.presence.mu.Lock()
	for key, s := range tp.stays {
		all[key] = localStay{placeStay{s.name, s.since.UnixMilli()}, now}
	}
	h.presence.mu.Unlock()
	return all
}

// stillHere is here for some stays alone: it costs as much as there are to look at.
func (h *Hub) stillHere(tp *tenantPresence, keys map[stayKey]struct{}) map[stayKey]localStay {
	all := make(map[stayKey]localStay, len(keys))
	now := h.clock.Now()
	lapsed := h.lapsed(now)
	h.mu.Lock()
	for key := range keys {
		if a := h.people[personKey{tp.tenant, key.person}]; key.place == inMessages && a != nil {
			if p := a.presence(key.person); p.count > 0 && p.seen.After(lapsed) {
				all[key] = localStay{placeStay{p.name, p.since.UnixMilli()}, p.seen}
			}
		}
	}
	h.mu.Unlock()
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	for key := range keys {
		if s := tp.stays[key]; s != nil {
			all[key] = localStay{placeStay{s.name, s.since.UnixMilli()}, now}
		}
	}
	return all
}

// lapsed is since when a client must have shown life to count as there: two pings
// and a pong ago.
func (h *Hub) lapsed(now time.Time) time.Time { return now.Add(-2*h.opts.PingEvery - h.opts.PongLimit) }

// runPlaces follows every tenant's presence, and leaves in order at the end.
func (h *Hub) runPlaces(ctx context.Context) {
	b := h.presence
	defer b.close()
	var tenants sync.WaitGroup
	defer tenants.Wait()
	for {
		for _, tp := range b.starting() {
			tenants.Go(func() { h.runTenant(ctx, tp) })
		}
		select {
		case <-b.start:
		case <-ctx.Done():
			return
		}
	}
}

// runTenant tells the other nodes what happens here, and Moved what happens
// anywhere.
func (h *Hub) runTenant(ctx context.Context, tp *tenantPresence) {
	beat := time.NewTicker(h.opts.HeartbeatEvery)
	defer beat.Stop()
	watch := time.NewTicker(max(h.opts.HeartbeatEvery/10, time.Millisecond))
	defer watch.Stop()
	var tell, show <-chan time.Time
	h.show(ctx, tp)
	for {
		select {
		case <-tp.wake:
			if tell == nil {
				tell = time.After(h.opts.PresenceEvery)
			}
		case <-tell:
			tell = nil
			if !h.tell(ctx, tp, false) {
				tell = time.After(h.opts.RetryEvery)
			}
		case <-beat.C:
			h.tell(ctx, tp, true)
		case <-tp.book.Changed():
			if show == nil {
				show = time.After(h.opts.PresenceEvery)
			}
		case <-show:
			show = nil
			h.show(ctx, tp)
		case <-watch.C:
			h.missSilent(ctx, tp)
		case <-ctx.Done():
			if tp.spoke {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
				defer cancel()
				h.append(last, tp, "", presenceEntry{Ends: true})
			}
			return
		}
	}
}

// tell writes down who has come and left, or, with a heartbeat, everything in
// which the topic differs from what is so. It reports whether that is done.
func (h *Hub) tell(ctx context.Context, tp *tenantPresence, heartbeat bool) bool {
	due := h.presence.takeDue(tp)
	var here map[stayKey]localStay
	if heartbeat {
		here = h.here(tp)
	} else {
		here = h.stillHere(tp, due)
	}
	var in, out []presenceStay
	err := tp.book.View(ctx, func(s *presences) {
		own := s.Nodes[h.presence.node]
		check := due
		if heartbeat {
			check = maps.Clone(due)
			for key := range here {
				check[key] = struct{}{}
			}
			for key := range own.all() {
				check[key] = struct{}{}
			}
		}
		for key := range check {
			stay, is := here[key]
			switch was := own.has(key); {
			case is && !was:
				in = append(in, presenceStay{Person: key.person, Place: key.place, Name: stay.Name, Since: stay.Since})
			case !is && was:
				out = append(out, presenceStay{Person: key.person, Place: key.place})
			}
		}
	})
	done := err == nil
	for done && (len(in)+len(out) > 0 || heartbeat && len(here) > 0) {
		heartbeat = false
		var e presenceEntry
		e.Out, out = cut(out, movesPerPresence)
		e.In, in = cut(in, movesPerPresence-len(e.Out))
		done = h.append(ctx, tp, "", e)
	}
	if !done {
		h.presence.giveBack(tp, due)
	}
	return done
}

func cut[T any](all []T, n int) (first, rest []T) {
	n = min(n, len(all))
	return all[:n], all[n:]
}

// append writes one entry; an empty id is a new one.
func (h *Hub) append(ctx context.Context, tp *tenantPresence, id string, e presenceEntry) bool {
	tp.spoke = true
	e.Node, e.At = h.presence.node, h.clock.Now().UTC()
	body, err := json.Marshal(e)
	if err == nil {
		err = tp.book.Append(ctx, Message{ID: id, Body: body})
	}
	if err != nil && ctx.Err() == nil {
		h.opts.Logger.WarnContext(ctx, "messages: presence is not shared with the other nodes; trying again", "tenant", tp.tenant, "error", err)
	}
	return err == nil
}

// show tells Moved what has changed since the last time.
func (h *Hub) show(ctx context.Context, tp *tenantPresence) {
	there, err := h.look(ctx, tp)
	if err != nil {
		if ctx.Err() == nil {
			h.opts.Logger.WarnContext(ctx, "messages: presence cannot be read", "tenant", tp.tenant, "error", err)
		}
		return
	}
	was := tp.told
	tp.told = there
	if was == nil || h.opts.Moved == nil {
		return
	}
	if all := moves(was, there); len(all) > 0 {
		h.opts.Moved(ctx, tp.tenant, all)
	}
}

// missSilent notices nodes whose lease has run out, and after as long again has
// them forgotten by all: they crashed.
func (h *Hub) missSilent(ctx context.Context, tp *tenantPresence) {
	b, now := h.presence, h.clock.Now()
	if !tp.missed(b.silent(tp, now, b.lease)) {
		h.show(ctx, tp)
	}
	for id, seen := range b.silent(tp, now, 2*b.lease) {
		// Whichever node says so first, it is one entry.
		h.append(ctx, tp, "lapsed-"+id+"-"+seen.Format(time.RFC3339Nano), presenceEntry{Lapsed: map[string]time.Time{id: seen}})
	}
}

// missed reports whether nobody who is with one of these nodes counts as there.
func (tp *tenantPresence) missed(silent map[string]time.Time) bool {
	known := slices.Sorted(maps.Keys(silent))
	same := slices.Equal(known, tp.silent)
	tp.silent = known
	return same
}

// all returns who is with a node, which may be nil.
func (n *nodePresence) all() map[stayKey]struct{} {
	all := make(map[stayKey]struct{})
	if n == nil {
		return all
	}
	for place, people := range n.Places {
		for person := range people {
			all[stayKey{person, place}] = struct{}{}
		}
	}
	return all
}
