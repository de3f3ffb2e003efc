package messaging_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A tamperedLog is a back end in the hands of somebody else: it serves, of
// every topic, the entries they want, as a well-behaved log would.
type tamperedLog struct {
	messaging.Log
	entries []messaging.Entry
}

// tampered takes everything out of a topic and lets edit have its way with it.
func tampered(t testing.TB, log messaging.Log, topic messaging.Topic, edit func([]messaging.Entry) []messaging.Entry) *tamperedLog {
	t.Helper()
	page, err := log.Read(context.Background(), topic, messaging.Pos{}, 1<<20)
	if err != nil || page.More {
		t.Fatal(err)
	}
	return &tamperedLog{Log: log, entries: edit(page.Entries)}
}

func (l *tamperedLog) bounds() (page messaging.Page) {
	if n := len(l.entries); n > 0 {
		page.Head = l.entries[n-1].Pos
	}
	return page
}

func (l *tamperedLog) find(p messaging.Pos) (int, error) {
	if p.IsZero() {
		return 0, nil
	}
	i := slices.IndexFunc(l.entries, func(e messaging.Entry) bool { return e.Pos == p })
	if i < 0 {
		return 0, &messaging.PosLostError{Head: l.bounds().Head}
	}
	return i + 1, nil
}

func (l *tamperedLog) Read(_ context.Context, _ messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	n, err := l.find(after)
	page := l.bounds()
	rest := l.entries[n:]
	page.Entries, page.More = rest[:min(limit, len(rest))], len(rest) > limit
	return page, err
}

func (l *tamperedLog) ReadBack(_ context.Context, _ messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	n, err := l.find(before)
	if before.IsZero() {
		n = len(l.entries) + 1
	}
	page := l.bounds()
	rest := slices.Clone(l.entries[:max(n-1, 0)])
	slices.Reverse(rest)
	page.Entries, page.More = rest[:min(limit, len(rest))], len(rest) > limit
	return page, err
}

func (l *tamperedLog) Heads(_ context.Context, topics []messaging.Topic) ([]messaging.Pos, error) {
	heads := make([]messaging.Pos, len(topics))
	for i := range heads {
		heads[i] = l.bounds().Head
	}
	return heads, nil
}

// renumber gives entries the sequence numbers that their places have.
func renumber(entries []messaging.Entry) []messaging.Entry {
	for i := range entries {
		entries[i].Pos.Seq = uint64(i + 1)
	}
	return entries
}

func TestNothingFalseIsDelivered(t *testing.T) {
	type entries = []messaging.Entry
	flip := func(e *messaging.Entry) {
		e.Body = bytes.Clone(e.Body)
		e.Body[len(e.Body)/2] ^= 1
	}
	log := newLog(t)
	spy := &spyLog{Log: log}
	var foreign, neighbours entries
	node := newNode(t, spy, messaging.TopicsOptions{})
	take := func(tenant lodge.Tenant, name string) entries {
		appendAll(t, node, tenant, name, numbered(6)...)
		page, err := log.Read(t.Context(), spy.last(), messaging.Pos{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return page.Entries
	}
	foreign, neighbours = take("u", "all"), take("t", "user:p")
	appendAll(t, node, "t", "all", numbered(6)...)
	topic := spy.last()

	for name, c := range map[string]struct {
		edit     func(entries) entries
		forward  string // what is delivered, "!" for a gap
		backward string
	}{
		"untouched": {func(es entries) entries { return es }, "m01 m02 m03 m04 m05 m06", "m06 m05 m04 m03 m02 m01"},
		"altered":   {func(es entries) entries { flip(&es[2]); return es }, "m01 m02 ! m04 m05 m06", "m06 m05 m04 ! m02 m01"},
		"two apart": {func(es entries) entries { flip(&es[1]); flip(&es[3]); return es }, "m01 ! m03 ! m05 m06", "m06 m05 ! m03 ! m01"},
		"two together, one gap": {func(es entries) entries { flip(&es[1]); flip(&es[2]); return es },
			"m01 ! m04 m05 m06", "m06 m05 m04 ! m01"},
		"the ID altered": {func(es entries) entries { es[2].ID = "m09"; return es }, "m01 m02 ! m04 m05 m06", "m06 m05 m04 ! m02 m01"},
		"the tag altered": {func(es entries) entries { es[2].Pos.Tag[0]++; return es },
			"m01 m02 ! m05 m06", "m06 m05 ! m02 m01"}, // m04 follows on nothing any more
		"forged in the middle": {func(es entries) entries {
			es[2].Body = []byte("\x02\x02k1 forged by who has no key, but quite long enough")
			return es
		}, "m01 m02 ! m04 m05 m06", "m06 m05 m04 ! m02 m01"},
		"forged at the end": {func(es entries) entries {
			e := es[5]
			e.ID, e.Pos.Seq, e.Pos.Tag = "forged", 7, messaging.Tag{1}
			return append(es, e)
		}, "m01 m02 m03 m04 m05 m06 !", "! m06 m05 m04 m03 m02 m01"},
		"replayed at the end": {func(es entries) entries { return renumber(append(es, es[2])) },
			"m01 m02 m03 m04 m05 m06 !", "! m06 m05 m04 m03 m02 m01"},
		"replayed under another ID": {func(es entries) entries {
			e := es[2]
			e.ID = "m07"
			return renumber(append(es, e))
		}, "m01 m02 m03 m04 m05 m06 !", "! m06 m05 m04 m03 m02 m01"},
		"removed, leaving a hole": {func(es entries) entries { return slices.Delete(es, 2, 3) },
			"m01 m02 ! m05 m06", "m06 m05 ! m02 m01"},
		"removed, closing the hole": {func(es entries) entries { return renumber(slices.Delete(es, 2, 3)) },
			"m01 m02 !", "! m02 m01"},
		"the first removed":        {func(es entries) entries { return es[1:] }, "! m03 m04 m05 m06", "m06 m05 m04 m03 !"},
		"the first removed, moved": {func(es entries) entries { return renumber(es[1:]) }, "!", "!"},
		"reordered":                {func(es entries) entries { es[2], es[3] = es[3], es[2]; return renumber(es) }, "m01 m02 ! m06", "m06 ! m02 m01"},
		"reordered with their numbers": {func(es entries) entries { es[2], es[3] = es[3], es[2]; return es },
			"m01 m02 ! m05 m06", "m06 ! m02 m01"},
		"another epoch": {func(es entries) entries {
			for i := range es {
				es[i].Pos.Epoch++
			}
			return es
		}, "m01 !", "! m01"}, // when the first was sealed there was no epoch yet
		"another tenant's": {func(es entries) entries { copy(es[2:], foreign[2:]); return es }, "m01 m02 !", "! m02 m01"},
		"another topic's":  {func(es entries) entries { copy(es, neighbours); return es }, "!", "!"},
		"one of another topic's": {func(es entries) entries {
			es[2].Body, es[2].Pos.Tag = neighbours[2].Body, neighbours[2].Pos.Tag
			return es
		}, "m01 m02 ! m05 m06", "m06 m05 ! m02 m01"},
		"the end cut off": {func(es entries) entries { return es[:3] }, "m01 m02 m03", "m03 m02 m01"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			node := newNode(t, tampered(t, log, topic, c.edit), messaging.TopicsOptions{Logger: slog.New(slog.NewTextHandler(&out, nil))})
			page, err := node.Read(t.Context(), "t", "all", messaging.Pos{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(page.Items); got != c.forward {
				t.Errorf("delivered %q, want %q", got, c.forward)
			}
			n := node.Stats()
			if gaps := uint64(strings.Count(c.forward, "!")); n.Gaps != gaps || (n.Rejected > 0) != (gaps > 0) {
				t.Errorf("%d gaps are counted, of %d rejected entries; want %d", n.Gaps, n.Rejected, gaps)
			}
			if named := strings.Contains(out.String(), "topic.tenant=t topic.name=all"); named != strings.Contains(c.forward, "!") {
				t.Errorf("the log says %q", out.String())
			}
			back, err := node.ReadBack(t.Context(), "t", "all", messaging.Pos{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(back.Items); got != c.backward {
				t.Errorf("backward, delivered %q, want %q", got, c.backward)
			}
		})
	}
}

// TestTamperingIsNeverDelivered edits a topic in any way that comes to mind:
// what is delivered is what was appended, where it was appended, in order, and
// a reader who went through everything there was met a gap if anything in the
// middle was touched.
func TestTamperingIsNeverDelivered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newLog(t)
		spy := &spyLog{Log: log}
		node := newNode(t, spy, messaging.TopicsOptions{})
		for i := 0; i < 12; {
			n := rapid.IntRange(1, 4).Draw(rt, "batch")
			msgs := make([]messaging.Message, n)
			for j := range msgs {
				i++
				msgs[j] = message("", fmt.Sprint(i))
			}
			if _, err := node.Append(t.Context(), "t", "all", msgs...); err != nil {
				rt.Fatal(err)
			}
		}
		original := make(map[messaging.Pos]string)
		for _, it := range readAll(t, node, "t", "all", messaging.Pos{}) {
			original[it.Pos] = it.ID + "=" + string(it.Body)
		}
		var before []messaging.Entry
		evil := newNode(t, tampered(t, log, spy.last(), func(es []messaging.Entry) []messaging.Entry {
			before = slices.Clone(es)
			for range rapid.IntRange(1, 4).Draw(rt, "edits") {
				i := rapid.IntRange(0, len(es)-1).Draw(rt, "i")
				j := rapid.IntRange(0, len(es)-1).Draw(rt, "j")
				switch rapid.SampledFrom([]string{"swap", "delete", "insert", "flip", "tag", "id", "renumber"}).Draw(rt, "edit") {
				case "swap":
					es[i], es[j] = es[j], es[i]
				case "delete":
					es = slices.Delete(es, i, i+1)
				case "insert":
					es = slices.Insert(es, i, es[j])
				case "flip":
					es[i].Body = bytes.Clone(es[i].Body)
					es[i].Body[rapid.IntRange(0, len(es[i].Body)-1).Draw(rt, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
				case "tag":
					es[i].Pos.Tag[0] ^= 1
				case "id":
					es[i].ID += "x"
				case "renumber":
					es = renumber(es)
				}
			}
			return es
		}), messaging.TopicsOptions{})
		page, err := evil.Read(t.Context(), "t", "all", messaging.Pos{}, 1000)
		if err != nil {
			if lodge.CodeOf(err) != lodge.CodeUnavailable {
				rt.Fatal(err)
			}
			return
		}
		var last uint64
		gap := false
		for _, it := range page.Items {
			if it.Gap {
				gap = true
				continue
			}
			if original[it.Pos] != it.ID+"="+string(it.Body) || it.Pos.Seq <= last {
				rt.Fatalf("delivered %+v behind %d", it, last)
			}
			last = it.Pos.Seq
		}
		got := len(page.Items)
		if !gap && (got > len(before) || evil.Stats().Rejected == 0 && last != uint64(got)) {
			rt.Fatalf("%d items and no gap", got)
		}
	})
}

func TestReadingGoesOnFromEveryPosition(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	topics := newNode(t, spy, messaging.TopicsOptions{})
	ids := numbered(30)
	at := append([]messaging.Pos{{}}, appendAll(t, topics, "t", "all", ids...)...)
	for i, pos := range at {
		if got, want := show(readAll(t, topics, "t", "all", pos)), strings.Join(ids[i:], " "); got != want {
			t.Fatalf("from %d: %q", i, got)
		}
		if i == 0 {
			continue
		}
		page, err := topics.ReadBack(testContext(t), "t", "all", pos, 5)
		want := slices.Clone(ids[max(0, i-6) : i-1])
		slices.Reverse(want)
		if err != nil || show(page.Items) != strings.Join(want, " ") || page.More != (i > 6) {
			t.Fatalf("back from %d: %q, more %v, %v", i, show(page.Items), page.More, err)
		}
	}
	if err := log.Discard(testContext(t), spy.last(), at[10]); err != nil {
		t.Fatal(err)
	}
	if got, want := show(readAll(t, topics, "t", "all", at[10])), strings.Join(ids[10:], " "); got != want {
		t.Errorf("from the floor: %q", got)
	}
	page, err := topics.ReadBack(testContext(t), "t", "all", at[13], 5)
	if err != nil || show(page.Items) != "m12 m11" || page.More {
		t.Errorf("back to the floor: %q, more %v, %v", show(page.Items), page.More, err)
	}
	wrongTag := at[20]
	wrongTag.Tag[0]++
	for name, pos := range map[string]messaging.Pos{"zero": {}, "below the floor": at[9], "wrong tag": wrongTag, "future": {Epoch: at[20].Epoch, Seq: 99}} {
		_, err := topics.Read(testContext(t), "t", "all", pos, 1)
		if lost, ok := errors.AsType[*messaging.PosLostError](err); !ok || lost.Floor != at[10] || lost.Head != at[30] {
			t.Errorf("%s: %v", name, err)
		}
	}
	if page, err := topics.Read(testContext(t), "t", "nobody wrote to it", messaging.Pos{}, 0); err != nil || len(page.Items) > 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestReadingBackNoticesWhatIsMissingBeforeItsPosition(t *testing.T) {
	log := newLog(t)
	spy := &spyLog{Log: log}
	at := appendAll(t, newNode(t, spy, messaging.TopicsOptions{}), "t", "all", numbered(6)...)
	node := newNode(t, tampered(t, log, spy.last(), func(es []messaging.Entry) []messaging.Entry {
		return slices.Delete(es, 3, 4)
	}), messaging.TopicsOptions{})
	page, err := node.ReadBack(t.Context(), "t", "all", at[4], 10)
	if err != nil || show(page.Items) != "! m02 m01" {
		t.Errorf("%q, %v", show(page.Items), err)
	}
}

// shortLog returns one entry a page, as a back end may with large bodies.
type shortLog struct{ messaging.Log }

func (l shortLog) Read(ctx context.Context, topic messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	return l.Log.Read(ctx, topic, after, min(limit, 1))
}

func (l shortLog) ReadBack(ctx context.Context, topic messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	return l.Log.ReadBack(ctx, topic, before, min(limit, 1))
}

func TestShortPagesAreNoGap(t *testing.T) {
	log := newLog(t)
	topics := newNode(t, shortLog{log}, messaging.TopicsOptions{})
	appendAll(t, topics, "t", "all", numbered(4)...)
	if got := show(readAll(t, topics, "t", "all", messaging.Pos{})); got != "m01 m02 m03 m04" {
		t.Errorf("forward %q", got)
	}
	var got []messaging.Item
	var before messaging.Pos
	for more := true; more; before = got[len(got)-1].Pos {
		page, err := topics.ReadBack(testContext(t), "t", "all", before, 3)
		if err != nil {
			t.Fatal(err)
		}
		got, more = append(got, page.Items...), page.More
	}
	if show(got) != "m04 m03 m02 m01" {
		t.Errorf("backward %q", show(got))
	}
	if n := topics.Stats(); n.Rejected > 0 {
		t.Errorf("%+v", n)
	}
}

// circularLog always begins again.
type circularLog struct{ messaging.Log }

func (l circularLog) Read(ctx context.Context, topic messaging.Topic, _ messaging.Pos, limit int) (messaging.Page, error) {
	page, err := l.Log.Read(ctx, topic, messaging.Pos{}, limit)
	page.More = true
	return page, err
}

func TestALogThatRunsInCirclesIsAnError(t *testing.T) {
	log := newLog(t)
	topics := newNode(t, circularLog{log}, messaging.TopicsOptions{})
	at := appendAll(t, topics, "t", "all", numbered(3)...)
	if _, err := topics.Read(testContext(t), "t", "all", at[2], 10); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("%v", err)
	}
	page, err := topics.Read(testContext(t), "t", "all", at[1], 10)
	if err != nil || show(page.Items) != "m03" {
		t.Errorf("%q, %v", show(page.Items), err)
	}
	if n := topics.Stats(); n.Rejected != 5 {
		t.Errorf("%+v", n)
	}
}
