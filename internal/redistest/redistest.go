// Package redistest runs private Redis servers for a test: one, a master with
// replicas and Sentinels, or a Cluster. Each is a process of its own on a free
// loopback port, with its files in a temporary directory, that ends with the
// test.
package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/freeport"
)

// startLimit is how long a server may take until it accepts connections.
const startLimit = 20 * time.Second

// A Server is a running redis-server.
type Server struct {
	t    testing.TB
	file string   // of its configuration, for a Sentinel, which keeps its state there
	args []string // follow the port
	port string

	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended and was waited for
}

// Start runs a server with extra settings, written as on its command line
// ("--appendonly", "yes"), and stops it when the test ends. It writes nothing to
// disk unless told to. The test fails when there is no redis-server.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{t: t, args: append([]string{
		"--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--loglevel", "notice",
	}, settings...)}
	s.start()
	return s
}

// start runs the server for the first time.
func (s *Server) start() {
	s.t.Helper()
	s.t.Cleanup(s.Kill)
	// Somebody else may take the port between our asking and Redis' binding.
	for range 5 {
		s.port = freePort(s.t)
		if s.run() {
			return
		}
	}
	s.t.Fatal("redistest: redis-server did not start on any of five ports")
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// URL returns the address in the form of configuration.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Kill ends the process at once, as a crash would. It may be called again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it has ended already
	<-s.gone
	s.cmd = nil
}

// Restart runs the server again, after Kill, on the same port and directory, with
// extra settings that last until the next Restart.
func (s *Server) Restart(settings ...string) {
	s.t.Helper()
	if !s.run(settings...) {
		s.t.Fatal("redistest: redis-server did not start again on " + s.Addr())
	}
}

// run starts the process and waits until it accepts connections; it returns
// false when the process ended instead.
func (s *Server) run(settings ...string) bool {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redistest: redis-server is not installed: apt-get install redis-server (or make test)")
	}
	args := slices.Concat([]string{"--port", s.port}, s.args, settings)
	if s.file != "" {
		args = append([]string{s.file}, args...)
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal("redistest: ", err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal("redistest: ", err)
	}
	ready, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		watch(out, ready)
		_ = cmd.Wait() // killed, or ended by itself: either way it is gone
	}()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	s.cmd, s.gone = cmd, gone
	select {
	case <-ready:
		return true
	case <-gone:
		s.cmd = nil
		return false
	case <-limit.C:
		s.Kill()
		s.t.Fatalf("redistest: redis-server not ready after %s", startLimit)
		return false
	}
}

// watch reads the server's log to its end and closes ready at the line that says
// so.
func watch(out io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(out)
	said := false
	for lines.Scan() {
		if !said && (strings.Contains(lines.Text(), "eady to accept connections") || strings.Contains(lines.Text(), "+monitor master")) {
			said = true
			close(ready)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	port, err := freeport.On("127.0.0.1")
	if err != nil {
		t.Fatal("redistest: ", err)
	}
	return fmt.Sprint(port)
}
