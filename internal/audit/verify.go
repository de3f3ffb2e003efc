package audit

import (
	"context"
	"errors"
	"fmt"
)

const (
	verifyPage  = 1000
	maxFindings = 100
)

// What a Finding is about.
const (
	FoundChanged = "changed" // the entry is not what was written
	FoundMissing = "missing" // entries within the trail are not there
	FoundCut     = "cut"     // the trail ends before its head, or the head is another
	FoundHead    = "head"    // the file with the head is missing or unreadable
	FoundBroken  = "broken"  // an entry tells that tampering was noticed at that place before
)

// A Finding names what is wrong.
type Finding struct {
	Kind string `json:"kind"`
	Seq  uint64 `json:"seq"` // the entry; the first of those that are missing
	What string `json:"what"`
}

// A Report is what Verify found.
type Report struct {
	After    uint64    `json:"after"`   // verified from behind this entry
	Entries  uint64    `json:"entries"` // entries read
	Head     Head      `json:"head"`    // the newest one read
	Anchor   Head      `json:"anchor"`  // what the file outside the database says
	Findings []Finding `json:"findings"`
}

// Intact reports whether nothing was found.
func (r Report) Intact() bool { return len(r.Findings) == 0 }

func (r *Report) find(kind string, seq uint64, format string, args ...any) {
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, Finding{Kind: kind, Seq: seq, What: fmt.Sprintf(format, args...)})
	}
}

// Verify is the function Verify for an open trail.
func (t *Trail) Verify(ctx context.Context, after uint64) (Report, error) {
	return Verify(ctx, t.store, t.seal.key, t.anchor.path, after)
}

// Verify reads a trail behind an entry, 0 for the whole of it, and reports what
// was changed, is missing or was cut off. At most 100 findings are named. It
// changes nothing. The error is a failure to read, which says nothing about the
// trail.
func Verify(ctx context.Context, store Store, key []byte, headFile string, after uint64) (Report, error) {
	seal := sealer{key}
	r := Report{After: after, Head: Head{MAC: seal.genesis()}, Findings: []Finding{}}
	// Before the entries: what is recorded meanwhile is behind it.
	anchor, err := anchorFile{headFile}.read()
	switch {
	case errors.Is(err, errNoAnchor), errors.Is(err, errBadAnchor):
		r.find(FoundHead, 0, "the head file is missing or not readable: nobody can tell whether the newest entries were cut off")
	case err != nil:
		return r, err
	}
	anchored := err == nil
	r.Anchor = anchor
	if after > 0 {
		start, err := store.Read(ctx, after-1, 1)
		if err != nil {
			return r, err
		}
		if len(start) == 0 || start[0].Seq != after {
			r.find(FoundMissing, after, "entry %d, behind which to begin, is missing", after)
			return r, nil
		}
		r.Head = Head{after, start[0].MAC}
	}
	matched := anchored && r.Head == anchor
	for {
		page, err := store.Read(ctx, r.Head.Seq, verifyPage)
		if err != nil {
			return r, err
		}
		for i := range page {
			r.look(seal, &page[i])
			matched = matched || anchored && r.Head == anchor
		}
		if len(page) < verifyPage {
			break
		}
	}
	switch {
	case !anchored || matched || anchor.Seq < after:
	case anchor.Seq > r.Head.Seq:
		r.find(FoundCut, r.Head.Seq+1, "entries %d to %d were cut off: the head file holds entry %d and the trail ends with %d", r.Head.Seq+1, anchor.Seq, anchor.Seq, r.Head.Seq)
	default:
		r.find(FoundCut, anchor.Seq, "entry %d is not the one in the head file: the trail was cut before it and written on, or the head file was changed", anchor.Seq)
	}
	return r, nil
}

// look takes the next entry.
func (r *Report) look(seal sealer, e *Entry) {
	switch {
	case e.Seq != r.Head.Seq+1:
		// What it was chained to is not there to check it by.
		r.find(FoundMissing, r.Head.Seq+1, "%s missing", entries(r.Head.Seq+1, e.Seq-1))
	case seal.mac(r.Head.MAC, e) != e.MAC:
		r.find(FoundChanged, e.Seq, "entry %d is not what was written, or not where it was", e.Seq)
	case e.Action == Broken:
		r.find(FoundBroken, e.Seq, "at entry %d it was noticed that %s", e.Seq, e.Reason)
	}
	r.Head = Head{e.Seq, e.MAC}
	r.Entries++
}

func entries(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("entry %d is", from)
	}
	return fmt.Sprintf("entries %d to %d are", from, to)
}
