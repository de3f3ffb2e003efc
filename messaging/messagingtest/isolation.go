package messagingtest

import (
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var isolation = []property{
	{"topics with names alike share nothing", alikeNames},
}

// alike are names that a careless pattern, prefix, fold or escape mixes up.
var alike = []messaging.Topic{
	"a", "A", "aa", "a ", " a", "a.", "a.b", "a.*", "a.>", "a*", "*", ">", "a%", "%", "a_", "_b", "a?", "a:b", "a:b:c", "a/b",
	"{a}", "a{b}", "a-b", "a'b", `a"b`, `a\b`, "a;b", "å", "á", "a\u0301", "0", "00", "1", "1.0", "NULL", "a1", "a01",
}

func alikeNames(t *testing.T, log messaging.Log) {
	want := map[messaging.Topic][]messaging.Entry{}
	for i, name := range alike {
		want[name] = fill(t, log, name, "m", 2+i%3)
		if _, err := log.SaveSnapshot(within(t), name, 0, messaging.Snapshot{At: want[name][0].Pos, Data: []byte(name)}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, touched messaging.Topic) {
		t.Helper()
		heads, err := log.Heads(within(t), alike)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range alike {
			if name == touched {
				continue
			}
			entries := want[name]
			if heads[i] != entries[len(entries)-1].Pos {
				t.Fatalf("%s: the head of %q is %+v", what, name, heads[i])
			}
			same(t, fmt.Sprintf("%s: %q", what, name), all(t, log, name, messaging.Pos{}, 10), entries)
			if s, rev, err := log.LoadSnapshot(within(t), name); err != nil || rev == 0 || string(s.Data) != string(name) {
				t.Fatalf("%s: the snapshot of %q is %q (%d), %v", what, name, s.Data, rev, err)
			}
		}
	}
	check("after filling all", "")
	for i := 0; i < len(alike); i += 4 {
		name := alike[i]
		discard(t, log, name, want[name][1].Pos)
		check(fmt.Sprintf("after discarding in %q", name), name)
		drop(t, log, name)
		check(fmt.Sprintf("after dropping %q", name), name)
		if head := headOf(t, log, name); !head.IsZero() {
			t.Fatalf("the dropped %q still has a head: %+v", name, head)
		}
		want[name] = fill(t, log, name, "again", 2)
		if _, err := log.SaveSnapshot(within(t), name, 0, messaging.Snapshot{At: want[name][0].Pos, Data: []byte(name)}); err != nil {
			t.Fatal(err)
		}
	}
	check("at the end", "")
}
