// Package wstest helps tests of what speaks websockets: a server without a
// network, which works under testing/synctest, and reads and writes that fail
// the test instead of hanging.
package wstest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// deadline bounds every single step. It is never waited for by a test that
// passes.
const deadline = 30 * time.Second

// A Server serves HTTP over pipes. A pipe holds nothing: what is written is
// taken by the other side or waits.
type Server struct {
	// Client reaches the server under any host name.
	Client *http.Client
	// URL is an address of the server.
	URL string

	server http.Server
	pipes  *pipes
	served sync.WaitGroup
}

// Serve starts a server; the test must call Close, in its bubble if it has one.
func Serve(handler http.Handler) *Server {
	s := &Server{URL: "http://lodge.test", pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	s.server.Handler = handler
	transport := &http.Transport{DialContext: s.pipes.dial}
	s.Client = &http.Client{Transport: transport}
	s.served.Go(func() {
		if err := s.server.Serve(s.pipes); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	})
	return s
}

// Close ends the server and the connections that were not upgraded.
func (s *Server) Close() {
	s.Client.CloseIdleConnections()
	if err := s.server.Close(); err != nil {
		panic(err)
	}
	s.served.Wait()
}

// WS returns the websocket address of a path.
func (s *Server) WS(path string) string { return "ws" + strings.TrimPrefix(s.URL, "http") + path }

type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// Dial opens a websocket with the given headers and fails the test if it
// cannot. The connection is closed at the test's end.
func Dial(t testing.TB, client *http.Client, uri string, header http.Header) *websocket.Conn {
	t.Helper()
	conn, status := TryDial(t, client, uri, header)
	if conn == nil {
		t.Fatalf("websocket refused with status %d", status)
	}
	return conn
}

// TryDial is Dial for an address that may be refused: then the connection is
// nil and the status tells why.
func TryDial(t testing.TB, client *http.Client, uri string, header http.Header) (*websocket.Conn, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, uri, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	if err != nil {
		if resp == nil {
			t.Fatalf("websocket not opened: %v", err)
			return nil, 0
		}
		return nil, resp.StatusCode
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() }) // closed by then, as a rule
	return conn, resp.StatusCode
}

// Write sends a message.
func Write(t testing.TB, conn *websocket.Conn, kind websocket.MessageType, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := conn.Write(ctx, kind, []byte(data)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// Read returns the next message.
func Read(t testing.TB, conn *websocket.Conn) (websocket.MessageType, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	kind, data, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return kind, string(data)
}

// Closed reads on until the other side closes the connection and returns its
// close frame. wait bounds the whole.
func Closed(t testing.TB, conn *websocket.Conn, wait time.Duration) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		if err == nil {
			continue
		}
		if frame, ok := errors.AsType[websocket.CloseError](err); ok {
			return frame
		}
		t.Fatalf("ended without a close frame: %v", err)
	}
}

// Eventually waits for a condition that nothing announces.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	until := time.Now().Add(deadline)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(until) {
			t.Fatalf("never happened: %s", what)
		}
		<-tick.C
	}
}
