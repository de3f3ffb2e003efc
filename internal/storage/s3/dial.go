package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// connectLimit is how long a connection, and then its TLS, may take to come about.
const connectLimit = 5 * time.Second

// newTransport returns one whose connections end when nothing has moved on them for so
// long, in whatever a request is about.
func newTransport(stall time.Duration, authorities *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: connectLimit}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &moving{c, stall}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		TLSHandshakeTimeout:   connectLimit,
		ResponseHeaderTimeout: stall,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       stall / 2,
		MaxIdleConnsPerHost:   16,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true, // a length that was said is that of what comes
	}
}

// moving is a connection that is given up when it is silent. What is written shows
// that it is not, for whoever waits to read.
type moving struct {
	net.Conn
	stall time.Duration
}

func (c *moving) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *moving) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// bodiesKey is under what a context has the *sync.WaitGroup of the bodies that are sent
// in it.
type bodiesKey struct{}

// letting is a transport that tells when it lets a body go: it may read on after its
// answer, or its error, has come.
type letting struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t letting) RoundTrip(r *http.Request) (*http.Response, error) {
	if bodies, ok := r.Context().Value(bodiesKey{}).(*sync.WaitGroup); ok && r.Body != nil {
		bodies.Add(1)
		r = r.WithContext(r.Context())
		r.Body = &lent{r.Body, sync.OnceFunc(bodies.Done)}
	}
	return t.RoundTripper.RoundTrip(r)
}

type lent struct {
	io.ReadCloser
	back func()
}

func (l *lent) Close() error {
	defer l.back()
	return l.ReadCloser.Close()
}
