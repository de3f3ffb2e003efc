// Package s3test runs private S3 gateways for tests: each a process of its own on a
// free loopback port, with its objects in a temporary directory, gone at the end. The
// program is built from the module internal/s3server.
//
//	s3test.go  starting, killing and starting again
//	tls.go     a certificate, for one that speaks TLS
package s3test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/buildtest"
	"github.com/lodge-gateway/lodge/internal/freeport"
)

// limit is how long a server may take to start.
const limit = 30 * time.Second

// What every server has: one bucket, and the credentials of its owner.
const (
	Bucket    = "hand-ins"
	KeyID     = "LODGETESTKEY"
	SecretKey = "canary-s3-secret-of-a-test"
)

// built is the program's path, for all tests of the process.
var built = sync.OnceValues(func() (string, error) {
	return buildtest.Program("s3server", "github.com/versity/versitygw", "github.com/versity/versitygw/cmd/versitygw")
})

// A Server is an S3 gateway over a directory.
type Server struct {
	t            testing.TB
	program, dir string
	port         int
	tls          *certificate // nil: it speaks plain HTTP

	cmd  *exec.Cmd     // nil when it is not running
	gone chan struct{} // closed when the process has ended and was waited for
}

// Start runs a server for one test.
func Start(t testing.TB) *Server { return start(t, nil) }

// StartTLS runs one that speaks TLS, with a certificate of an authority of its own.
func StartTLS(t testing.TB) *Server { return start(t, newCertificate(t)) }

func start(t testing.TB, with *certificate) *Server {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: program, dir: t.TempDir(), tls: with}
	for _, dir := range []string{filepath.Join("objects", Bucket), "attributes"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal("s3test: ", err)
		}
	}
	t.Cleanup(s.Kill9)
	// Somebody else may take a port between our asking and the server's binding.
	for range 5 {
		if s.port, err = freeport.On("127.0.0.1"); err != nil {
			t.Fatal("s3test: ", err)
		}
		if err = s.run(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// Addr returns host:port for clients.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the address of the bucket in the form of configuration.
func (s *Server) URL() string { return s.scheme() + "://" + s.Addr() + "/" + Bucket }

func (s *Server) scheme() string {
	if s.tls != nil {
		return "https"
	}
	return "http"
}

// Authority is the file of the authority that a server with TLS is known by.
func (s *Server) Authority() string { return s.tls.authority }

// Kill9 ends the process at once, as a crash would. It may be called again.
func (s *Server) Kill9() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it has ended already
	<-s.gone
	s.cmd = nil
}

// Restart runs the server, after Kill9, on its port and objects.
func (s *Server) Restart() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("s3test: the server was to be started again and is running")
	}
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	file, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	args := []string{"--port", s.Addr(), "--health", "/health", "--keep-alive", "--quiet"}
	if s.tls != nil {
		args = append(args, "--cert", s.tls.cert, "--key", s.tls.key)
	}
	// Not every file system has room for attributes beside its files.
	cmd := exec.Command(s.program, append(args, "posix", "--sidecar", filepath.Join(s.dir, "attributes"), filepath.Join(s.dir, "objects"))...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+KeyID, "ROOT_SECRET_ACCESS_KEY="+SecretKey)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = file, file, dieWithParent()
	err = cmd.Start()
	_ = file.Close() // the process has its own
	if err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // killed, or ended by itself: either way it is gone
	}()
	s.cmd, s.gone = cmd, gone
	return s.await()
}

// await asks the server until it says that it is well.
func (s *Server) await() error {
	late := time.NewTimer(limit)
	defer late.Stop()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	client := http.Client{Timeout: limit, Transport: s.tls.transport()}
	for {
		answer, err := client.Get(s.scheme() + "://" + s.Addr() + "/health")
		if err == nil {
			_ = answer.Body.Close() // its status is all there is to know
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-pause.C:
		case <-s.gone:
			s.cmd = nil
			return errors.New("s3test: the server ended: " + s.said())
		case <-late.C:
			s.Kill9()
			return fmt.Errorf("s3test: not ready after %s: %s", limit, s.said())
		}
	}
}

// said returns the end of what the server logged.
func (s *Server) said() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
