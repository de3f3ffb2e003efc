package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
)

// writeTo appends to a topic of a store that nobody holds.
func writeTo(t *testing.T, dir, topic string, bodies ...string) {
	t.Helper()
	keys, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	log := sqlite.NewLog(db)
	topics, err := messaging.NewTopics(log, keys.messages, messaging.TopicsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		if _, err := topics.Append(t.Context(), lodge.DefaultTenant, topic, messaging.Message{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(log.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// An operator reads sealed topics, offline here, and the trail has it.
func TestLogShow(t *testing.T) {
	dir := t.TempDir()
	if status, _, errs := lodgeRun(t, "log", "topics", "--data", dir); status != exitDone {
		t.Fatalf("an empty store: %d %q", status, errs)
	}
	writeTo(t, dir, "all", `{"a":1}`, "no JSON \x1b[2J", "third")
	status, out, errs := lodgeRun(t, "log", "topics", "--data", dir)
	if status != exitDone || !strings.Contains(out, "all") || !strings.Contains(out, "notices") {
		t.Errorf("topics: %d %q %q", status, out, errs)
	}
	status, out, errs = lodgeRun(t, "log", "show", "all", "--limit", "2", "--json", "--data", dir)
	var page gateway.LogPage
	if err := json.Unmarshal([]byte(out), &page); err != nil || status != exitDone || len(page.Entries) != 2 || !page.More || string(page.Entries[0].Body) != `{"a":1}` {
		t.Fatalf("show: %d %q %q, %v", status, out, errs, err)
	}
	status, out, errs = lodgeRun(t, "log", "show", "all", "--after", page.Entries[1].Position, "--data", dir)
	if status != exitDone || !strings.Contains(out, "third") || strings.Contains(out, `{"a":1}`) {
		t.Errorf("the rest: %d %q %q", status, out, errs)
	}
	if _, out, _ = lodgeRun(t, "log", "show", "all", "--data", dir); strings.Contains(out, "\x1b") {
		t.Errorf("it steers a terminal: %q", out)
	}
	for _, args := range [][]string{{"--after", "nonsense"}, {"--limit", "0"}} {
		if status, _, errs := lodgeRun(t, append([]string{"log", "show", "all", "--data", dir}, args...)...); status != exitFailed || errs == "" {
			t.Errorf("%v: %d %q", args, status, errs)
		}
	}
	if status, _, _ := lodgeRun(t, "log", "show", "--data", dir); status != exitMisused {
		t.Errorf("without a topic: %d", status)
	}
}
