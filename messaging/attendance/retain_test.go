package attendance

import (
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

func TestSec45_OldRegistersAreDroppedWhole(t *testing.T) {
	log := newLog(t)
	o, other := newOffice(t, log), newOffice(t, log)
	var ids []string
	for _, minutes := range []int{0, 60, 120} {
		d := draft()
		d.Start, d.End = at(minutes), at(minutes+60)
		ids = append(ids, o.open(d).ID)
	}
	o.clock.now = at(65)
	if _, err := o.Close(o.ctx, "t", ids[0], "grace"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ minute, gone, left int }{{65, 0, 3}, {66, 1, 2}, {66, 0, 2}, {121, 1, 1}, {500, 1, 0}} {
		gone, err := o.Retain(o.ctx, "t", at(c.minute))
		left, listErr := other.List(o.ctx, "t")
		if err != nil || listErr != nil || gone != c.gone || len(left) != c.left {
			t.Errorf("before minute %d: %d gone, %d left, %v %v", c.minute, gone, len(left), err, listErr)
		}
		page, err := o.topics.ReadBack(o.ctx, "t", topicRegisters, messaging.Pos{}, 10)
		if err != nil || len(page.Items) != 0 {
			t.Errorf("%d entries are left of what a snapshot has, %v", len(page.Items), err)
		}
	}
	if _, err := newOffice(t, log).Get(o.ctx, "t", ids[2]); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("a node that starts finds it: %v", err)
	}
}
