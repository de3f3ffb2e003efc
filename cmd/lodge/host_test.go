package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

// The machine beside an experiment, as its technician sets it up: a code in a
// file, a list of streams, and programs that know one address on loopback.
func TestHostCarriesStreams(t *testing.T) {
	data := t.TempDir()
	if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data); status != exitDone {
		t.Fatal(errs)
	}
	address := freeAddress(t)
	stop := servingWith(t, "http://"+address, "--data", data, "--listen", address, "--public-url", "http://"+address,
		"--assets-url", "http://localhost", "--assets-listen", "127.0.0.1:0", "--log-level", "error")
	codes := make([]string, 2)
	for i := range codes {
		status, out, errs := lodgeRun(t, "codes", "create", "--experiment", "pend00", "--data", data)
		if status != exitDone {
			t.Fatal(errs)
		}
		codes[i] = strings.TrimSpace(out)
	}
	local := freeAddress(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "host.yaml")
	for name, text := range map[string]string{
		"pend00.code": codes[0] + "\n",
		"host.yaml":   "relay: http://" + address + "\ncode_file: pend00.code\nlisten: " + local + "\nstreams:\n  - topic: pend00-data\n  - topic: pend00-video\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	end := running(t, "lodge: status at http://"+local+"\n", "host", "--config", config, "--log-level", "error")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	wstest.Eventually(t, "both streams connected", func() bool {
		res, err := client.Get("http://" + local + "/status")
		if err != nil {
			return false
		}
		_ = res.Body.Close() // the status is all that matters
		return res.StatusCode == http.StatusOK
	})
	status, uri, err := exchange(t, "http://"+address+"/session/pend00-data", codes[1])
	if err != nil || status != http.StatusOK {
		t.Fatalf("the exchange: %d %v", status, err)
	}
	viewer := wstest.Dial(t, client, uri, nil)
	rig := wstest.Dial(t, client, "ws://"+local+"/ws/pend00-data", nil)
	wstest.Write(t, viewer, websocket.MessageText, "kick")
	if _, body := wstest.Read(t, rig); body != "kick" {
		t.Errorf("the rig got %q", body)
	}
	wstest.Write(t, rig, websocket.MessageText, "angle")
	if _, body := wstest.Read(t, viewer); body != "angle" {
		t.Errorf("the viewer got %q", body)
	}
	if status := end(); status != exitDone {
		t.Errorf("the host ended with %d", status)
	}
	if status := stop(); status != exitDone {
		t.Errorf("the server ended with %d", status)
	}
}

func TestHostTellsAllFaultsAtOnce(t *testing.T) {
	config := filepath.Join(t.TempDir(), "host.yaml")
	text := "relay: lab.example.org\nlisten: 0.0.0.0:8888\nlog_level: loud\nstreams: []\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := lodgeRun(t, "host", "--config", config)
	for _, want := range []string{"relay (", "code_file (not set)", "listen (0.0.0.0:8888)", "log_level (loud)"} {
		if status != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("status %d; it does not tell of %s:\n%s", status, want, errs)
		}
	}
	if err := os.WriteFile(config, []byte("relays: http://127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, errs := lodgeRun(t, "host", "--config", config); !strings.Contains(errs, "field relays not found") {
		t.Errorf("a key that does not exist: %s", errs)
	}
}

// The sample that is shipped is what the command reads.
func TestHostSampleIsGood(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(deployed(t, "host.example.yaml"), "/etc/lodge/pend00.code", filepath.Join(dir, "code"), 1)
	config := filepath.Join(dir, "host.yaml")
	for name, body := range map[string]string{config: text, filepath.Join(dir, "code"): "lodge_hst_x"} {
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, _, err := loadHost(config, nil, env{}.lookup)
	if err != nil || len(cfg.Streams) != 2 || cfg.Streams[0].Dial == "" || cfg.Listen != "127.0.0.1:8888" {
		t.Errorf("%+v: %v", cfg, err)
	}
}

// The unit starts what there is, as a user of its own, and starts it again whenever
// it has ended.
func TestHostUnit(t *testing.T) {
	unit := deployed(t, "lodge-host.service")
	for _, line := range []string{
		"ExecStart=/usr/local/bin/lodge host --config /etc/lodge/host.yaml", "User=lodge-host", "Restart=always", "RestartSec=2", "Type=exec",
		"NoNewPrivileges=yes", "ProtectSystem=strict", "WantedBy=multi-user.target",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("lodge-host.service does not say %s", line)
		}
	}
	// It binds nothing but loopback, and needs no right to more.
	if !strings.Contains(unit, "\nCapabilityBoundingSet=\n") {
		t.Error("lodge-host.service leaves capabilities")
	}
}
