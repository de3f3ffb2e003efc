package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/sessions"
)

// The host names of the samples.
const (
	labHost  = "lab.example.org"
	labURL   = "https://" + labHost
	uisHost  = "ui.lab.example.org"
	labLogin = "__Host-lodge"
)

// A protectedLab is a lab behind a real proxy with the configuration that is
// shipped for it, beside a service that the proxy protects.
type protectedLab struct {
	*lab
	proxy string // where the proxy listens
	wiki  *wiki
	trust *x509.CertPool
	lodge *cuttable // what the proxy takes for Lodge
}

// A wiki is a service that believes the headers it gets.
type wiki struct {
	mu   sync.Mutex
	seen []*http.Request // guarded by mu
}

func (w *wiki) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.seen = append(w.seen, r.Clone(context.Background()))
	w.mu.Unlock()
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		rw.Header().Set("X-From", "wiki")
		return
	}
	conn, err := websocket.Accept(rw, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }() // the client has closed it, or the test is over
	if kind, message, err := conn.Read(r.Context()); err == nil {
		_ = conn.Write(r.Context(), kind, message) // a lost echo fails the test at the reader
	}
}

// requests returns what reached the service since the last call.
func (w *wiki) requests() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// A cuttable passes requests to a handler, until it is cut: then Lodge is down, or
// cannot tell.
type cuttable struct {
	next http.Handler
	mu   sync.Mutex
	cut  http.HandlerFunc // guarded by mu
}

func (c *cuttable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	if cut != nil {
		cut(w, r)
		return
	}
	c.next.ServeHTTP(w, r)
}

func (c *cuttable) set(cut http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

// behind starts a proxy before a lab; start gets the sample with the addresses and
// paths of this test, and returns the proxy's command.
func behind(t *testing.T, sample string, start func(l *protectedLab, config string) *exec.Cmd) *protectedLab {
	t.Helper()
	l := &protectedLab{wiki: &wiki{}}
	l.lab = newLab(t, func(c *gateway.Config) {
		c.PublicURL, c.AssetsURL = labURL, "https://"+uisHost
		c.Hosts = map[string]lodge.Tenant{labHost: lodge.DefaultTenant}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	l.lodge = &cuttable{next: l.gateway.Handler()}
	lodgeAt, wikiAt, free := l.listen("127.0.0.1:0"), l.listen("127.0.0.1:0"), l.listen("127.0.0.1:0")
	l.proxy = free.Addr().String()
	l.must(free.Close())
	l.serve(lodgeAt, l.lodge)
	l.serve(wikiAt, l.wiki)
	l.certify()

	body, err := os.ReadFile(filepath.Join("../deploy/proxies", sample))
	l.must(err)
	config := string(body)
	for _, change := range [][2]string{
		{"listen 443 ssl http2", "listen " + l.proxy + " ssl http2"},
		{"https://" + labHost + " {", "https://" + labHost + ":" + port(free) + " {\n\tbind 127.0.0.1"},
		{"https://" + uisHost + " {", "https://" + uisHost + ":" + port(free) + " {\n\tbind 127.0.0.1"},
		{"127.0.0.1:8080", lodgeAt.Addr().String()},
		{"127.0.0.1:3000", wikiAt.Addr().String()},
		{"/etc/ssl/certs/lab.example.org.pem", filepath.Join(l.dir, "cert.pem")},
		{"/etc/ssl/private/lab.example.org.key", filepath.Join(l.dir, "key.pem")},
		{"/var/log/nginx/lodge.log", filepath.Join(l.dir, "access.log")},
	} {
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	l.launch(start(l, config))
	return l
}

// certify makes the certificate of the samples' host names.
func (l *protectedLab) certify() {
	l.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: labHost}, DNSNames: []string{labHost, uisHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	l.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	l.must(err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	l.must(os.WriteFile(filepath.Join(l.dir, "cert.pem"), certificate, 0o600))
	l.must(os.WriteFile(filepath.Join(l.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	l.trust = x509.NewCertPool()
	l.trust.AppendCertsFromPEM(certificate)
}

// launch runs the proxy until the test's end, and waits until it answers.
func (l *protectedLab) launch(cmd *exec.Cmd) {
	l.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	l.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is told to end, by a signal; that it ended early is noticed below
		close(ended)
	}()
	l.Cleanup(func() {
		_ = cmd.Process.Kill() // it holds nothing, and may have ended
		<-ended
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(deadline)
	for {
		if conn, err := tls.Dial("tcp", l.proxy, &tls.Config{RootCAs: l.trust, ServerName: labHost}); err == nil {
			l.must(conn.Close())
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			l.Fatalf("%s ended: %s", cmd.Path, output.String())
		case <-limit:
			l.Fatalf("%s does not answer: %s", cmd.Path, output.String())
		}
	}
}

// client reaches the proxy as the samples' hosts and follows no redirect.
func (l *protectedLab) client() *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: l.trust},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", l.proxy)
		},
	}
	l.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: deadline, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask sends a request through the proxy; header names go as they are written.
func (l *protectedLab) ask(method, path string, headers ...pair) answer {
	l.Helper()
	return l.send(method, path, "", headers...)
}

// send is ask with a body.
func (l *protectedLab) send(method, path, body string, headers ...pair) answer {
	l.Helper()
	req, err := http.NewRequest(method, labURL+path, strings.NewReader(body))
	l.must(err)
	for _, h := range headers {
		req.Header[h.name] = append(req.Header[h.name], h.value)
	}
	res, err := l.client().Do(req)
	l.must(err)
	defer func() { _ = res.Body.Close() }() // it was read
	got, err := io.ReadAll(res.Body)
	l.must(err)
	return answer{res.StatusCode, res.Header, got}
}

// raw sends bytes over one TLS connection and returns the status line of the
// answer: paths go as they are written.
func (l *protectedLab) raw(target string, headers ...string) string {
	l.Helper()
	conn, err := tls.Dial("tcp", l.proxy, &tls.Config{RootCAs: l.trust, ServerName: labHost})
	l.must(err)
	defer func() { _ = conn.Close() }() // the answer was read
	l.must(conn.SetDeadline(time.Now().Add(deadline)))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n", target, labHost, strings.Join(append(headers, ""), "\r\n"))
	l.must(err)
	got, err := io.ReadAll(conn)
	if err != nil && len(got) == 0 {
		l.Fatalf("%q: %v", target, err)
	}
	line, _, _ := strings.Cut(string(got), "\r\n")
	return line
}

// login makes a login and returns its cookie.
func (l *protectedLab) login(name string) (sessions.Session, pair) {
	l.Helper()
	code, s, err := l.sessions.Create(l.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Login, Person: lodge.PersonID("p-" + name), Name: name, Groups: []string{"physics-1"},
		Bindings: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}}, ExpiresAt: l.clock.Now().Add(time.Hour),
	})
	l.must(err)
	return s, pair{"Cookie", labLogin + "=" + code}
}

// echo opens a websocket through the proxy and expects what it sends to come back.
func (l *protectedLab) echo(path string, cookie pair) {
	l.Helper()
	conn := wstest.Dial(l.T, l.client(), "wss://"+labHost+path, http.Header{cookie.name: {cookie.value}})
	wstest.Write(l.T, conn, websocket.MessageText, "hello")
	if _, got := wstest.Read(l.T, conn); got != "hello" {
		l.Errorf("%s: %q came back", path, got)
	}
}

// behindTraefik is a lab without a proxy, which trusts some.
func behindTraefik(t *testing.T, trusted string) *protectedLab {
	t.Helper()
	l := &protectedLab{}
	l.lab = newLab(t, func(c *gateway.Config) {
		c.PublicURL, c.AssetsURL = labURL, "https://"+uisHost
		c.Hosts = map[string]lodge.Tenant{labHost: lodge.DefaultTenant, otherHost: otherTenant}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(trusted)}
	})
	return l
}
