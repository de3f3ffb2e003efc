package messaging

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
)

func testRing(current string) Keyring {
	return Keyring{
		Names:   bytes.Repeat([]byte{1}, rootSize),
		Seals:   map[string][]byte{"a": bytes.Repeat([]byte{2}, rootSize), "b": bytes.Repeat([]byte{3}, rootSize)},
		Current: current,
	}
}

func TestKeyringNamesAllItsFaults(t *testing.T) {
	if err := testRing("a").check(); err != nil {
		t.Fatal(err)
	}
	secret := []byte("hunter2")
	bad := Keyring{Names: secret, Seals: map[string][]byte{"": secret, strings.Repeat("k", 33): secret}, Current: "c"}
	err := bad.check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"topic names", `key id ""`, `"kkk`, `current sealing key "c"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), string(secret)) {
		t.Errorf("the error shows a key: %v", err)
	}
	if _, err := NewTopics(nil, bad, TopicsOptions{}); err == nil {
		t.Error("NewTopics took it")
	}
}

func TestSec32_TopicNamesAreApartByTenantAndOpaque(t *testing.T) {
	keys := testRing("a")
	names := make(map[Topic]string)
	for _, tenant := range []lodge.Tenant{"", "t", "tn", "t\x01n", "other"} {
		for _, name := range []string{"", "all", "n", "user:p", "user:p2", "group:*", "\x01all"} {
			topic := keys.topic(tenant, name)
			if before, ok := names[topic]; ok {
				t.Errorf("%q of %q has the physical name of %s", name, tenant, before)
			}
			names[topic] = name + " of " + string(tenant)
			if len(topic) != 43 {
				t.Errorf("the physical name %q is not of fixed length", topic)
			}
			if len(name) > 2 && strings.Contains(string(topic), name) {
				t.Errorf("the physical name %q shows %q", topic, name)
			}
		}
	}
	if keys.topic("t", "all") != testRing("b").topic("t", "all") {
		t.Error("rotating the sealing key renamed a topic")
	}
	other := testRing("a")
	other.Names = bytes.Repeat([]byte{9}, rootSize)
	if keys.topic("t", "all") == other.topic("t", "all") {
		t.Error("the name does not depend on the root")
	}
}

// place is an entry and the position it follows on.
func place(t testing.TB, s *sealer, prev Pos, m Message) Entry {
	t.Helper()
	msg, err := s.seal(prev, m)
	if err != nil {
		t.Fatal(err)
	}
	epoch := prev.Epoch
	if epoch == 0 {
		epoch = 7
	}
	return Entry{Pos: Pos{Epoch: epoch, Seq: prev.Seq + 1, Tag: msg.Tag}, ID: msg.ID, Body: msg.Body}
}

func TestAnEntryOpensOnlyUnchangedAndInItsPlace(t *testing.T) {
	s := newSealer(testRing("a"), "t", "all")
	first := place(t, s, Pos{}, Message{ID: "m1", Body: []byte("one")})
	second := place(t, s, first.Pos, Message{ID: "m2", Body: []byte("two")})
	for _, c := range []struct {
		prev Pos
		e    Entry
		want string
	}{{Pos{}, first, "one"}, {first.Pos, second, "two"}} {
		body, err := s.open(c.prev, c.e)
		if err != nil || string(body) != c.want {
			t.Fatalf("%q, %v; want %q", body, err, c.want)
		}
		if bytes.Contains(c.e.Body, []byte(c.want)) {
			t.Error("the sealed body shows the message")
		}
	}

	edit := func(e Entry, fn func(*Entry)) Entry {
		e.Body = bytes.Clone(e.Body)
		fn(&e)
		return e
	}
	otherTag := first.Pos
	otherTag.Tag[0]++
	otherEpoch := first.Pos
	otherEpoch.Epoch++
	for name, c := range map[string]struct {
		s    *sealer
		prev Pos
		e    Entry
		want error
	}{
		"another tenant":        {newSealer(testRing("a"), "u", "all"), first.Pos, second, errNotGenuine},
		"another topic":         {newSealer(testRing("a"), "t", "al"), first.Pos, second, errNotGenuine},
		"fields shifted":        {newSealer(testRing("a"), "ta", "ll"), first.Pos, second, errNotGenuine},
		"another ID":            {s, first.Pos, edit(second, func(e *Entry) { e.ID = "m3" }), errNotGenuine},
		"another predecessor":   {s, otherTag, second, errNotGenuine},
		"another epoch":         {s, otherEpoch, edit(second, func(e *Entry) { e.Pos.Epoch++ }), errNotGenuine},
		"epochs differ":         {s, first.Pos, edit(second, func(e *Entry) { e.Pos.Epoch++ }), errOutOfPlace},
		"another number":        {s, first.Pos, edit(second, func(e *Entry) { e.Pos.Seq++ }), errOutOfPlace},
		"as the first":          {s, Pos{}, edit(second, func(e *Entry) { e.Pos.Seq = 1 }), errOutOfPlace},
		"the first as a later":  {s, first.Pos, edit(first, func(e *Entry) { e.Pos.Seq = 2 }), errNotGenuine},
		"another tag":           {s, first.Pos, edit(second, func(e *Entry) { e.Pos.Tag[7]++ }), errNotGenuine},
		"another form":          {s, first.Pos, edit(second, func(e *Entry) { e.Body[0] = formFirst }), errNotGenuine},
		"a snapshot":            {s, first.Pos, edit(second, func(e *Entry) { e.Body[0] = formSnapshot }), errMalformed},
		"the other key":         {s, first.Pos, edit(second, func(e *Entry) { e.Body[2] = 'b' }), errNotGenuine},
		"an unknown key":        {s, first.Pos, edit(second, func(e *Entry) { e.Body[2] = 'c' }), errUnknownKey},
		"an endless key id":     {s, first.Pos, edit(second, func(e *Entry) { e.Body[1] = 255 }), errMalformed},
		"empty":                 {s, first.Pos, edit(second, func(e *Entry) { e.Body = nil }), errNotGenuine},
		"nothing but tag bytes": {s, first.Pos, edit(second, func(e *Entry) { e.Body = e.Body[len(e.Body)-authTagSize:] }), nil},
	} {
		body, err := c.s.open(c.prev, c.e)
		if err == nil || body != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v; want %v", name, body, err, c.want)
		}
	}
	for i := range second.Body {
		for bit := range 8 {
			e := edit(second, func(e *Entry) { e.Body[i] ^= 1 << bit })
			if len(e.Body) >= authTagSize {
				e.Pos.Tag = tagOf(e.Body)
			}
			if body, err := s.open(first.Pos, e); err == nil {
				t.Fatalf("with bit %d of byte %d flipped it opens as %q", bit, i, body)
			}
		}
	}
	for n := range len(second.Body) {
		e := edit(second, func(e *Entry) { e.Body = e.Body[:n] })
		if n >= authTagSize {
			e.Pos.Tag = tagOf(e.Body)
		}
		if body, err := s.open(first.Pos, e); err == nil {
			t.Fatalf("cut to %d bytes it opens as %q", n, body)
		}
	}
}

func TestKeysRotateAcceptFirstSealLater(t *testing.T) {
	old, upgraded := newSealer(testRing("a"), "t", "all"), newSealer(testRing("b"), "t", "all")
	first := place(t, old, Pos{}, Message{ID: "m1", Body: []byte("one")})
	second := place(t, upgraded, first.Pos, Message{ID: "m2", Body: []byte("two")})
	third := place(t, old, second.Pos, Message{ID: "m3", Body: []byte("three")})
	for _, s := range []*sealer{old, upgraded} {
		prev := Pos{}
		for _, e := range []Entry{first, second, third} {
			if _, err := s.open(prev, e); err != nil {
				t.Fatal(err)
			}
			prev = e.Pos
		}
	}
	late := testRing("a")
	delete(late.Seals, "b")
	if _, err := newSealer(late, "t", "all").open(first.Pos, second); !errors.Is(err, errUnknownKey) {
		t.Errorf("without the key: %v", err)
	}
}

func TestASnapshotOpensOnlyUnchangedAndInItsPlace(t *testing.T) {
	s := newSealer(testRing("a"), "t", "all")
	at := Pos{Epoch: 7, Seq: 3, Tag: Tag{1}}
	sealed, err := s.sealSnapshot(at, "v/1", []byte("state"))
	if err != nil {
		t.Fatal(err)
	}
	version, data, err := s.openSnapshot(Snapshot{At: at, Data: sealed})
	if err != nil || version != "v/1" || string(data) != "state" {
		t.Fatalf("%q, %q, %v", version, data, err)
	}
	later := at
	later.Seq++
	if _, _, err := s.openSnapshot(Snapshot{At: later, Data: sealed}); !errors.Is(err, errNotGenuine) {
		t.Errorf("at another position: %v", err)
	}
	if _, _, err := newSealer(testRing("a"), "t", "x").openSnapshot(Snapshot{At: at, Data: sealed}); !errors.Is(err, errNotGenuine) {
		t.Errorf("of another topic: %v", err)
	}
	if _, err := s.open(Pos{Epoch: 7, Seq: 2}, Entry{Pos: Pos{7, 3, tagOf(sealed)}, Body: sealed}); !errors.Is(err, errMalformed) {
		t.Errorf("as an entry: %v", err)
	}
	for n := range sealed {
		if _, _, err := s.openSnapshot(Snapshot{At: at, Data: sealed[:n]}); err == nil {
			t.Fatalf("cut to %d bytes it opens", n)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(testRing("a"), "t", "all")
	prev := Pos{Epoch: 7, Seq: 3, Tag: Tag{1}}
	e := place(f, s, prev, Message{ID: "m", Body: []byte("hello")})
	first := place(f, s, Pos{}, Message{ID: "m", Body: []byte("hello")})
	snap, err := s.sealSnapshot(prev, "v", []byte("state"))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{e.Body, first.Body, snap} {
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(b[1:])
	}
	f.Add([]byte{formNext, 255})
	// Nonces are random, so a seed from another process opens, too: but to
	// nothing that was not sealed.
	f.Fuzz(func(t *testing.T, sealed []byte) {
		pos := Pos{Epoch: 7, Seq: 4}
		if len(sealed) >= authTagSize {
			pos.Tag = tagOf(sealed)
		}
		if body, err := s.open(prev, Entry{Pos: pos, ID: "m", Body: sealed}); err == nil && string(body) != "hello" {
			t.Fatalf("what nobody sealed opens as %q", body)
		}
		if _, data, err := s.openSnapshot(Snapshot{At: prev, Data: sealed}); err == nil && string(data) != "state" {
			t.Fatalf("what nobody sealed opens as the state %q", data)
		}
	})
}
