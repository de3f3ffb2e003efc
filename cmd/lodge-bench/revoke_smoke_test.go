package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Sessions ended at one of three gateway processes lose their sockets at the
// others, told by push or found by the poll. The full number is `make soak`'s.
func TestRel03_RevokeAcrossThreeGateways(t *testing.T) { revokeOnThree(t, "--push", "on") }

func TestRel04_RevokeAcrossThreeGatewaysWithPushLost(t *testing.T) {
	revokeOnThree(t, "--push", "off")
}

// The same of streams at two relays on their own.
func TestRel03_RevokeAtRelays(t *testing.T) { revokeOnThree(t, "--relays", "2") }

func revokeOnThree(t *testing.T, more ...string) {
	t.Setenv("CGO_ENABLED", "0") // as `make build` has it, so that what it compiled is used
	file := filepath.Join(t.TempDir(), "revoke.json")
	args := []string{"revoke", "--sockets", "90", "--revocations", "30", "--clients", "1", "--json", file}
	if status := run(t.Context(), append(args, more...)); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report revokeReport
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	if report.Gateways != 3 || report.Closed.Count != 30 || report.CloseCodes[4403] != 30 || report.NeverClosed != 0 || report.Strays != 0 {
		t.Errorf("%+v", report)
	}
}
