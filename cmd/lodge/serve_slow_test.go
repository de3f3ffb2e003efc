package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p pipes) Close() error { return nil }

// Who takes their time with the head of a request, or its body, or the next request, is
// not waited for.
func TestSec46_WhoIsSlowIsCutOff(t *testing.T) {
	for name, one := range map[string]struct {
		sent  string
		after time.Duration
	}{
		"nothing":      {"", 5 * time.Second},
		"half a head":  {"GET / HTTP/1.1\r\nHost: lab.example.org\r\nX-Slow: ", 5 * time.Second},
		"half a body":  {"POST / HTTP/1.1\r\nHost: lab.example.org\r\nContent-Length: 10\r\n\r\nhalf", 30 * time.Second},
		"half a chunk": {"POST / HTTP/1.1\r\nHost: lab.example.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", 30 * time.Second},
		"no other":     {"GET / HTTP/1.1\r\nHost: lab.example.org\r\n\r\n", 2 * time.Minute},
		"half another": {"GET / HTTP/1.1\r\nHost: lab.example.org\r\n\r\nGET / HT", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusRequestTimeout)
					}
				})
				server, listener := newServer(read, slog.New(slog.DiscardHandler)), pipes{conns: make(chan net.Conn)}
				served := make(chan error, 1)
				go func() { served <- server.Serve(listener) }()
				mine, its := net.Pipe()
				listener.conns <- its
				began := time.Now()
				go func() { _, _ = io.WriteString(mine, one.sent) }() // the server may not read all of it
				if _, err := io.Copy(io.Discard, mine); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != one.after {
					t.Errorf("cut off after %v, want %v", took, one.after)
				}
				close(listener.conns)
				if err := <-served; !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		})
	}
}
