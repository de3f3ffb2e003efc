package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

const sampleCatalogue = "../../deploy/samples/lodge.yaml"

// lodgeRun carries out a command line as main does.
func lodgeRun(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, env{}.lookup, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestRunStatus(t *testing.T) {
	empty := t.TempDir()
	for _, tt := range []struct {
		name string
		args []string
		want int
		says string // on the error stream, or on the other when nothing went wrong
	}{
		{"nothing", nil, exitMisused, "usage: lodge COMMAND"},
		{"help", []string{"help"}, exitDone, "usage: lodge COMMAND"},
		{"-h", []string{"-h"}, exitDone, "usage: lodge COMMAND"},
		{"no such command", []string{"open"}, exitMisused, `there is no command "open"`},
		{"help of a command", []string{"serve", "-h"}, exitDone, "-public-url"},
		{"no such flag", []string{"serve", "--port", "1"}, exitMisused, "not defined"},
		{"an argument too many", []string{"version", "now"}, exitMisused, `"now" is not expected here`},
		{"a configuration with faults", []string{"serve", "--public-url", "x"}, exitFailed, "public_url (flag --public-url)"},
		{"apply without a file", []string{"apply", "--data", empty}, exitMisused, "apply needs -f FILE"},
		{"apply without a store", []string{"apply", "-f", sampleCatalogue}, exitFailed, "data (not set)"},
		{"apply without the file it names", []string{"apply", "-f", "gone.yaml", "--data", empty}, exitFailed, "gone.yaml: no such file"},
		{"codes", []string{"codes"}, exitMisused, "lodge codes create"},
		{"codes -h", []string{"codes", "-h"}, exitDone, "-experiment"},
		{"codes with another verb", []string{"codes", "steal"}, exitMisused, `cannot "steal"`},
		{"sessions of nowhere", []string{"sessions", "list"}, exitFailed, "data (not set)"},
		{"sessions to end, but which", []string{"sessions", "revoke", "--data", empty}, exitMisused, "exactly one of"},
		{"sessions to end, but which of the two", []string{"sessions", "revoke", "--all", "--person", "p", "--data", empty}, exitMisused, "exactly one of"},
		{"a code to revoke, but which", []string{"codes", "revoke", "--data", empty}, exitMisused, "needs --id"},
		{"audit", []string{"audit"}, exitMisused, "lodge audit verify"},
		{"no trail to verify", []string{"audit", "verify", "--data", filepath.Join(empty, "none")}, exitFailed, "no database"},
		{"a host code for nothing", []string{"codes", "create", "--data", empty}, exitMisused, "needs --experiment"},
		{"a code for no time", []string{"codes", "create", "--experiment", "x", "--life", "1ms", "--data", empty}, exitMisused, "at least 1s"},
		{"a code in an empty store", []string{"codes", "create", "--experiment", "x", "--data", filepath.Join(empty, "new")}, exitFailed, "no experiment x"},
		{"a service for nothing", []string{"codes", "create", "--kind", "service", "--data", filepath.Join(empty, "new")}, exitFailed, "needs scopes"},
		{"a scope that is none", []string{"codes", "create", "--kind", "service", "--scope", "introspekt", "--data", filepath.Join(empty, "new")}, exitFailed, "no scope introspekt"},
		{"an audience of nothing", []string{"codes", "create", "--kind", "service", "--scope", "introspect", "--audience", "experiment:x", "--data", filepath.Join(empty, "new")}, exitFailed, "experiment:x is none"},
		{"a code of another kind", []string{"codes", "create", "--kind", "login", "--data", filepath.Join(empty, "new")}, exitFailed, "host or service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := lodgeRun(t, tt.args...)
			if status != tt.want || !strings.Contains(out+errs, tt.says) {
				t.Errorf("status %d, printed %q and %q; want %d and %q", status, out, errs, tt.want, tt.says)
			}
			if status != exitDone && out != "" {
				t.Errorf("a failure was printed where results go: %q", out)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	status, out, _ := lodgeRun(t, "version")
	if status != exitDone || !strings.HasPrefix(out, "lodge ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%d %q", status, out)
	}
	status, out, _ = lodgeRun(t, "version", "--json")
	var v map[string]string
	if err := json.Unmarshal([]byte(out), &v); status != exitDone || err != nil {
		t.Fatalf("%d %q %v", status, out, err)
	}
	if _, ok := v["version"]; !ok || !strings.HasPrefix(v["go"], "go1.") {
		t.Errorf("%v", v)
	}
}

func TestCodesOffline(t *testing.T) {
	data := t.TempDir()
	if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data); status != exitDone {
		t.Fatal(errs)
	}
	status, out, errs := lodgeRun(t, "codes", "create", "--kind", "host", "--experiment", "pend00", "--data", data)
	code := strings.TrimSpace(out)
	if status != exitDone || !strings.HasPrefix(code, "lodge_hst_") {
		t.Fatalf("%d %q %q", status, out, errs)
	}
	status, out, errs = lodgeRun(t, "codes", "create", "--kind", "service", "--scope", "relay:stats", "--life", "24h", "--json", "--data", data)
	var service gateway.CodeView
	if err := json.Unmarshal([]byte(out), &service); status != exitDone || err != nil || !strings.HasPrefix(service.Code, "lodge_svc_") {
		t.Fatalf("%d %q %q %v", status, out, errs, err)
	}
	if left := time.Until(service.Session.ExpiresAt); left > 24*time.Hour || left < 23*time.Hour {
		t.Errorf("its life is %v", left)
	}

	cfg, err := loadOffline(map[string]string{"data": data}, env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(t.Context(), cfg, (&app{err: io.Discard}).logger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	for topic, want := range map[string]int{"pend00-data": http.StatusOK, "pend01-data": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/session/"+topic, nil)
		r.Header.Set("Authorization", code)
		w := httptest.NewRecorder()
		n.gateway.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("the code at %s: %d %s, want %d", topic, w.Code, w.Body, want)
		}
	}
}

// lines collects what a server prints and says when a line has come.
type lines struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	news chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serving runs `lodge serve` on embedded stores until the returned function is
// called, which returns its exit status.
func serving(t *testing.T, data string) (stop func() int) {
	t.Helper()
	return servingWith(t, "http://127.0.0.1", "--data", data, "--listen", "127.0.0.1:0", "--assets-listen", "127.0.0.1:0",
		"--public-url", "http://127.0.0.1", "--assets-url", "http://localhost", "--log-level", "warn")
}

// servingWith is serving with other flags, at a public URL.
func servingWith(t *testing.T, publicURL string, flags ...string) (stop func() int) {
	t.Helper()
	return running(t, "lodge: ready at "+publicURL+"\n", append([]string{"serve"}, flags...)...)
}

// running runs a command that ends when it is told to, and waits until it has
// said something.
func running(t *testing.T, ready string, args ...string) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, errs := &lines{news: make(chan struct{}, 1)}, &lines{news: make(chan struct{}, 1)}
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, env{}.lookup, out, errs) }()
	deadline, stopWaiting := context.WithTimeout(ctx, 30*time.Second)
	defer stopWaiting()
	for !strings.Contains(out.String(), ready) {
		select {
		case <-out.news:
		case status := <-done:
			cancel()
			t.Fatalf("the server ended with %d: %s", status, errs)
		case <-deadline.Done():
			cancel()
			t.Fatalf("the server was not ready in 30 s: %s%s", out, errs)
		}
	}
	return func() int {
		cancel()
		return <-done
	}
}

// A command on a store that a server holds goes through that server, or says
// that it cannot.
func TestCommandsBesideARunningServer(t *testing.T) {
	data := t.TempDir()
	if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data); status != exitDone {
		t.Fatal(errs)
	}
	stop := serving(t, data)
	status, out, errs := lodgeRun(t, "codes", "create", "--experiment", "pend01", "--data", data)
	if status != exitDone || !strings.HasPrefix(out, "lodge_hst_") {
		t.Errorf("a code: %d %q %q", status, out, errs)
	}
	status, _, errs = lodgeRun(t, "codes", "create", "--experiment", "pend99", "--data", data)
	if status != exitFailed || !strings.Contains(errs, "no experiment pend99") {
		t.Errorf("a code that the server refuses: %d %q", status, errs)
	}
	part := filepath.Join(write(t, map[string]string{"part.yaml": "lodge: v1\nexperiments: {pend99: {}}\n"}), "part.yaml")
	status, out, errs = lodgeRun(t, "apply", "-f", part, "--data", data)
	if status != exitDone || !strings.Contains(out, "applied: add 1, change 0, remove 0; revision 2") {
		t.Errorf("a part of the catalogue: %d %q %q", status, out, errs)
	}
	status, out, errs = lodgeRun(t, "export", "--data", data)
	if status != exitDone || !strings.HasPrefix(out, "lodge: v1\n") || !strings.Contains(out, "pend99") {
		t.Errorf("the catalogue as a file: %d %q %q", status, out, errs)
	}
	if status := stop(); status != exitDone {
		t.Errorf("the server ended with %d", status)
	}
	// What it left behind stands in nobody's way.
	status, out, errs = lodgeRun(t, "codes", "create", "--experiment", "pend01", "--data", data)
	if status != exitDone || !strings.HasPrefix(out, "lodge_hst_") {
		t.Errorf("a code after it: %d %q %q", status, out, errs)
	}
}

// The root key is made once, whoever starts at the same time, and never made
// again for a store that was sealed under another.
func TestRootKey(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	found := make([]string, 8)
	for i := range found {
		wg.Go(func() {
			all, err := loadRoots(dir)
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = string(all.keys[0].secret)
		})
	}
	wg.Wait()
	for _, key := range found {
		if key != found[0] || len(key) != 32 {
			t.Fatal("two starts have two keys")
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	path := filepath.Join(dir, rootKeyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v %v", info, err)
	}

	db, err := sqlite.Open(t.Context(), filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKeys(dir); err == nil || !strings.Contains(err.Error(), "64 hexadecimal digits") {
		t.Errorf("a broken key: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKeys(dir); err == nil || !strings.Contains(err.Error(), "restore it from the backup") {
		t.Errorf("a lost key: %v", err)
	}
	if status, _, errs := lodgeRun(t, "codes", "create", "--experiment", "x", "--data", dir); status != exitFailed || !strings.Contains(errs, "root.key is missing") {
		t.Errorf("a command without it: %d %q", status, errs)
	}
}

// An error of Lodge's own is shown by its safe message, never its cause.
func TestStatusShowsTheSafeMessage(t *testing.T) {
	var errs bytes.Buffer
	a := &app{err: &errs}
	if status := a.status(lodge.Wrap(lodge.CodeUnavailable, "The store is down.", os.ErrPermission)); status != exitFailed || errs.String() != "lodge: The store is down.\n" {
		t.Errorf("%d %q", status, errs.String())
	}
}
