package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/internal/redistest"
)

// The server as an operator runs it: a configuration file, sessions in a Redis,
// and a host code that the relay takes, also after a restart.
func TestServeWithAConfigurationAndRedis(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", filepath.Join(dir, "data")); status != exitDone {
		t.Fatal(errs)
	}
	address := freeAddress(t)
	file := filepath.Join(dir, "lodge.yaml")
	text := strings.Join([]string{
		"public_url: http://" + address, "listen: " + address, "assets_url: http://localhost", "assets_listen: 127.0.0.1:0",
		"data: data", "redis: " + server.URL(), "log_level: warn",
	}, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := servingWith(t, "http://"+address, "--config", file)
	status, out, errs := lodgeRun(t, "codes", "create", "--experiment", "pend00", "--config", file)
	if status != exitDone {
		t.Fatal(errs)
	}
	code := strings.TrimSpace(out)
	if keys := server.Ask("DBSIZE"); strings.TrimSpace(keys) == "0" {
		t.Error("no session is in Redis")
	}
	for range 2 {
		got, uri, err := exchange(t, "http://"+address+"/session/pend00-data", code)
		if err != nil || got != http.StatusOK || !strings.HasPrefix(uri, "ws://"+address+"/session/pend00-data?code=") {
			t.Errorf("the exchange: %d %q %v", got, uri, err)
		}
		if status := stop(); status != exitDone {
			t.Fatalf("the server ended with %d", status)
		}
		stop = servingWith(t, "http://"+address, "--config", file)
	}
	if status := stop(); status != exitDone {
		t.Errorf("the server ended with %d", status)
	}
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
