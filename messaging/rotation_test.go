package messaging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// rotated returns a node that knows some of the sealing keys and seals under one,
// and what it logs.
func rotated(t *testing.T, log messaging.Log, current string, ids ...string) (*messaging.Topics, *bytes.Buffer) {
	t.Helper()
	ring := logRing()
	ring.Current, ring.Seals = current, map[string][]byte{}
	for _, id := range ids {
		ring.Seals[id] = bytes.Repeat([]byte(id), 16)
	}
	var out bytes.Buffer
	topics, err := messaging.NewTopics(log, ring, messaging.TopicsOptions{Unlisted: true, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return topics, &out
}

// Keys are rotated while nodes write and read: first all accept the new one, then
// they seal under it, one after the other. A node that was forgotten delivers a
// gap and says why, never anything false.
func TestSealingKeysAreRotatedUnderReaders(t *testing.T) {
	log := newLog(t)
	before, _ := rotated(t, log, "k1", "k1")
	appendAll(t, before, "t", "all", "a", "b")
	accepts, _ := rotated(t, log, "k1", "k1", "k2")
	seals, _ := rotated(t, log, "k2", "k1", "k2")
	appendAll(t, accepts, "t", "all", "c")
	appendAll(t, seals, "t", "all", "d")
	appendAll(t, accepts, "t", "all", "e")
	appendAll(t, seals, "t", "all", "f", "g")
	for _, node := range []*messaging.Topics{accepts, seals} {
		if got := show(readAll(t, node, "t", "all", messaging.Pos{})); got != "a b c d e f g" {
			t.Errorf("a node reads %s", got)
		}
		if stats := node.Stats(); stats.Rejected != 0 {
			t.Errorf("%d entries rejected", stats.Rejected)
		}
	}
	forgotten, said := rotated(t, log, "k1", "k1")
	if got := show(readAll(t, forgotten, "t", "all", messaging.Pos{})); got != "a b c ! e !" {
		t.Errorf("a node without the new key reads %s", got)
	}
	if stats := forgotten.Stats(); stats.Rejected != 3 || stats.Gaps != 2 || !strings.Contains(said.String(), "not in the keyring") {
		t.Errorf("it counts %+v and says %s", stats, said)
	}
	late, _ := rotated(t, log, "k2", "k1", "k2")
	if got := show(readAll(t, late, "t", "all", messaging.Pos{})); got != "a b c d e f g" {
		t.Errorf("once it has the key it reads %s", got)
	}
}
