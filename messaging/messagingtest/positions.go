package messagingtest

import (
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var positions = []property{
	{"what is not in the topic is refused, never skipped", positionsRefused},
	{"on a topic nobody wrote to only the start is there", positionsNowhere},
}

// refuse fails unless every method that takes a position refuses this one.
func refuse(t *testing.T, log messaging.Log, what string, at, floor, head messaging.Pos) {
	t.Helper()
	_, err := log.Read(within(t), topic, at, 10)
	isLost(t, "read after "+what, err, floor, head)
	_, err = log.Read(within(t), topic, at, 0)
	isLost(t, "bounds after "+what, err, floor, head)
	_, err = log.ReadBack(within(t), topic, at, 10)
	isLost(t, "read back before "+what, err, floor, head)
	isLost(t, "discard through "+what, log.Discard(within(t), topic, at), floor, head)
	_, err = log.SaveSnapshot(within(t), topic, 0, messaging.Snapshot{At: at, Data: []byte("x")})
	isLost(t, "snapshot at "+what, err, floor, head)
}

func positionsRefused(t *testing.T, log messaging.Log) {
	foreign := fill(t, log, "other", "m", 3)
	fill(t, log, topic, "m", 3)
	dropped := headOf(t, log, topic)
	drop(t, log, topic)
	want := fill(t, log, topic, "m", 4)
	floor, head := messaging.Pos{}, want[3].Pos
	for range 2 {
		for what, at := range map[string]messaging.Pos{
			"another topic's head":          foreign[2].Pos,
			"another topic's first":         foreign[0].Pos,
			"the dropped head":              dropped,
			"the future":                    {Epoch: head.Epoch, Seq: head.Seq + 1, Tag: head.Tag},
			"the far future":                {Epoch: head.Epoch, Seq: 1<<64 - 1, Tag: head.Tag},
			"the head with another tag":     {Epoch: head.Epoch, Seq: head.Seq, Tag: messaging.Tag{1}},
			"an entry with another tag":     {Epoch: head.Epoch, Seq: 3, Tag: head.Tag},
			"another epoch":                 {Epoch: head.Epoch ^ 2, Seq: head.Seq, Tag: head.Tag},
			"an epoch beyond 63 bits":       {Epoch: 1<<64 - 1, Seq: head.Seq, Tag: head.Tag},
			"no epoch":                      {Seq: head.Seq, Tag: head.Tag},
			"the epoch of nothing, a tag":   {Tag: head.Tag},
			"another epoch before anything": {Epoch: head.Epoch ^ 2},
		} {
			refuse(t, log, what, at, floor, head)
		}
		same(t, "after the refusals", all(t, log, topic, floor, 10), want)
		if _, rev, err := log.LoadSnapshot(within(t), topic); rev != 0 || err != nil {
			t.Fatalf("a refused snapshot was kept: %d, %v", rev, err)
		}
		// The same again with a floor.
		discard(t, log, topic, want[1].Pos)
		floor, want = want[1].Pos, want[2:]
	}
}

func positionsNowhere(t *testing.T, log messaging.Log) {
	refuse(t, log, "a foreign position", put(t, log, "other", msg("m"))[0], messaging.Pos{}, messaging.Pos{})
	discard(t, log, topic, messaging.Pos{})
	_, err := log.SaveSnapshot(within(t), topic, 0, messaging.Snapshot{Data: []byte("x")})
	isLost(t, "a snapshot of nothing", err, messaging.Pos{}, messaging.Pos{})
}
