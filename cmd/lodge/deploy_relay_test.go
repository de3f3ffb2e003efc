package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// relayHost is the host name of the sample.
const relayHost = "relay1.lab.example.org"

// anybody lets every code read and write.
type anybody struct{}

func (anybody) Grant(_ context.Context, tenant lodge.Tenant, code, topic string) (relay.Grant, error) {
	return relay.Grant{Tenant: tenant, Session: code, Kind: "host", Topic: topic, Read: true, Write: true}, nil
}
func (anybody) Renew(_ context.Context, g relay.Grant) (relay.Grant, error) { return g, nil }
func (anybody) Watch(relay.Grant, func()) (stop func())                     { return func() {} }

// nginxBefore starts nginx with the sample for relays before an address, and returns
// a client that reaches it, and its access log.
func nginxBefore(t *testing.T, upstream string) (client *http.Client, accessLog string) {
	t.Helper()
	dir, at := t.TempDir(), freeAddress(t)
	cert := selfSigned(t, relayHost, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	accessLog = filepath.Join(dir, "access.log")
	config := deployed(t, "proxies/nginx-relay.conf")
	for _, change := range [][2]string{
		{"listen 443 ssl", "listen " + at + " ssl"},
		{"http://127.0.0.1:8080", upstream},
		{"/etc/ssl/certs/relay1.lab.example.org.pem", filepath.Join(dir, "cert.pem")},
		{"/etc/ssl/private/relay1.lab.example.org.key", filepath.Join(dir, "key.pem")},
		{"/var/log/nginx/lodge-relay.log", accessLog},
	} {
		if !strings.Contains(config, change[0]) {
			t.Fatalf("the sample has no %q", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	var temporary strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary.WriteString(what + "_temp_path " + filepath.Join(dir, what) + ";\n")
	}
	file := filepath.Join(dir, "nginx.conf")
	text := "daemon off; master_process off; pid " + filepath.Join(dir, "pid") + "; error_log stderr;\nevents {}\nhttp {\n" + temporary.String() + config + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // Debian keeps it out of PATH
	}
	cmd := exec.Command(program, "-e", "stderr", "-p", dir, "-c", file)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err, " (make setup installs it)")
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended by itself, which the test has noticed
		_ = cmd.Wait()         // it was killed
		if t.Failed() {
			t.Log(said.String())
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", at)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	wstest.Eventually(t, "nginx", func() bool {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			return false
		}
		_ = conn.Close() // it was only to see
		return true
	})
	return &http.Client{Transport: transport}, accessLog
}

// selfSigned writes a certificate for a host name, and its key.
func selfSigned(t *testing.T, host, certFile, keyFile string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The sample for a relay's own nginx carries streams both ways, tells who comes, and
// writes no ticket down.
func TestNginxBeforeARelay(t *testing.T) {
	var mu sync.Mutex
	var forwarded []string
	r := relay.New(anybody{}, lodge.SystemClock{}, relay.Options{
		BaseURL: func(*http.Request) string { return "wss://" + relayHost },
		Logger:  slog.New(slog.DiscardHandler),
	})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		forwarded = append(forwarded, req.Host+" "+req.Header.Get("X-Forwarded-For"))
		mu.Unlock()
		r.Session(w, req)
	}))
	defer upstream.Close()
	defer func() {
		if err := r.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	client, accessLog := nginxBefore(t, upstream.URL)

	var conns [2]*websocket.Conn
	var tickets []string
	for i, code := range []string{"host", "ada"} {
		req, err := http.NewRequest(http.MethodPost, "https://"+relayHost+"/session/pend00-data", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", code)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ URI string }
		err = json.NewDecoder(res.Body).Decode(&answer)
		_ = res.Body.Close() // it has been read
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode, err)
		}
		_, ticket, _ := strings.Cut(answer.URI, "?code=")
		tickets = append(tickets, ticket)
		conns[i] = wstest.Dial(t, client, answer.URI, nil)
	}
	wstest.Eventually(t, "both joined", func() bool { return len(r.Peers(lodge.DefaultTenant)) == 2 })
	for _, size := range []int{0, 1, 1024, 200_000} { // more than client_max_body_size, which is not for messages
		body := strings.Repeat("x", size)
		wstest.Write(t, conns[0], websocket.MessageBinary, body)
		if _, got := wstest.Read(t, conns[1]); got != body {
			t.Errorf("%d bytes came, not %d", len(got), size)
		}
		wstest.Write(t, conns[1], websocket.MessageText, body)
		if _, got := wstest.Read(t, conns[0]); got != body {
			t.Errorf("%d bytes came back, not %d", len(got), size)
		}
	}
	for _, conn := range conns {
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	for _, got := range forwarded {
		if got != relayHost+" 127.0.0.1" {
			t.Errorf("the relay saw %q", got)
		}
	}
	mu.Unlock()
	var written string
	wstest.Eventually(t, "the log of both streams", func() bool {
		f, err := os.Open(accessLog)
		if err != nil {
			return false
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		written = string(b)
		return err == nil && strings.Count(written, "GET /session/pend00-data") == 2
	})
	for _, ticket := range tickets {
		if ticket == "" || strings.Contains(written, ticket) {
			t.Errorf("a ticket is in the log:\n%s", written)
		}
	}
}
