package jetstream

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestIDIndex has IDs added and removed in any order, of which some are said to
// have the hash of others: they are found as in a map.
func TestIDIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, want, ids, seq := newIDIndex(0), map[string]uint64{}, map[uint64]string{}, uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "id"))
			at, there := want[id]
			switch {
			case there:
				x.remove(id, at+1) // it is not there
				x.remove(id, at)
				delete(want, id)
			case rapid.Bool().Draw(t, "as another"):
				if x.more == nil {
					x.more = map[string]uint64{}
				}
				seq++
				x.more[id] = seq // as add does when another has its hash
				want[id], ids[seq] = seq, id
			default:
				seq++
				x.add(id, seq)
				want[id], ids[seq] = seq, id
			}
			for i := range 10 {
				id := fmt.Sprint(i)
				at, there := want[id]
				if got, ok := x.find(id, func(seq uint64) bool { return ids[seq] == id }); ok != there || ok && got != at {
					t.Fatalf("%s: %d, %t, want %d, %t", id, got, ok, at, there)
				}
			}
		}
		if n := len(x.seqs) + len(x.more); n != len(want) {
			t.Fatalf("%d are left of %d", n, len(want))
		}
	})
}
