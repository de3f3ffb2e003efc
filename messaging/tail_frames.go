package messaging

import (
	"context"
	"log/slog"
	"time"
)

// What one read of a tail's frames returns at most.
const (
	pageSize   = 64
	batchBytes = 64 << 10
)

// A ringItem is an item of a tail's ring, and its frame once somebody asked for
// it.
type ringItem struct {
	Item
	frame *frame
}

// frames appends to dst the frames that the ring has after pos, as many as fit
// in a batch and none behind a gap, and says whether pos is in the ring at all.
// version is the tail's as of then: as long as it stays, there is nothing new
// behind the last of them, unless more says that there is already.
func (tl *Tail) frames(pos Pos, dst []*frame) (frames []*frame, version uint64, more, ok bool) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	from, ok := tl.find(pos)
	if !ok {
		return dst, 0, false, false
	}
	version = tl.version.Load()
	bytes := 0
	for i := from; i < len(tl.items); i++ {
		it := &tl.items[i]
		if it.frame == nil {
			it.frame = tl.frame(it.Item)
		}
		bytes += len(it.frame.wire)
		if len(dst) > 0 && (len(dst) == pageSize || bytes > batchBytes || it.frame.gap) {
			return dst, version, true, true
		}
		dst = append(dst, it.frame)
		if it.frame.gap {
			return dst, version, i+1 < len(tl.items), true
		}
	}
	tl.t.n.ringReads.Add(1)
	return dst, version, false, true
}

// has reports whether the ring reaches back to a position.
func (tl *Tail) has(pos Pos) bool {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	_, ok := tl.find(pos)
	return ok
}

// frame makes the frame of an item, and says in the log when it holds none.
func (tl *Tail) frame(item Item) *frame {
	f, err := entryFrame(tl.s.name, item)
	if err != nil {
		tl.t.out.Error("messages: an entry is not an event", tl.s.attr(), slog.String("id", item.ID), slog.Uint64("sequence", item.Pos.Seq), slog.Any("error", err))
	}
	return f
}

// log reads items after a position from the log, whatever the ring has.
func (tl *Tail) log(ctx context.Context, pos Pos) (OpenPage, error) {
	tl.t.n.logReads.Add(1)
	return tl.t.read(ctx, tl.s, pos, feedPage)
}

// history returns the position behind which the topic has n entries, or all of
// them if there are fewer, if the ring can tell.
func (tl *Tail) history(n int) (Pos, bool) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	switch older := len(tl.items) - n; {
	case !tl.ready:
		return Pos{}, false
	case older > 0:
		return tl.items[older-1].Pos, true
	case older == 0, tl.whole:
		return tl.start, true
	}
	return Pos{}, false
}

// prepend puts items that were read from the log after a position in front of
// the ring, as many as it may hold, if they reach it. whole says that the topic
// has nothing before them.
func (tl *Tail) prepend(before Pos, items []Item, whole bool) bool {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	if !tl.ready {
		return false
	}
	n := len(items)
	for n > 0 && items[n-1].Pos != tl.start {
		n--
	}
	if n == 0 || before.Epoch != 0 && before.Epoch != tl.start.Epoch {
		return false
	}
	items = items[:n]
	from, bytes := n, tl.bytes
	for from > 0 && len(tl.items)+n-from < tl.t.opts.Ring && bytes+len(items[from-1].Body) <= maxRingBytes {
		from--
		bytes += len(items[from].Body)
	}
	if from == n {
		return false
	}
	tl.start, tl.whole = before, whole
	if from > 0 {
		tl.start, tl.whole = items[from-1].Pos, false
	}
	ring := make([]ringItem, 0, n-from+len(tl.items))
	for _, it := range items[from:] {
		ring = append(ring, ringItem{Item: it})
	}
	tl.items, tl.bytes, tl.fed = append(ring, tl.items...), bytes, time.Now()
	return true
}
