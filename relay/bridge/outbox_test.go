package bridge

import (
	"testing"

	"pgregory.net/rapid"
)

// What an outbox gives back is the newest of what was put in, in order, within
// its bound; and nothing is unaccounted for.
func TestOutboxKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1, 50).Draw(t, "bound")
		o := newOutbox(bound)
		var put, taken, next int
		open, waiting := false, []byte{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"put", "put", "put", "take", "set"}).Draw(t, "step") {
			case "put":
				size := rapid.IntRange(0, 60).Draw(t, "size")
				next++
				data := make([]byte, size+1)
				data[0] = byte(next)
				o.put(message{data: data})
				put++
				if open {
					waiting = append(waiting, byte(next))
				}
			case "take":
				got := o.take()
				bytes := 0
				for i, m := range got {
					if want := waiting[len(waiting)-len(got)+i]; m.data[0] != want {
						t.Fatalf("message %d is %d, want %d", i, m.data[0], want)
					}
					bytes += len(m.data)
				}
				if bytes > bound && len(got) > 1 {
					t.Fatalf("%d bytes in %d messages waited, the bound is %d", bytes, len(got), bound)
				}
				if len(waiting) > 0 && len(got) == 0 {
					t.Fatal("the newest message was dropped")
				}
				taken += len(got)
				waiting = waiting[:0]
			case "set":
				open = rapid.Bool().Draw(t, "open")
				o.set(open)
				waiting = waiting[:0]
			}
		}
		o.set(false)
		unreached, slow := o.drops()
		if int(unreached)+int(slow)+taken != put {
			t.Fatalf("%d were put, %d taken, %d and %d dropped", put, taken, unreached, slow)
		}
	})
}
