package messagingtest

import (
	"errors"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// loseTail holds a back end that lost its last entries, and gives their numbers
// out again, to telling everybody who has a position among them.
func loseTail(t *testing.T, h Harness) {
	log := h.Open(t)
	other := fill(t, log, "other", "m", 3)
	old := fill(t, log, topic, "m", 8)
	discard(t, log, topic, old[0].Pos)
	floor := old[0].Pos
	log = h.LoseTail(t, log, topic, old[3].Pos)

	same(t, "what is left", all(t, log, topic, floor, 10), old[1:4])
	if head := headOf(t, log, topic); head != old[3].Pos {
		t.Fatalf("the head is %+v, want %+v", head, old[3].Pos)
	}
	for _, e := range old[4:] {
		refuse(t, log, "a lost position", e.Pos, floor, old[3].Pos)
	}
	if _, err := log.Append(within(t), topic, []messaging.Msg{msg("x")}, &old[7].Pos); !errors.Is(err, messaging.ErrConflict) {
		t.Fatalf("append behind the lost head: %v, want ErrConflict", err)
	}

	// The same numbers again, with other entries; one of them is an old message
	// that its writer repeats, sealed anew.
	again := msg("m6")
	again.Tag = messaging.Tag{6}
	batch := []messaging.Msg{msg("n4"), msg("n5"), again, msg("n7"), msg("n8")}
	at := put(t, log, topic, batch...)
	for i, pos := range at {
		if pos.Epoch == floor.Epoch && pos.Seq != old[3].Pos.Seq+uint64(i+1) {
			t.Fatalf("after the loss message %d is at %+v", i, pos)
		}
	}
	for _, e := range old[4:] {
		refuse(t, log, "a position whose number is another's now", e.Pos, floor, at[4])
	}
	p := page(t, log, topic, old[3].Pos, 10)
	if len(p.Entries) != len(batch) || p.More || p.Head != at[4] {
		t.Fatalf("from the last that is left: %s, head %+v", ids(p.Entries), p.Head)
	}
	for i, e := range p.Entries {
		if e.ID != batch[i].ID || e.Pos != at[i] {
			t.Fatalf("from the last that is left comes %q at %+v, want %q at %+v", e.ID, e.Pos, batch[i].ID, at[i])
		}
	}
	same(t, "another topic", all(t, log, "other", messaging.Pos{}, 10), other)
}
