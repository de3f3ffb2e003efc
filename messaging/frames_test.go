package messaging

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

var genPos = rapid.Custom(func(t *rapid.T) Pos {
	return Pos{
		Epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"),
		Seq:   rapid.Uint64Range(0, 5).Draw(t, "seq"),
	}
})

func TestCursorsSurviveTheirTextForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOfN(rapid.StringN(1, 20, 100).Filter(func(s string) bool { return s != "" }), genPos, 0, 8).Draw(t, "cursors")
		text := formatCursors(want)
		if strings.ContainsAny(text, "\r\n\x00 ") {
			t.Fatalf("%q cannot be an id", text)
		}
		got, err := parseCursors(text)
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%v became %q became %v (%v)", want, text, got, err)
		}
		parts := strings.Split(text, ",")
		if got, err = parseCursors(parts...); err != nil || !maps.Equal(got, want) {
			t.Fatalf("split: %v (%v)", got, err)
		}
	})
}

func FuzzParseCursors(f *testing.F) {
	f.Add("all~,group%3Ag~" + Pos{Epoch: 1, Seq: 2}.String())
	f.Add("~")
	f.Add("%zz~,")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseCursors(s)
		if err != nil {
			return
		}
		again, err := parseCursors(formatCursors(got))
		if err != nil || !maps.Equal(again, got) {
			t.Fatalf("%q: %v, %v (%v)", s, got, again, err)
		}
	})
}

func FuzzParseClientFrame(f *testing.F) {
	for _, s := range []string{
		`{"type":"ack","topic":"all","pos":"` + Pos{Epoch: 1, Seq: 2}.String() + `"}`,
		`{"type":"narrow","topics":["all"]}`, `{"type":"answer","id":"1","data":{}}`, `{"type":"mark","id":"1","data":null}`,
		`{}`, `[]`, `null`, "\xff", `{"type":"ack","topic":"all","pos":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := parseClientFrame(b)
		if err != nil {
			if e := err.Error(); e == "" || len(e) > maxReason {
				t.Fatalf("the reason %q does not fit a close frame", e)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q was taken", b)
		}
		switch frame.Type {
		case frameAck, frameRead:
			if frame.Topic == "" || frame.pos.IsZero() {
				t.Fatalf("%q has no position", b)
			}
		case frameNarrow:
			if frame.Topics == nil {
				t.Fatalf("%q has no topics", b)
			}
		case frameAnswer, frameMark:
			if frame.ID == "" || !json.Valid(frame.Data) {
				t.Fatalf("%q has no id or data", b)
			}
		default:
			t.Fatalf("%q has type %q", b, frame.Type)
		}
	})
}

func TestEventSurvivesItsStoredForm(t *testing.T) {
	e, err := NewEvent(TypeNotice, "all", time.Date(2026, 3, 2, 10, 0, 0, 1000, time.FixedZone("x", 3600)), map[string]string{"text": "<b>\n"})
	if err != nil {
		t.Fatal(err)
	}
	e.Sender = "grace"
	msg, err := e.Message()
	if err != nil || msg.ID != e.ID {
		t.Fatal(msg, err)
	}
	got, err := ParseEvent(msg.Body)
	if err != nil || got.ID != e.ID || got.Sender != "grace" || !got.Time.Equal(e.Time) || got.Type != e.Type || got.Source != EventSource || got.Subject != "all" {
		t.Fatalf("%+v (%v)", got, err)
	}
	// The sender stays inside, and a frame is one line.
	b, err := got.encode("all", "p", "")
	if err != nil || strings.Contains(string(b), "grace") || strings.Contains(string(b), "\n") {
		t.Errorf("%s (%v)", b, err)
	}
	for _, broken := range []Event{
		{}, {ID: "1", Type: "t"}, {ID: "1", Time: e.Time}, {Type: "t", Time: e.Time},
		{ID: strings.Repeat("x", 257), Type: "t", Time: e.Time},
		{ID: "1", Type: "t", Time: e.Time, Data: json.RawMessage(`{`)},
	} {
		if _, err := broken.Message(); err == nil {
			t.Errorf("%+v was encoded", broken)
		}
	}
	for _, body := range []string{"", "{}", `{"specversion":"0.3","id":"1"}`, `{"specversion":"1.0","id":"1","type":"t","source":"s"}`} {
		if _, err := ParseEvent([]byte(body)); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

func TestReceiptCursorsMergeInAnyOrder(t *testing.T) {
	genCursor := rapid.Custom(func(t *rapid.T) receiptCursor {
		pos := Pos{Epoch: 7, Seq: rapid.Uint64Range(1, 9).Draw(t, "seq")}
		if rapid.Bool().Draw(t, "read") {
			return receiptCursor{Delivered: pos, Read: pos}
		}
		return receiptCursor{Delivered: pos}
	})
	rapid.Check(t, func(t *rapid.T) {
		cursors := rapid.SliceOfN(genCursor, 1, 8).Draw(t, "cursors")
		order := rapid.Permutation(cursors).Draw(t, "order")
		var a, b receiptCursor
		for i := range cursors {
			a = a.merge(cursors[i])
			b = b.merge(order[i]).merge(order[i])
		}
		if a != b {
			t.Fatalf("%v and %v", a, b)
		}
		if a.Read.Seq > a.Delivered.Seq {
			t.Fatalf("read and not delivered: %v", a)
		}
	})
	before := Pos{Epoch: 1, Seq: 90}
	old, made := receiptCursor{Delivered: before, Read: before}, receiptCursor{Delivered: Pos{Epoch: 2, Seq: 1}}
	if got := old.merge(made); got.state(Pos{Epoch: 2, Seq: 1}) != ReceiptDelivered {
		t.Errorf("a topic that was made anew: %+v", got)
	}
}

func TestCursorTableSurvivesItsSnapshot(t *testing.T) {
	table := cursorTable{}
	for i := range uint64(50) {
		table.move("all", lodge.PersonID(rune('a'+i%7)), receiptCursor{Delivered: Pos{Epoch: 1, Seq: i}})
		table.move("user:x", "x", receiptCursor{Read: Pos{Epoch: 1, Seq: i}})
	}
	b, err := cursorCodec.Marshal(&table)
	if err != nil {
		t.Fatal(err)
	}
	var got cursorTable
	if err := cursorCodec.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for topic := range table {
		if !maps.Equal(got[topic], table[topic]) {
			t.Errorf("%s: %v, want %v", topic, got[topic], table[topic])
		}
	}
	if err := cursorCodec.Unmarshal([]byte("{"), &got); err == nil {
		t.Error("a broken snapshot was read")
	}
}

// ringOf returns a tail whose ring begins at the beginning of its topic.
func ringOf(t *testing.T, ring int) *Tail {
	t.Helper()
	topics, err := NewTopics(nil, Keyring{Names: make([]byte, 32), Seals: map[string][]byte{"k": make([]byte, 32)}, Current: "k"},
		TopicsOptions{Ring: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tl := topics.open("t", "all", false)
	tl.begin(Pos{}, true)
	return tl
}

func eventItem(t *testing.T, seq uint64, size int) Item {
	t.Helper()
	e := Event{ID: "e", Type: TypeNotice, Time: time.Unix(int64(seq), 0), Data: json.RawMessage(`"` + strings.Repeat("x", size) + `"`)}
	msg, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	return Item{Pos: Pos{Epoch: 1, Seq: seq}, ID: "e", Body: msg.Body}
}

func TestTailEncodesOnceAndInBatches(t *testing.T) {
	tl := ringOf(t, 200)
	var page OpenPage
	for seq := range uint64(100) {
		page.Items = append(page.Items, eventItem(t, seq+1, 1))
	}
	tl.extend(page)
	first, version, more, ok := tl.frames(Pos{}, nil)
	if !ok || !more || len(first) != pageSize || version != tl.version.Load() {
		t.Fatalf("%d frames, more %v, %v", len(first), more, ok)
	}
	again, _, _, _ := tl.frames(Pos{}, nil)
	if again[0] != first[0] || again[63] != first[63] {
		t.Error("encoded twice")
	}
	rest, _, more, ok := tl.frames(first[63].pos, nil)
	if !ok || more || len(rest) != 100-pageSize || rest[0].pos.Seq != 65 {
		t.Errorf("then %d frames, more %v, %v", len(rest), more, ok)
	}
	if none, _, more, ok := tl.frames(rest[len(rest)-1].pos, nil); !ok || more || len(none) != 0 {
		t.Errorf("at the end %d frames, more %v, %v", len(none), more, ok)
	}
	if _, _, _, ok := tl.frames(Pos{Epoch: 1, Seq: 50, Tag: Tag{1}}, nil); ok {
		t.Error("a position that is not in the ring was found")
	}
	tl.extend(OpenPage{Items: []Item{eventItem(t, 101, batchBytes/2), eventItem(t, 102, batchBytes/2), eventItem(t, 103, 2*batchBytes)}})
	for _, seq := range []uint64{101, 102, 103} { // one at a time, even if it is larger than a batch
		got, _, more, ok := tl.frames(Pos{Epoch: 1, Seq: seq - 1}, nil)
		if !ok || more != (seq < 103) || len(got) != 1 || got[0].pos.Seq != seq {
			t.Errorf("%d: %d frames, more %v, %v", seq, len(got), more, ok)
		}
	}
}

func TestBatchesEndAtGaps(t *testing.T) {
	tl := ringOf(t, 200)
	tl.extend(OpenPage{Items: []Item{
		eventItem(t, 1, 1), {Pos: Pos{Epoch: 1, Seq: 2}, Gap: true}, {Pos: Pos{Epoch: 1, Seq: 3}, Body: []byte("no event")}, eventItem(t, 4, 1),
	}})
	at := Pos{}
	for i, want := range []struct {
		gap, more bool
	}{{false, true}, {true, true}, {true, true}, {false, false}} {
		got, _, more, ok := tl.frames(at, nil)
		if !ok || len(got) != 1 || got[0].gap != want.gap || more != want.more {
			t.Fatalf("%d: %d frames, more %v, %v", i, len(got), more, ok)
		}
		at = got[0].pos
	}
}

// What is read from the log goes in front of the ring, as far as there is room.
func TestTailTakesUpWhatWasReadFromTheLog(t *testing.T) {
	items := func(from, to uint64) (all []Item) {
		for seq := from; seq <= to; seq++ {
			all = append(all, eventItem(t, seq, 1))
		}
		return all
	}
	pos := func(seq uint64) Pos { return Pos{Epoch: 1, Seq: seq} }
	tl := ringOf(t, 8)
	tl.begin(pos(10), false)
	tl.extend(OpenPage{Items: items(11, 12)})
	if _, ok := tl.history(3); ok {
		t.Error("the ring knows what it does not hold")
	}
	if tl.prepend(pos(3), items(4, 7), false) {
		t.Error("what does not reach the ring was taken")
	}
	if !tl.prepend(pos(7), items(8, 11), false) || !tl.has(pos(7)) || tl.has(pos(6)) {
		t.Error("what reaches into the ring was not taken")
	}
	if at, ok := tl.history(3); !ok || at != pos(9) {
		t.Errorf("history begins at %v, %v", at, ok)
	}
	if !tl.prepend(Pos{}, items(1, 7), true) || tl.has(pos(3)) || !tl.has(pos(4)) {
		t.Error("there is room for three more")
	}
	if _, ok := tl.history(9); ok {
		t.Error("the ring is not whole")
	}
	if tl.prepend(pos(1), items(2, 4), false) {
		t.Error("the ring is full")
	}
	got, err := tl.After(t.Context(), pos(4), 100)
	if err != nil || len(got) != 8 || got[0].Pos != pos(5) || got[7].Pos != pos(12) {
		t.Errorf("%d items, %v", len(got), err)
	}

	whole := ringOf(t, 8)
	whole.begin(pos(2), false)
	if !whole.prepend(Pos{}, items(1, 2), true) {
		t.Fatal("nothing was taken")
	}
	if at, ok := whole.history(5); !ok || !at.IsZero() {
		t.Errorf("history of a whole topic: %v, %v", at, ok)
	}
}

func TestReasonsFitACloseFrame(t *testing.T) {
	e := endOf(lodge.E(lodge.CodeForbidden, strings.Repeat("ä", 100)))
	if len(e.reason) > maxReason || !strings.HasPrefix(e.reason, "ä") || strings.ContainsRune(e.reason, '\uFFFD') || e.code != CloseRevoked {
		t.Errorf("%+v", e)
	}
	if e := endOf(errors.New("secret")); strings.Contains(e.reason, "secret") {
		t.Errorf("%+v", e)
	}
	if _, err := url.ParseQuery("resume=" + url.QueryEscape(formatCursors(map[string]Pos{"a;b&c": {}}))); err != nil {
		t.Error(err)
	}
}
