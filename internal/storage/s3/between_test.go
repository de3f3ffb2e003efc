package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/internal/s3test"
)

// between stands before a server and may answer, alter or swallow what passes.
type between struct {
	server *s3test.Server
	http   *httptest.Server
	client *http.Client

	mu    sync.Mutex
	alter func(r *http.Request, body []byte) []byte // guarded by mu
	drop  func(r *http.Request) bool                // guarded by mu: whose answer is lost
}

func startBetween(t *testing.T, server *s3test.Server) *between {
	b := &between{server: server, client: &http.Client{Transport: &http.Transport{}}}
	b.http = httptest.NewServer(b)
	t.Cleanup(func() {
		b.http.Close()
		b.client.CloseIdleConnections()
	})
	return b
}

func (b *between) url() string { return b.http.URL + "/" + s3test.Bucket }

func (b *between) set(alter func(*http.Request, []byte) []byte, drop func(*http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.alter, b.drop = alter, drop
}

// ServeHTTP passes a request on as it is signed: for the address that it came to.
func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.mu.Lock()
	if b.alter != nil {
		body = b.alter(r, body)
	}
	drop := b.drop != nil && b.drop(r)
	b.mu.Unlock()
	on, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+b.server.Addr()+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	on.Host, on.Header, on.ContentLength = r.Host, r.Header.Clone(), int64(len(body))
	answer, err := b.client.Do(on)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil || drop {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(said)
}
