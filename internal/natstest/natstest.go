// Package natstest runs private NATS servers with JetStream for tests: each a
// process of its own on free loopback ports, with its files in a temporary
// directory, gone at the end. They sync every write, as Lodge asks for in
// production.
//
//	natstest.go  starting, killing and stopping
//	build.go     the program, from the module internal/natsserver
//	cluster.go   several that replicate to one another
package natstest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/freeport"
)

// limit is how long a server may take to start.
const limit = 30 * time.Second

// Options say how a server runs.
type Options struct {
	// Lazy has it acknowledge what it syncs later, as JetStream does unless told
	// otherwise.
	Lazy bool
	// Settings are further lines of its configuration.
	Settings []string
}

// A Server is a NATS server.
type Server struct {
	t             testing.TB
	program, dir  string
	opts          Options
	port, monitor int

	cmd  *exec.Cmd     // nil when it is not running
	gone chan struct{} // closed when the process has ended and was waited for
}

// Start runs a server for one test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{t: t, program: program(t), dir: t.TempDir(), opts: opts}
	t.Cleanup(s.Kill9)
	// Somebody else may take a port between our asking and the server's binding.
	var err error
	for range 5 {
		s.port, s.monitor = freePort(t), freePort(t)
		if err = s.run(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// Addr returns host:port for clients.
func (s *Server) Addr() string { return local(s.port) }

// URL returns the address in the form of configuration.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Monitor returns the URL of the server's monitoring.
func (s *Server) Monitor() string { return "http://" + local(s.monitor) }

// Kill9 ends the process at once, as a crash would. It may be called again.
func (s *Server) Kill9() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it has ended already
	<-s.gone
	s.cmd = nil
}

// Stop has the server end in order, and waits until it has. Restart runs it again.
func (s *Server) Stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal("natstest: ", err)
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-s.gone:
		s.cmd = nil
	case <-late.C:
		s.Kill9()
		s.t.Fatalf("natstest: the server did not stop within %s", limit)
	}
}

// Restart runs the server, after Kill9 or Stop, on its ports and files.
func (s *Server) Restart() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("natstest: the server was to be started again and is running")
	}
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await("/healthz")
}

// launch starts the process.
func (s *Server) launch() error {
	config := filepath.Join(s.dir, "nats.conf")
	interval := "always"
	if s.opts.Lazy {
		interval = "2m"
	}
	text := fmt.Sprintf("listen: %q\nhttp: %q\njetstream {\n store_dir: %q\n sync_interval: %s\n}\n%s\n",
		s.Addr(), local(s.monitor), filepath.Join(s.dir, "data"), interval, strings.Join(s.opts.Settings, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("natstest: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("natstest: %w", err)
	}
	cmd := exec.Command(s.program, "--config", config)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = file, file, dieWithParent()
	err = cmd.Start()
	_ = file.Close() // the process has its own
	if err != nil {
		return fmt.Errorf("natstest: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // killed, or ended by itself: either way it is gone
	}()
	s.cmd, s.gone = cmd, gone
	return nil
}

// await asks the server's monitoring until it says that all is well.
func (s *Server) await(path string) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		answer, err := client.Get(s.Monitor() + path)
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
			return errors.New("natstest: the server ended: " + s.said())
		case <-late.C:
			s.Kill9()
			return fmt.Errorf("natstest: not ready after %s: %s", limit, s.said())
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

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.On("127.0.0.1")
	if err != nil {
		t.Fatal("natstest: ", err)
	}
	return port
}
