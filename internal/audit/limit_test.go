package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// refuse records refusals that all come from one address.
func refuse(t testing.TB, trail *Trail, address string, action Action, n int) {
	t.Helper()
	for range n {
		if err := trail.Record(t.Context(), Event{Tenant: "t1", Actor: "nobody", Action: action, Address: address}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusalsAreCountedBeyondALimit(t *testing.T) {
	f := newFixture(t.TempDir())
	trail := f.open(t)
	refuse(t, trail, "192.0.2.1", LookupRefused, 90)
	refuse(t, trail, "192.0.2.1", Deny, 10)
	refuse(t, trail, "192.0.2.2", LookupRefused, 1)
	record(t, trail, 1) // not held up by them
	if got := len(f.store.entries); got != 60+2 {
		t.Fatalf("%d entries", got)
	}
	f.clock.advance(time.Minute)
	refuse(t, trail, "192.0.2.1", LookupRefused, 1)
	last := f.last(2)
	if last[0].Action != Omitted || !strings.HasPrefix(last[0].Reason, "40 more refusals (10 deny, 30 lookup-refused) within") || last[0].Address != "192.0.2.1" || last[1].Action != LookupRefused {
		t.Errorf("the entries after a minute: %+v", last)
	}
	if !verify(t, trail, 0).Intact() {
		t.Error("the chain is broken")
	}
}

// Whoever has many addresses writes no more than Overall allows; a /64 is one.
func TestAFloodFromEverywhereIsBounded(t *testing.T) {
	f := newFixture(t.TempDir())
	trail := f.open(t)
	for i := range 5000 {
		refuse(t, trail, fmt.Sprintf("10.1.%d.%d", i/250, i%250), Deny, 2)
	}
	if got := len(f.store.entries); got != 600 {
		t.Fatalf("%d entries of a flood", got)
	}
	f.clock.advance(time.Minute)
	trail.sweep(t.Context(), false)
	if last := f.last(1); len(f.store.entries) != 601 || last[0].Address != elsewhere || !strings.HasPrefix(last[0].Reason, "9400 more refusals") {
		t.Errorf("%d entries, the last %+v", len(f.store.entries), last)
	}
	for i := range 100 {
		refuse(t, trail, fmt.Sprintf("2001:db8::%x", i+1), Deny, 1)
	}
	if got := len(f.store.entries); got != 601+60 {
		t.Errorf("%d entries, want 60 of one network", got-601)
	}
}

// Whatever comes, nothing goes uncounted and the rule's bound holds.
func TestRuleKeepsItsBoundAndEveryCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := limits{rule: Rule{PerAddress: rapid.IntRange(1, 4).Draw(rt, "each"), Overall: rapid.IntRange(1, 10).Draw(rt, "overall")}}
		now, alone, counted, total := base, 0, 0, 0
		collect := func(all bool) {
			for _, e := range l.due(now, all) {
				var n int
				if _, err := fmt.Sscanf(e.Reason, "%d more", &n); err != nil {
					rt.Fatal(err)
				}
				counted += n
			}
		}
		for range rapid.IntRange(1, 200).Draw(rt, "events") {
			if rapid.IntRange(0, 19).Draw(rt, "wait") == 0 {
				now = now.Add(minute)
				collect(false)
				if alone > l.rule.Overall {
					rt.Fatalf("%d recorded within a minute, at most %d are to be", alone, l.rule.Overall)
				}
				alone = 0
			}
			total++
			e := Event{Tenant: "t1", Action: Deny, Address: fmt.Sprint("10.0.0.", rapid.IntRange(0, 9).Draw(rt, "address"))}
			if l.allow(e, now) {
				alone++
				counted++
			}
			if len(l.tallies) > l.rule.Overall+1 {
				rt.Fatalf("%d tallies", len(l.tallies))
			}
		}
		if collect(true); counted != total || alone > l.rule.Overall {
			rt.Fatalf("%d refusals, %d recorded or counted; %d alone in the last minute", total, counted, alone)
		}
	})
}
