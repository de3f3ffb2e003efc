package redis

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/messaging"
)

// logMsg makes a message with a tag of its own.
func logMsg(id string) messaging.Msg {
	m := messaging.Msg{ID: id, Body: []byte("body of " + id)}
	h := fnv.New64a()
	_, _ = h.Write(m.Body) // never fails
	h.Sum(m.Tag[:0])
	return m
}

func logAdd(t testing.TB, log messaging.Log, name messaging.Topic, id string) messaging.Pos {
	t.Helper()
	added, err := log.Append(t.Context(), name, []messaging.Msg{logMsg(id)}, nil)
	if err != nil {
		t.Fatalf("append %s: %v", id, err)
	}
	return added[0].Pos
}

// logFailsOver kills a master that took appends no replica has. They were not
// acknowledged to who waits for replicas; who read them all the same is told that
// they are lost, although other entries have their numbers now.
func logFailsOver(t *testing.T, f *redistest.Failover, config Config) {
	const name = "failover"
	master := f.Master()
	flush(t, master)
	careful := openLog(t, config, LogOptions{MinReplicas: 1, WaitTimeout: 100 * time.Millisecond})
	quick := openLog(t, config, LogOptions{})
	kept := logAdd(t, careful, name, "kept")
	f.Replicated()
	f.Deafen()

	if _, err := careful.Append(t.Context(), name, []messaging.Msg{logMsg("unconfirmed")}, nil); !errors.Is(err, messaging.ErrUncertain) {
		t.Fatalf("an append that no replica has: %v, want ErrUncertain", err)
	}
	// Nor does it become certain by being there already.
	if _, err := careful.Append(t.Context(), name, []messaging.Msg{logMsg("unconfirmed")}, nil); !errors.Is(err, messaging.ErrUncertain) {
		t.Fatalf("the same again: %v, want ErrUncertain", err)
	}
	lost := logAdd(t, quick, name, "lost")
	if lost.Seq != 3 {
		t.Fatalf("the lost one is at %d", lost.Seq)
	}
	page, err := quick.Read(t.Context(), name, kept, 10)
	if err != nil || len(page.Entries) != 2 {
		t.Fatalf("before the failover: %+v, %v", page, err)
	}
	unconfirmed := page.Entries[0].Pos

	master.Kill()
	f.Promoted(master)
	for _, log := range []messaging.Log{quick, careful} {
		eventually(t, func() error {
			_, err := log.Heads(t.Context(), []messaging.Topic{name})
			return err
		})
	}
	if _, err := quick.Append(t.Context(), name, []messaging.Msg{logMsg("x")}, &lost); !errors.Is(err, messaging.ErrConflict) {
		t.Fatalf("append behind the lost head: %v, want ErrConflict", err)
	}
	var at []messaging.Pos
	for i := range 3 {
		m := logMsg(fmt.Sprint("after", i))
		eventually(t, func() error {
			added, err := quick.Append(t.Context(), name, []messaging.Msg{m}, nil)
			if err == nil {
				at = append(at, added[0].Pos)
			}
			return err
		})
	}
	if at[0].Seq != unconfirmed.Seq || at[1].Seq != lost.Seq || at[0].Epoch != lost.Epoch {
		t.Fatalf("the promoted server gave out %+v, not the lost numbers again", at)
	}
	for _, pos := range []messaging.Pos{unconfirmed, lost} {
		_, errRead := quick.Read(t.Context(), name, pos, 10)
		_, errBack := careful.ReadBack(t.Context(), name, pos, 10)
		if !isLost(errRead) || !isLost(errBack) {
			t.Errorf("a lost position %+v: %v, %v; want *PosLostError", pos, errRead, errBack)
		}
	}
	page, err = careful.Read(t.Context(), name, kept, 10)
	if err != nil || len(page.Entries) != 3 || page.Entries[0].Pos != at[0] {
		t.Fatalf("from the last that was kept: %+v, %v", page, err)
	}
}

// logSlotMoves moves the slot of a topic to another node of a Cluster under a log
// that knows nothing of it.
func logSlotMoves(t *testing.T, config Config, nodes []*redistest.Server) {
	const name = "moving"
	flush(t, nodes...)
	log := openLog(t, config, LogOptions{})
	first := logAdd(t, log, name, "first")
	ctx := t.Context()
	key := logKey(name, logMeta)
	slot, err := log.client.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		t.Fatal(err)
	}
	owner, err := log.node(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	var from, to *redistest.Server
	for _, node := range nodes {
		if node.Addr() == owner.Options().Addr {
			from = node
		} else {
			to = node
		}
	}
	fromID, toID := from.Ask("CLUSTER", "MYID"), to.Ask("CLUSTER", "MYID")
	at := fmt.Sprint(slot)
	to.Ask("CLUSTER", "SETSLOT", at, "IMPORTING", fromID)
	from.Ask("CLUSTER", "SETSLOT", at, "MIGRATING", toID)
	_, port, err := net.SplitHostPort(to.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{logMeta, logEntries, logIDs} {
		from.Ask("MIGRATE", "127.0.0.1", port, logKey(name, part), "0", "5000")
	}
	// While it moves, the log refuses or waits, and does nothing twice.
	_, err = log.Append(ctx, name, []messaging.Msg{logMsg("second")}, nil)
	if err != nil && !errors.Is(err, messaging.ErrUnavailable) {
		t.Fatalf("while the slot moves: %v", err)
	}
	for _, node := range nodes {
		node.Ask("CLUSTER", "SETSLOT", at, "NODE", toID)
	}
	eventually(t, func() error {
		_, err := log.Append(ctx, name, []messaging.Msg{logMsg("second")}, nil)
		return err
	})
	page, err := log.Read(ctx, name, first, 10)
	if err != nil || len(page.Entries) != 1 || page.Entries[0].ID != "second" || page.Head.Seq != 2 {
		t.Fatalf("after the move: %+v, %v", page, err)
	}
}
