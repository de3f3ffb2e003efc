package messaging

import (
	"encoding/json"
	"errors"
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

func TestFeedEncodesOnceAndForgets(t *testing.T) {
	f := &feed{key: topicKey{"t", "all"}, frames: make(map[Pos]*frame)}
	item := func(seq uint64, size int) Item {
		e := Event{ID: "e", Type: TypeNotice, Time: time.Unix(1, 0), Data: json.RawMessage(`"` + strings.Repeat("x", size) + `"`)}
		msg, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		return Item{Pos: Pos{Epoch: 1, Seq: seq}, ID: "e", Body: msg.Body}
	}
	one := item(1, 1)
	a, err := f.frame(one)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.frame(one); err != nil || a != b {
		t.Error("encoded twice")
	}
	for seq := range uint64(2 * feedFrames) {
		if _, err := f.frame(item(seq+2, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.frames) != feedFrames || len(f.order) != feedFrames {
		t.Errorf("%d and %d frames", len(f.frames), len(f.order))
	}
	for seq := range uint64(12) {
		if _, err := f.frame(item(seq+10_000, feedBytes/8)); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.frames) > 8 || f.bytes > feedBytes {
		t.Errorf("%d frames of %d bytes", len(f.frames), f.bytes)
	}
	if _, err := f.frame(Item{Pos: Pos{Epoch: 2}, Body: []byte("x")}); err == nil {
		t.Error("no event was encoded")
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
