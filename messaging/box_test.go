package messaging_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Many nodes put something into one box at once: all of it is in there, once, and
// the topic has one entry and no history.
func TestABoxHoldsWhatEveryNodePutIn(t *testing.T) {
	log := newLog(t)
	nodes := []*messaging.Topics{newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})}
	const each = 20
	ctx := testContext(t)
	var wg sync.WaitGroup
	for n, node := range nodes {
		wg.Go(func() {
			for i := range each {
				err := node.Box("t", "ballots:b").Update(ctx, func(old []byte) ([]byte, error) {
					var all []string
					if old != nil {
						if err := json.Unmarshal(old, &all); err != nil {
							return nil, err
						}
					}
					one := fmt.Sprint(n, ".", i)
					if slices.Contains(all, one) {
						return nil, nil
					}
					return json.Marshal(append(all, one))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	data, err := nodes[0].Box("t", "ballots:b").Read(ctx)
	var all []string
	if err != nil || json.Unmarshal(data, &all) != nil || len(all) != len(nodes)*each {
		t.Fatalf("%d are in the box, %v", len(all), err)
	}
	page, err := nodes[1].Read(ctx, "t", "ballots:b", messaging.Pos{}, 10)
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d entries, %v", len(page.Items), err)
	}
	// What was compacted goes on.
	if err := nodes[2].Compact(ctx, "t", "ballots:b"); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].Box("t", "ballots:b").Update(ctx, func(old []byte) ([]byte, error) { return append(old, ' '), nil }); err != nil {
		t.Fatal(err)
	}
	if again, err := nodes[1].Box("t", "ballots:b").Read(ctx); err != nil || !bytes.Equal(again, append(data, ' ')) {
		t.Errorf("after compaction: %d bytes of %d, %v", len(again), len(data), err)
	}
	// What was dropped is empty, and may begin anew.
	if err := nodes[0].Drop(ctx, "t", "ballots:b"); err != nil {
		t.Fatal(err)
	}
	if data, err := nodes[1].Box("t", "ballots:b").Read(ctx); data != nil || err != nil {
		t.Errorf("dropped: %q, %v", data, err)
	}
	if err := nodes[1].Box("t", "ballots:b").Update(ctx, func([]byte) ([]byte, error) { return []byte("new"), nil }); err != nil {
		t.Error(err)
	}
}

func TestABoxHasALimitAndNoFalseContents(t *testing.T) {
	log := newLog(t)
	a := newNode(t, log, messaging.TopicsOptions{})
	ctx := testContext(t)
	err := a.Box("t", "ballots:b").Update(ctx, func([]byte) ([]byte, error) { return make([]byte, 17<<20), nil })
	if lodge.CodeOf(err) != lodge.CodeTooLarge {
		t.Errorf("too much: %v", err)
	}
	if err := a.Box("t", "ballots:b").Update(ctx, func([]byte) ([]byte, error) { return []byte("x"), nil }); err != nil {
		t.Fatal(err)
	}
	// A projection's snapshot is no box.
	p := messaging.Project(a, "t", "other", foldTill, messaging.JSON[till]("1"))
	t.Cleanup(p.Close)
	if err := p.Append(ctx, message("", "tell a")); err != nil {
		t.Fatal(err)
	}
	if err := p.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Box("t", "other").Read(ctx); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("another's snapshot: %v", err)
	}
}
