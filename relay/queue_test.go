package relay

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// A queue against its model: in order, within its bounds, and every message is
// taken, counted as dropped, or still there.
func TestQueueLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom([]Overflow{Close, DropOldest}).Draw(t, "policy")
		q := queue{policy: policy, maxBytes: rapid.IntRange(1, 100).Draw(t, "bytes"), maxMessages: rapid.IntRange(1, 8).Draw(t, "messages")}
		var next, last, taken, put uint64
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				next++
				data := make([]byte, 8, 60)
				binary.BigEndian.PutUint64(data, next)
				data = data[:8+rapid.IntRange(0, 50).Draw(t, "size")]
				if q.put(data) {
					put++
				} else if policy == DropOldest {
					t.Fatal("a message was refused though the oldest may be dropped")
				}
			} else {
				limit, most := rapid.IntRange(1, 100).Draw(t, "limit"), rapid.IntRange(1, 4).Draw(t, "most")
				before := q.n
				batch, freed := q.take(nil, limit, most)
				if len(batch) > most {
					t.Fatalf("%d taken, though %d were wanted", len(batch), most)
				}
				if (before > 0) != (len(batch) > 0) {
					t.Fatalf("%d taken of %d", len(batch), before)
				}
				if freed && q.half() {
					t.Fatal("freed while half full")
				}
				size := 0
				for i, m := range batch {
					if size >= limit {
						t.Fatalf("message %d of the batch is over its limit", i)
					}
					size += len(m)
					n := binary.BigEndian.Uint64(m)
					if n <= last {
						t.Fatalf("%d after %d", n, last)
					}
					last = n
				}
				taken += uint64(len(batch))
			}
			if q.n > q.maxMessages || q.bytes > q.maxBytes && q.n > 1 {
				t.Fatalf("%d messages of %d bytes", q.n, q.bytes)
			}
			if q.behind.Load() != q.half() {
				t.Fatal("behind is not what it should be")
			}
			if put != taken+q.dropped.Load()+uint64(q.n) {
				t.Fatalf("%d put, %d taken, %d dropped, %d there", put, taken, q.dropped.Load(), q.n)
			}
		}
		left := uint64(q.clear())
		if put != taken+q.dropped.Load()+left {
			t.Fatalf("%d put, %d taken, %d dropped, %d left", put, taken, q.dropped.Load(), left)
		}
		if q.n != 0 || q.bytes != 0 || q.behind.Load() {
			t.Fatal("something is left after clear")
		}
	})
}
