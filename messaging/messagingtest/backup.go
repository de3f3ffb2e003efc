package messagingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// OlderBackup holds a log to what Lodge promises when a backup takes its place
// that is older than what it had: everything up to the backup is there and is read
// on from, and who holds a position of later is told that it is lost, also when
// new messages have taken its number. back makes a backup of what log has now and
// returns what puts that back in place of log, which it closes.
func OlderBackup(t *testing.T, log messaging.Log, back func() (restore func() messaging.Log)) {
	const tenant, name = "tenant", "all"
	nodeOn := func(log messaging.Log) *messaging.Topics {
		topics, err := messaging.NewTopics(log, messaging.Keyring{
			Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"k1": bytes.Repeat([]byte{2}, 32)}, Current: "k1",
		}, messaging.TopicsOptions{Logger: slog.New(slog.DiscardHandler), SnapshotEvery: 1})
		if err != nil {
			t.Fatal(err)
		}
		return topics
	}
	say := func(topics *messaging.Topics, prefix string, n int) (at []messaging.Pos) {
		t.Helper()
		for i := range n {
			m := messaging.Message{ID: fmt.Sprint(prefix, i), Body: fmt.Appendf(nil, "body of %s%d", prefix, i)}
			added, err := topics.Append(within(t), tenant, name, m)
			if err != nil || added[0].Duplicate {
				t.Fatalf("%+v, %v", added, err)
			}
			at = append(at, added[0].Pos)
		}
		return at
	}
	counted := func(topics *messaging.Topics) (n int) {
		t.Helper()
		p := messaging.Project(topics, tenant, name, func(n *int, _ messaging.Item) { *n++ }, messaging.JSON[int]("count/1"))
		defer p.Close()
		if err := p.View(within(t), func(state *int) { n = *state }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const before, lost = 10, 5
	node := nodeOn(log)
	kept := say(node, "kept-", before)
	counted(node) // and saves a snapshot
	restore := back()
	gone := say(node, "gone-", lost)
	if n := counted(node); n != before+lost {
		t.Fatalf("%d messages are counted before the loss", n)
	}
	node = nodeOn(restore())
	if n := counted(node); n != before {
		t.Errorf("%d messages are counted after a restore, want %d", n, before)
	}
	check := func(when string, there int) {
		t.Helper()
		for i, pos := range kept {
			page, err := node.Read(within(t), tenant, name, pos, 1000)
			if err != nil || len(page.Items) != there-i-1 || page.More {
				t.Errorf("%s: after message %d: %d messages, %v; want %d", when, i, len(page.Items), err, there-i-1)
			}
			for _, it := range page.Items {
				if it.Gap {
					t.Errorf("%s: there is a gap at %d", when, it.Pos.Seq)
				}
			}
		}
		for i, pos := range gone {
			_, err := node.Read(within(t), tenant, name, pos, 1000)
			if l, ok := errors.AsType[*messaging.PosLostError](err); !ok || l.Head.Seq != uint64(there) {
				t.Errorf("%s: who is at lost message %d is told %v", when, i, err)
			}
		}
	}
	check("after a restore", before)
	say(node, "gone-", lost-1) // the same again is new
	say(node, "new-", lost)
	check("when the lost numbers are taken again", before+2*lost-1)
	if n := counted(node); n != before+2*lost-1 {
		t.Errorf("%d messages are counted at the end", n)
	}
	if err := node.Drop(context.Background(), tenant, name); err != nil {
		t.Error(err)
	}
}
