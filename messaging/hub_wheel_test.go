package messaging

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWheelAsksEverybodyOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel(32*time.Second, 4*time.Second)
		conns := make([]*hubConn, 100)
		for i := range conns {
			conns[i] = &hubConn{}
			conns[i].state.Store(connBusy) // nobody is to do its turns
			w.add(conns[i])
		}
		w.remove(conns[99])
		for round := range 3 {
			<-time.After(32 * time.Second)
			synctest.Wait()
			for i, c := range conns[:99] {
				if !c.beat.Swap(false) || !c.stale.Swap(false) || c.mute.Load() {
					t.Fatalf("round %d: %d was not asked, or is taken for mute", round, i)
				}
			}
		}
		if conns[99].beat.Load() {
			t.Error("who has left was asked")
		}
		// Whoever does not answer is found out soon after the limit, and who does
		// is not.
		w.mu.Lock()
		due := (int(conns[0].slot) - w.at + len(w.slots)) % len(w.slots)
		w.mu.Unlock()
		<-time.After(time.Duration(due) * w.step)
		conns[0].asked.Store(time.Now().UnixNano())
		<-time.After(3900 * time.Millisecond)
		synctest.Wait()
		if conns[0].mute.Load() {
			t.Error("the limit was not over")
		}
		<-time.After(1200 * time.Millisecond)
		synctest.Wait()
		if !conns[0].mute.Load() || conns[1].mute.Load() {
			t.Error("the silent one was not found out, or another was")
		}
		for _, c := range conns[:99] {
			w.remove(c)
		}
		if w.timer != nil || w.n != 0 {
			t.Error("the wheel turns for nobody")
		}
	})
}

func TestWheelsOfAnyPeriod(t *testing.T) {
	for _, tt := range []struct{ period, limit time.Duration }{
		{time.Millisecond, 10 * time.Second}, {5 * time.Millisecond, 20 * time.Millisecond}, {time.Nanosecond, time.Nanosecond},
		{30 * time.Second, 10 * time.Second}, {30 * time.Second, 30 * time.Second}, {time.Hour, time.Millisecond},
	} {
		w := newWheel(tt.period, tt.limit)
		if w.step <= 0 || len(w.slots) == 0 || w.late < 0 || w.late >= len(w.slots) {
			t.Errorf("%+v: step %v, %d slots, late %d", tt, w.step, len(w.slots), w.late)
		}
	}
}
