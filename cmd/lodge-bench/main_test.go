package main

import (
	"context"
	"os"
	"testing"
	"time"
)

// deadline bounds every wait. A test that passes never waits for it.
const deadline = 10 * time.Second

// TestMain is the program itself when a command under test starts one of its
// parts, which run in processes of their own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(run(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestMisuse(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing":               {},
		"no such command":       {"sing"},
		"a part, not a command": {"limit"},
		"no such part":          {"child", "sing"},
		"a flag alone":          {"-h"},
	} {
		if got := run(t.Context(), args); got != 2 {
			t.Errorf("%s: exit status %d, want 2", name, got)
		}
	}
	for _, args := range [][]string{
		{"verify", "--url", "http://127.0.0.1:1"},
		{"verify", "--url", "https://lab.example.org", "--cookie", "a=b"},
		{"verify", "--peer", "true"},
		{"stale", "--push", "perhaps"},
		{"revoke", "--push", "perhaps"},
		{"revoke", "--sockets", "1", "--revocations", "2"},
	} {
		if got := run(t.Context(), args); got != 1 {
			t.Errorf("%v: exit status %d, want 1", args, got)
		}
	}
}
