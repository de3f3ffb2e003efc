package messaging

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/lodge-gateway/lodge"
)

// maxRead bounds the items of one call.
const maxRead = 1000

// Read returns up to limit items after a position (at least 1, at most 1,000),
// oldest first; the zero Pos means from the very first entry. A position that
// is not in the topic, also the zero one after a discard, gives *PosLostError.
//
// Every entry is checked to be genuine and to follow on the one before, the
// first on the caller's position. In place of entries that are not comes one
// item with Gap set; the reader goes on behind it.
func (t *Topics) Read(ctx context.Context, tenant lodge.Tenant, name string, after Pos, limit int) (OpenPage, error) {
	return t.read(ctx, t.seals.of(tenant, name), after, limit)
}

// ReadBack returns up to limit items before a position (at least 1, at most
// 1,000), newest first; the zero Pos means from the head. Errors and gaps are
// those of Read, the Pos of a gap being that of its oldest entry.
func (t *Topics) ReadBack(ctx context.Context, tenant lodge.Tenant, name string, before Pos, limit int) (OpenPage, error) {
	return t.readBack(ctx, t.seals.of(tenant, name), before, limit)
}

func (t *Topics) read(ctx context.Context, s *sealer, after Pos, limit int) (OpenPage, error) {
	page, err := t.log.Read(ctx, s.topic, after, clampRead(limit))
	if err != nil {
		return OpenPage{}, outward(err)
	}
	prev := after
	in := inspection{t: t, s: s}
	for _, e := range page.Entries {
		if !prev.IsZero() && e.Pos.Epoch == prev.Epoch && e.Pos.Seq <= prev.Seq {
			in.note(e, errReplayed) // nothing is missing, so it is no gap
			continue
		}
		if body, err := s.open(prev, e); err != nil {
			in.reject(e, e.Pos, err)
		} else {
			in.items = append(in.items, Item{Pos: e.Pos, ID: e.ID, Body: body})
		}
		prev = e.Pos
	}
	in.report()
	if prev == after && (len(page.Entries) > 0 || page.More) {
		return OpenPage{}, outward(fmt.Errorf("%w: it does not go on behind sequence number %d", ErrUnavailable, prev.Seq))
	}
	return OpenPage{Items: in.items, More: page.More, Floor: page.Floor, Head: page.Head}, nil
}

func (t *Topics) readBack(ctx context.Context, s *sealer, before Pos, limit int) (OpenPage, error) {
	limit = clampRead(limit)
	// One more: an entry is checked against the position of the one before it.
	page, err := t.log.ReadBack(ctx, s.topic, before, limit+1)
	if err != nil {
		return OpenPage{}, outward(err)
	}
	if page.More && len(page.Entries) == 1 {
		// Large bodies can make a page short. This one is known to have a
		// predecessor, so ask for that, too.
		older, err := t.log.ReadBack(ctx, s.topic, page.Entries[0].Pos, 1)
		if err != nil {
			return OpenPage{}, outward(err)
		}
		page.Entries = append(page.Entries, older.Entries...)
	}
	entries, oldest, more := page.Entries, page.Floor, page.More
	if n := len(entries); n > 0 && (more || n > limit) {
		oldest, entries, more = entries[n-1].Pos, entries[:n-1], true
	}
	if len(entries) == 0 && more {
		return OpenPage{}, outward(fmt.Errorf("%w: it does not go on before sequence number %d", ErrUnavailable, before.Seq))
	}
	in := inspection{t: t, s: s}
	for i, e := range entries {
		prev := oldest
		if i+1 < len(entries) {
			prev = entries[i+1].Pos
		}
		body, err := s.open(prev, e)
		if i == 0 && !before.IsZero() && (e.Pos.Epoch != before.Epoch || e.Pos.Seq+1 != before.Seq) {
			err = errOutOfPlace
		}
		if err != nil {
			in.reject(e, e.Pos, err)
		} else {
			in.items = append(in.items, Item{Pos: e.Pos, ID: e.ID, Body: body})
		}
	}
	in.report()
	return OpenPage{Items: in.items, More: more, Floor: page.Floor, Head: page.Head}, nil
}

func clampRead(limit int) int { return min(max(limit, 1), maxRead) }

// An inspection collects what was found in one page.
type inspection struct {
	t     *Topics
	s     *sealer
	items []Item

	rejected int
	first    Pos   // the first one rejected
	why      error // and why it was
}

// reject puts a gap in place of an entry: reading goes on at pos. Rejected
// entries in a row are one gap.
func (in *inspection) reject(e Entry, pos Pos, why error) {
	in.note(e, why)
	if n := len(in.items); n > 0 && in.items[n-1].Gap {
		in.items[n-1].Pos = pos
		return
	}
	in.t.n.gaps.Add(1)
	in.items = append(in.items, Item{Pos: pos, Gap: true})
}

// note counts an entry as rejected.
func (in *inspection) note(e Entry, why error) {
	if in.rejected == 0 {
		in.first, in.why = e.Pos, why
	}
	in.rejected++
	in.t.n.rejected.Add(1)
}

// report names in the log what was rejected, once a page.
func (in *inspection) report() {
	if in.rejected == 0 {
		return
	}
	in.t.out.Error("entries of the message log were rejected; somebody may have tampered with the back end",
		in.s.attr(), slog.Int("entries", in.rejected), slog.Uint64("first", in.first.Seq), slog.String("why", in.why.Error()))
}

// attr names the topic in the log.
func (s *sealer) attr() slog.Attr {
	return slog.Group("topic",
		slog.String("tenant", string(s.tenant)), slog.String("name", s.name), slog.String("physical", string(s.topic)))
}
