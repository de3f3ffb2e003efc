package messaging

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

// What entries fold into does not depend on where a snapshot was taken, and
// entries of kinds yet unknown change nothing.
func TestPresenceFoldsTheSameFromASnapshot(t *testing.T) {
	codec := JSON[presences]("presence/1")
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
		node := rapid.SampledFrom([]string{"a", "b", "c"})
		stay := rapid.Custom(func(rt *rapid.T) presenceStay {
			return presenceStay{
				Person: lodge.PersonID(rapid.SampledFrom([]string{"ada", "grace"}).Draw(rt, "person")),
				Place:  rapid.SampledFrom([]string{inMessages, "pend00"}).Draw(rt, "place"),
				Name:   "Somebody", Since: rapid.Int64Range(0, 9).Draw(rt, "since"),
			}
		})
		seen := make(map[string]time.Time)
		var straight, resumed presences
		cut := rapid.IntRange(0, 30).Draw(rt, "cut")
		for i := range 30 {
			now = now.Add(time.Second)
			e := presenceEntry{
				Node: node.Draw(rt, "node"), At: now,
				In: rapid.SliceOfN(stay, 0, 3).Draw(rt, "in"), Out: rapid.SliceOfN(stay, 0, 3).Draw(rt, "out"),
				Ends: rapid.IntRange(0, 9).Draw(rt, "ends") == 0,
			}
			if gone := node.Draw(rt, "gone"); gone != e.Node && rapid.Bool().Draw(rt, "lapsed") {
				e.Lapsed = map[string]time.Time{gone: seen[gone]}
			}
			seen[e.Node] = e.At
			body, err := json.Marshal(e)
			if err != nil {
				rt.Fatal(err)
			}
			if i == cut {
				snapshot, err := codec.Marshal(&resumed)
				if err != nil {
					rt.Fatal(err)
				}
				resumed = presences{}
				if err := codec.Unmarshal(snapshot, &resumed); err != nil {
					rt.Fatal(err)
				}
				foldPresence(&resumed, Item{Body: []byte("of another kind")})
				foldPresence(&resumed, Item{Body: []byte(`{"kind":"of another version"}`)})
			}
			foldPresence(&straight, Item{Body: body})
			foldPresence(&resumed, Item{Body: body})
			if known := straight.Nodes[e.Node]; e.Ends && known != nil || known != nil && len(known.Places) == 0 {
				rt.Fatalf("a node with nobody is kept: %+v", known)
			}
			for gone := range e.Lapsed {
				if straight.Nodes[gone] != nil {
					rt.Fatalf("node %s is kept", gone)
				}
			}
		}
		one, err := codec.Marshal(&straight)
		if err != nil {
			rt.Fatal(err)
		}
		other, err := codec.Marshal(&resumed)
		if err != nil {
			rt.Fatal(err)
		}
		if string(one) != string(other) {
			rt.Fatalf("%s\nis not\n%s", other, one)
		}
	})
}

// A node that has spoken since it was believed dead is not forgotten.
func TestPresenceForgetsOnlyTheSilent(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	var s presences
	say := func(e presenceEntry) {
		t.Helper()
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		foldPresence(&s, Item{Body: body})
	}
	say(presenceEntry{Node: "a", At: at, In: []presenceStay{{Person: "ada", Place: "pend00"}}})
	say(presenceEntry{Node: "a", At: at.Add(time.Minute)})
	say(presenceEntry{Node: "b", At: at, Lapsed: map[string]time.Time{"a": at}})
	if !s.Nodes["a"].has(stayKey{"ada", "pend00"}) {
		t.Error("it is forgotten")
	}
	say(presenceEntry{Node: "b", At: at, Lapsed: map[string]time.Time{"a": at.Add(time.Minute)}})
	if len(s.Nodes) != 0 {
		t.Errorf("it is kept: %v", s.Nodes)
	}
}
