// Package mailtest is a mail server for tests: a real one on a port of its own,
// with TLS and authentication, that keeps what it takes and fails as it is told.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The account that a server knows.
const (
	User     = "lodge"
	Password = "correct horse"
)

// A Delivery is what the server took.
type Delivery struct {
	From, To string
	Secure   bool // came over TLS
	User     string
	Data     []byte
}

// A Server is a running mail server.
type Server struct {
	Host  string
	Port  int
	Roots *x509.CertPool

	t     testing.TB
	mu    sync.Mutex
	fail  func(step string) error // guarded by mu
	taken []Delivery              // guarded by mu
	tries int                     // guarded by mu
	came  chan struct{}
}

// The steps at which a server can be made to fail.
const (
	AtSender    = "sender"
	AtRecipient = "recipient"
	AtData      = "data"
)

// Temporary and Permanent are refusals that a server may give; ErrDrop closes the
// connection instead of answering.
var (
	Temporary = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
	Permanent = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	ErrDrop   = errors.New("mailtest: drop the connection")
)

// Start runs a server until the test's end: implicit TLS, else STARTTLS.
func Start(t testing.TB, implicit bool) *Server {
	t.Helper()
	conf, roots := certificate(t)
	s := &Server{Host: "127.0.0.1", Roots: roots, t: t, came: make(chan struct{}, 1000)}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{server: s, conn: c}, nil }))
	server.Domain, server.TLSConfig, server.ReadTimeout, server.WriteTimeout = "localhost", conf, time.Minute, time.Minute
	server.ErrorLog = quiet{}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
	if implicit {
		listener = tls.NewListener(listener, conf)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Fail makes the server ask fn at each step; nil: it takes everything.
func (s *Server) Fail(fn func(step string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fn
}

// Tries is how many letters were begun.
func (s *Server) Tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// Taken are the letters that the server took.
func (s *Server) Taken() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Delivery(nil), s.taken...)
}

// Await waits until the server has taken n letters in all, and returns them.
func (s *Server) Await(n int) []Delivery {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		if taken := s.Taken(); len(taken) >= n {
			return taken
		}
		select {
		case <-s.came:
		case <-deadline:
			s.t.Fatalf("%d letters came, not %d", len(s.Taken()), n)
		}
	}
}

func (s *Server) ask(c *smtp.Conn, step string) error {
	s.mu.Lock()
	fail := s.fail
	if step == AtSender {
		s.tries++
	}
	s.mu.Unlock()
	if fail == nil {
		return nil
	}
	err := fail(step)
	if errors.Is(err, ErrDrop) {
		_ = c.Conn().Close() // what the client sees is the end of it
	}
	return err
}

// session is one connection's.
type session struct {
	server *Server
	conn   *smtp.Conn
	got    Delivery
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return smtp.ErrAuthFailed
		}
		s.got.User = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	_, s.got.Secure = s.conn.TLSConnectionState()
	s.got.From = from
	return s.server.ask(s.conn, AtSender)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.got.To = to
	return s.server.ask(s.conn, AtRecipient)
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.ask(s.conn, AtData); err != nil {
		return err
	}
	s.got.Data = body
	s.server.mu.Lock()
	s.server.taken = append(s.server.taken, s.got)
	s.server.mu.Unlock()
	s.server.came <- struct{}{}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate makes one for the loopback address, and the pool that trusts it.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}
