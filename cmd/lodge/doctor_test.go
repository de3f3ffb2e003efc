package main

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/internal/wstest"
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

// A relay on its own is examined by what it is told, and the relays' clocks by
// asking them; a node that runs tells how it and its canary are.
func TestDoctorOfRelays(t *testing.T) {
	s := newSite(t)
	one := s.with(s.node("one"), "relay_url: elsewhere").start()
	s.balance(one)
	alone := s.relay("relay1").start()
	want := map[string]string{
		"configuration": levelOK, "redis": levelOK, "redis clock": levelOK, "address": levelOK, "node": levelOK, "canary": levelOK,
		"relays": levelOK, "clock of http://" + alone.address: levelOK,
	}
	wstest.Eventually(t, "the canary", func() bool {
		var ready gateway.Readiness
		return ask(t.Context(), alone.data, "/readyz", nil, &ready) == nil && ready.Canary != nil && ready.Canary.Delay > 0
	})
	by := levels(t, exitDone, "--config", alone.file, "--relay")
	for check, level := range want {
		// A test's machine may be as busy as it likes.
		if got := by[check]; got != level && (check != "canary" || got == "") {
			t.Errorf("%s is %q, want %q", check, got, level)
		}
	}
	// The database of a test does not wait for its disk, which is a fault.
	if by := levels(t, exitFailed, "--config", one.file); by["node"] != levelOK || by["clock of http://"+alone.address] != levelOK || by["canary"] != "" {
		t.Errorf("at the gateway: %v", by)
	}
}

func TestDoctorJudgesTheCanary(t *testing.T) {
	for name, tt := range map[string]struct {
		view gateway.CanaryView
		want string
	}{
		"quick": {gateway.CanaryView{Delay: 0.0003}, levelOK},
		"late":  {gateway.CanaryView{Delay: 0.03}, levelWarning},
		"lost":  {gateway.CanaryView{Delay: 0.0003, Lost: true}, levelFault},
	} {
		if got := judgedCanary(tt.view); got.Level != tt.want || (got.Remedy == "") != (tt.want == levelOK) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A clock that is off is told from one that is not, by the Date of an answer.
func TestDoctorComparesClocks(t *testing.T) {
	for name, tt := range map[string]struct {
		off  time.Duration
		want string
	}{"in step": {0, levelOK}, "late": {-time.Minute, levelFault}, "early": {time.Minute, levelFault}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(tt.off).UTC().Format(http.TimeFormat))
		}))
		if got := examineClock(t.Context(), server.URL); got.Level != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
		server.Close()
	}
	if got := examineClock(t.Context(), "http://"+freeAddress(t)); got.Level != levelWarning || got.Remedy == "" {
		t.Errorf("of nobody: %+v", got)
	}
}

// An issuer whose certificate is by an authority of one's own is reached with it.
func TestDoctorTrustsTheIssuersAuthority(t *testing.T) {
	var issuer *httptest.Server
	issuer = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer.URL}) // a lost answer fails the test
	}))
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is meant
	defer issuer.Close()
	cfg := config{Issuers: []idp.IssuerConfig{{ID: "own", URL: issuer.URL}}}
	if found := examineIssuers(t.Context(), cfg); len(found) != 1 || found[0].Level != levelFault {
		t.Errorf("by nobody known: %+v", found)
	}
	cfg.IssuerLimits.RootCAs = x509.NewCertPool()
	cfg.IssuerLimits.RootCAs.AddCert(issuer.Certificate())
	if found := examineIssuers(t.Context(), cfg); len(found) != 1 || found[0].Level != levelOK {
		t.Errorf("by its authority: %+v", found)
	}
}
