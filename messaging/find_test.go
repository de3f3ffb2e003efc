package messaging_test

import (
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// A message is found by its ID: the first, the last, one with many behind it; and
// not what was discarded, what another topic has, or what never was.
func TestMessagesAreFoundByID(t *testing.T) {
	ctx, log := testContext(t), newLog(t)
	spy := &spyLog{Log: log}
	topics := newNode(t, spy, messaging.TopicsOptions{})
	found := func(name, id string) bool {
		t.Helper()
		item, there, err := topics.Find(ctx, "t", name, id)
		if err != nil {
			t.Fatal(err)
		}
		pos, located, err := topics.Locate(ctx, "t", name, id)
		if err != nil || located != there || there && (pos != item.Pos || item.ID != id || string(item.Body) != "body of "+id) {
			t.Fatalf("%s: %+v, %v %v, %v", id, item, pos, located, err)
		}
		return there
	}
	if found("a", "m0") {
		t.Error("found in a topic that nobody wrote to")
	}
	var at []messaging.Pos
	for i := range 400 {
		id := fmt.Sprint("m", i)
		added, err := topics.Append(ctx, "t", "a", message(id, "body of "+id))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, added[0].Pos)
	}
	for id, want := range map[string]bool{"m0": true, "m1": true, "m399": true, "m400": false} {
		if found("a", id) != want {
			t.Errorf("%s: %v", id, !want)
		}
	}
	if err := log.Discard(ctx, spy.last(), at[9]); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"m9": false, "m10": true, "m11": true} {
		if found("a", id) != want {
			t.Errorf("after a discard, %s: %v", id, !want)
		}
	}
	if found("b", "m10") {
		t.Error("found in another topic")
	}
}
