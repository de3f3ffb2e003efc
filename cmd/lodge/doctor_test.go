package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/internal/redistest"
)

// levels runs the doctor and returns the level of each check.
func levels(t *testing.T, wantStatus int, args ...string) map[string]string {
	t.Helper()
	status, out, errs := lodgeRun(t, append([]string{"doctor", "--json"}, args...)...)
	var answer struct{ Findings []finding }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || status != wantStatus {
		t.Fatalf("%d %v: %s %s", status, err, out, errs)
	}
	by := map[string]string{}
	for _, f := range answer.Findings {
		by[f.Check] = f.Level
		if (f.Level == levelOK) != (f.Remedy == "") {
			t.Errorf("%+v", f)
		}
	}
	return by
}

func TestDoctor(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	dir := t.TempDir()
	file := filepath.Join(dir, "lodge.yaml")
	text := "public_url: http://" + freeAddress(t) + "\nassets_url: http://localhost\ndata: " + dir + "\nredis: " + server.URL() + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	by := levels(t, exitFailed, "--config", file)
	for check, want := range map[string]string{
		"configuration": levelOK, "redis": levelOK, "redis memory": levelFault, "redis disk": levelWarning, "redis clock": levelOK,
		"address": levelWarning, "disk": levelOK,
	} {
		if by[check] != want {
			t.Errorf("%s is %q, want %q", check, by[check], want)
		}
	}
	server.Kill()
	server.Restart("--maxmemory-policy", "noeviction", "--appendonly", "yes")
	if by = levels(t, exitDone, "--config", file); by["redis memory"] != levelOK || by["redis disk"] != levelOK {
		t.Errorf("after it was mended: %v", by)
	}
	server.Kill()
	if by = levels(t, exitFailed, "--config", file); by["redis"] != levelFault {
		t.Errorf("without Redis: %v", by)
	}
	// All that is wrong with a configuration is told too, for people to read.
	status, out, _ := lodgeRun(t, "doctor", "--config", file, "--log-level", "loud", "--relay-lease", "1h")
	if status != exitFailed || !strings.Contains(out, "fault    configuration: log_level (flag --log-level)") || !strings.Contains(out, "relay_lease") {
		t.Errorf("%d %s", status, out)
	}
}
