package messagingtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// patience is how long anything may take before it counts as stuck.
const patience = time.Minute

// topic is the one that a property uses when it needs no more.
const topic messaging.Topic = "topic"

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// msg makes a message with a body and a tag of its own.
func msg(id string) messaging.Msg {
	sum := sha256.Sum256([]byte(id))
	return messaging.Msg{ID: id, Tag: messaging.Tag(sum[:8]), Body: []byte("body of " + id)}
}

func msgs(prefix string, n int) []messaging.Msg {
	all := make([]messaging.Msg, n)
	for i := range all {
		all[i] = msg(fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

// put appends and returns the positions.
func put(t *testing.T, log messaging.Log, name messaging.Topic, all ...messaging.Msg) []messaging.Pos {
	t.Helper()
	added, err := log.Append(within(t), name, all, nil)
	if err != nil {
		t.Fatalf("append to %q: %v", name, err)
	}
	if len(added) != len(all) {
		t.Fatalf("append of %d answered with %d positions", len(all), len(added))
	}
	at := make([]messaging.Pos, len(added))
	for i, a := range added {
		at[i] = a.Pos
	}
	return at
}

// fill appends n messages in a few batches and returns them as entries.
func fill(t *testing.T, log messaging.Log, name messaging.Topic, prefix string, n int) []messaging.Entry {
	t.Helper()
	var entries []messaging.Entry
	for batch := range slices.Chunk(msgs(prefix, n), 7) {
		for i, pos := range put(t, log, name, batch...) {
			entries = append(entries, messaging.Entry{Pos: pos, ID: batch[i].ID, Body: batch[i].Body})
		}
	}
	return entries
}

// page reads and fails on an error.
func page(t *testing.T, log messaging.Log, name messaging.Topic, after messaging.Pos, limit int) messaging.Page {
	t.Helper()
	p, err := log.Read(within(t), name, after, limit)
	if err != nil {
		t.Fatalf("read %q after %d: %v", name, after.Seq, err)
	}
	return p
}

// all reads from a position to the end, page by page.
func all(t *testing.T, log messaging.Log, name messaging.Topic, after messaging.Pos, limit int) []messaging.Entry {
	t.Helper()
	var entries []messaging.Entry
	for {
		p := page(t, log, name, after, limit)
		entries = append(entries, p.Entries...)
		if !p.More {
			return entries
		}
		if len(p.Entries) == 0 {
			t.Fatal("a page says there is more and brings nothing")
		}
		after = p.Entries[len(p.Entries)-1].Pos
	}
}

// allBack reads from a position to the floor, newest first, page by page.
func allBack(t *testing.T, log messaging.Log, name messaging.Topic, before messaging.Pos, limit int) []messaging.Entry {
	t.Helper()
	var entries []messaging.Entry
	for {
		p, err := log.ReadBack(within(t), name, before, limit)
		if err != nil {
			t.Fatalf("read back %q before %d: %v", name, before.Seq, err)
		}
		entries = append(entries, p.Entries...)
		if !p.More {
			return entries
		}
		if len(p.Entries) == 0 {
			t.Fatal("a page says there is more and brings nothing")
		}
		before = p.Entries[len(p.Entries)-1].Pos
	}
}

// same fails unless two runs of entries are equal to the byte.
func same(t *testing.T, what string, got, want []messaging.Entry) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d entries %s, want %d %s", what, len(got), ids(got), len(want), ids(want))
	}
	for i := range got {
		if got[i].Pos != want[i].Pos || got[i].ID != want[i].ID {
			t.Fatalf("%s: entry %d is %q at %+v, want %q at %+v", what, i, got[i].ID, got[i].Pos, want[i].ID, want[i].Pos)
		}
		if !bytes.Equal(got[i].Body, want[i].Body) {
			t.Fatalf("%s: the body of %q differs (%d bytes, want %d)", what, got[i].ID, len(got[i].Body), len(want[i].Body))
		}
	}
}

func ids(entries []messaging.Entry) string {
	var b bytes.Buffer
	for i, e := range entries {
		if i == 20 {
			b.WriteString(" …")
			break
		}
		fmt.Fprintf(&b, " %s@%d", e.ID, e.Pos.Seq)
	}
	return "[" + b.String() + " ]"
}

func reversed(entries []messaging.Entry) []messaging.Entry {
	r := slices.Clone(entries)
	slices.Reverse(r)
	return r
}

func headOf(t *testing.T, log messaging.Log, name messaging.Topic) messaging.Pos {
	t.Helper()
	heads, err := log.Heads(within(t), []messaging.Topic{name})
	if err != nil || len(heads) != 1 {
		t.Fatalf("heads: %v, %v", heads, err)
	}
	return heads[0]
}

// isLost fails unless err is a *PosLostError with these bounds.
func isLost(t *testing.T, what string, err error, floor, head messaging.Pos) {
	t.Helper()
	lost, ok := errors.AsType[*messaging.PosLostError](err)
	if !ok {
		t.Fatalf("%s: %v, want *PosLostError", what, err)
	}
	if lost.Floor != floor || lost.Head != head {
		t.Fatalf("%s: lost with floor %+v and head %+v, want %+v and %+v", what, lost.Floor, lost.Head, floor, head)
	}
}

func discard(t *testing.T, log messaging.Log, name messaging.Topic, through messaging.Pos) {
	t.Helper()
	if err := log.Discard(within(t), name, through); err != nil {
		t.Fatalf("discard %q through %d: %v", name, through.Seq, err)
	}
}

func drop(t *testing.T, log messaging.Log, name messaging.Topic) {
	t.Helper()
	if err := log.Drop(within(t), name); err != nil {
		t.Fatalf("drop %q: %v", name, err)
	}
}

func closeLog(t *testing.T, log messaging.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}
