package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var ifHead = []property{
	{"one of many wins", func(t *testing.T, log messaging.Log) { ifHeadOneWinner(t, log) }},
	{"only the exact head will do", ifHeadExact},
	{"a batch that is there already succeeds, a part of it does not", ifHeadRepeated},
	{"an ID twice in a batch is one entry", ifHeadTwice},
	{"after everything was discarded the floor is the head", ifHeadAfterDiscard},
}

// ifHeadOneWinner has many callers append behind one head, through all the nodes.
func ifHeadOneWinner(t *testing.T, nodes ...messaging.Log) {
	var head messaging.Pos
	for round := range 20 {
		var won atomic.Int32
		at := make(chan messaging.Pos, 16)
		together(t, 16, func(ctx context.Context, i int) error {
			added, err := nodes[i%len(nodes)].Append(ctx, topic, msgs(fmt.Sprintf("r%d-w%d-", round, i), 2), &head)
			switch {
			case err == nil:
				won.Add(1)
				at <- added[1].Pos
			case !errors.Is(err, messaging.ErrConflict):
				return err
			}
			return nil
		})
		if won.Load() != 1 {
			t.Fatalf("round %d has %d winners", round, won.Load())
		}
		head = <-at
		if got := headOf(t, nodes[round%len(nodes)], topic); got != head || got.Seq != uint64(2*round+2) {
			t.Fatalf("round %d: the head is %+v, the winner's last entry at %+v", round, got, head)
		}
	}
}

func ifHeadExact(t *testing.T, log messaging.Log) {
	refused := func(what string, name messaging.Topic, head messaging.Pos) {
		t.Helper()
		before := headOf(t, log, name)
		if _, err := log.Append(within(t), name, []messaging.Msg{msg("x")}, &head); !errors.Is(err, messaging.ErrConflict) {
			t.Fatalf("%s: %v, want ErrConflict", what, err)
		}
		if after := headOf(t, log, name); after != before {
			t.Fatalf("%s: the head moved from %+v to %+v", what, before, after)
		}
	}
	foreign := put(t, log, "other", msg("m"))[0]
	refused("a position on a topic nobody wrote to", topic, foreign)
	want := fill(t, log, topic, "m", 3)
	head := want[2].Pos
	refused("the start", topic, messaging.Pos{})
	refused("an older entry", topic, want[1].Pos)
	refused("another topic's head", topic, foreign)
	refused("the future", topic, messaging.Pos{Epoch: head.Epoch, Seq: head.Seq + 1, Tag: head.Tag})
	refused("another tag", topic, messaging.Pos{Epoch: head.Epoch, Seq: head.Seq, Tag: messaging.Tag{1}})
	refused("another epoch", topic, messaging.Pos{Epoch: head.Epoch + 1, Seq: head.Seq, Tag: head.Tag})
	if _, err := log.Append(within(t), topic, []messaging.Msg{msg("x")}, &head); err != nil {
		t.Fatalf("the head: %v", err)
	}
	drop(t, log, topic)
	refused("the head of a dropped topic", topic, head)
	if _, err := log.Append(within(t), topic, []messaging.Msg{msg("x")}, &messaging.Pos{}); err != nil {
		t.Fatalf("the start of a dropped topic: %v", err)
	}
}

func ifHeadRepeated(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	added, err := log.Append(within(t), topic, msgs("m", 2), &messaging.Pos{})
	if err != nil || !added[0].Duplicate || !added[1].Duplicate || added[1].Pos != want[1].Pos {
		t.Fatalf("all there already: %+v, %v", added, err)
	}
	if _, err := log.Append(within(t), topic, []messaging.Msg{msg("m1"), msg("new")}, &want[1].Pos); !errors.Is(err, messaging.ErrConflict) {
		t.Fatalf("one of two there already, old head: %v, want ErrConflict", err)
	}
	for _, batch := range [][]messaging.Msg{
		{msg("m1"), msg("new")},
		{msg("new"), msg("m1")},
		{msg("new"), msg("m2"), msg("new"), msg("m0")},
	} {
		if _, err := log.Append(within(t), topic, batch, &want[2].Pos); !errors.Is(err, messaging.ErrConflict) {
			t.Fatalf("some of %d there already, right head: %v, want ErrConflict", len(batch), err)
		}
	}
	same(t, "after all", all(t, log, topic, messaging.Pos{}, 10), want)
	added, err = log.Append(within(t), topic, []messaging.Msg{msg("m2"), msg("m0"), msg("m2")}, &want[2].Pos)
	if err != nil || !added[0].Duplicate || added[0].Pos != want[2].Pos || added[1].Pos != want[0].Pos || added[2].Pos != want[2].Pos {
		t.Fatalf("all there already, right head: %+v, %v", added, err)
	}
	discard(t, log, topic, want[1].Pos) // and with them their IDs
	added, err = log.Append(within(t), topic, []messaging.Msg{msg("m0"), msg("new")}, &want[2].Pos)
	if err != nil || added[0].Duplicate || added[0].Pos.Seq != 4 || added[1].Pos.Seq != 5 {
		t.Fatalf("an ID that was discarded: %+v, %v", added, err)
	}
}

func ifHeadTwice(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 1)
	batch := []messaging.Msg{msg("a"), msg("b"), msg("a")}
	added, err := log.Append(within(t), topic, batch, &want[0].Pos)
	if err != nil || added[0].Duplicate || added[1].Duplicate || !added[2].Duplicate || added[2].Pos != added[0].Pos || added[1].Pos.Seq != 3 {
		t.Fatalf("%+v, %v", added, err)
	}
	again, err := log.Append(within(t), topic, batch, &want[0].Pos)
	if err != nil || !again[0].Duplicate || again[0].Pos != added[0].Pos || again[1].Pos != added[1].Pos {
		t.Fatalf("once more: %+v, %v", again, err)
	}
}

func ifHeadAfterDiscard(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	discard(t, log, topic, want[2].Pos)
	if _, err := log.Append(within(t), topic, []messaging.Msg{msg("x")}, &messaging.Pos{}); !errors.Is(err, messaging.ErrConflict) {
		t.Fatalf("the start: %v, want ErrConflict", err)
	}
	if added, err := log.Append(within(t), topic, []messaging.Msg{msg("x")}, &want[2].Pos); err != nil || added[0].Pos.Seq != 4 {
		t.Fatalf("the floor: %+v, %v", added, err)
	}
}
