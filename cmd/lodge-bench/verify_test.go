package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The whole of verify beside a server and a peer that are given, in short.
func TestVerifySmoke(t *testing.T) {
	var asked, peered atomic.Int64
	serve := func(path, cookie string, count *atomic.Int64) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("id"); r.URL.RequestURI() != path || err != nil || c.Value != cookie {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			count.Add(1)
			_, _ = io.WriteString(w, "in") // a body is read, too
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	file := filepath.Join(t.TempDir(), "verify.json")
	args := []string{
		"verify", "--url", serve("/auth/verify", "lodge", &asked), "--cookie", "id=lodge", "--pid", strconv.Itoa(os.Getpid()),
		"--peer-url", serve("/oauth2/auth?x=1", "peer", &peered) + "/oauth2/auth?x=1", "--peer-cookie", "id=peer",
		"--conns", "2", "--runs", "2", "--for", "50ms", "--json", file,
	}
	if status := run(t.Context(), args); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report verifyReport
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range report.Figures {
		names = append(names, f.Name)
		if f.PerSecond.Least <= 0 || f.P99.Median < f.P50.Median || f.Name != peer && f.ResidentMB.Least <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if want := strings.Join([]string{lodgeGiven, limitRedis, limitMap, limitNothing, peer}, ";"); strings.Join(names, ";") != want {
		t.Errorf("measured %v", names)
	}
	if asked.Load() == 0 || peered.Load() == 0 {
		t.Errorf("asked %d times, the peer %d", asked.Load(), peered.Load())
	}
	args[4] = "id=somebody"
	if status := run(t.Context(), args); status != 1 {
		t.Errorf("with a cookie that is not good: exit status %d", status)
	}
}

// A peer's command is run until it is not needed any more.
func TestPeerIsStartedAndStopped(t *testing.T) {
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &verifying{conns: 1, period: time.Millisecond}
	o := &verifyOptions{
		peer: self + " child issuer -listen " + addr + " -redirects http://127.0.0.1/", peerURL: "http://" + addr + "/.well-known/openid-configuration",
	}
	err = v.startPeer(t.Context(), o)
	if err == nil {
		_, err = v.once(t.Context(), v.contenders[0], time.Millisecond)
	}
	if closed := v.close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	if err := v.startPeer(t.Context(), &verifyOptions{peer: "/there/is/none", peerURL: o.peerURL}); err == nil {
		t.Error("a peer that is not there was started")
	}
}

func TestPasses(t *testing.T) {
	var ended atomic.Bool
	var after atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ended.Load() && after.Add(1) > 2 { // passes twice more
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	end := func() error { ended.Store(true); return nil }
	took, err := passes(t.Context(), strings.TrimPrefix(server.URL, "http://"), "code", end)
	if err != nil || took <= 0 || took > deadline || after.Load() != 3 {
		t.Errorf("took %s, asked %d times: %v", took, after.Load(), err)
	}
	if _, err := passes(t.Context(), strings.TrimPrefix(server.URL, "http://"), "code", end); err == nil {
		t.Error("a login that is not good before its end was measured")
	}
}
