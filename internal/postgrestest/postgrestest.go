// Package postgrestest runs private PostgreSQL servers for tests: on a free
// loopback port, with their files in a temporary directory, gone at the end.
//
//	postgrestest.go  starting and stopping
//	kill.go          ending it as a crash would, and the processes of a server
//	database.go      a fresh database for each test, cut connections
//	shared.go        the one server of a test package
//
// The programs are looked for in PATH and where Debian keeps them. PostgreSQL
// refuses to run as root: a test that does runs it as the user "postgres".
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/internal/freeport"
)

// limit is how long a server may take to start or to stop.
const limit = 60 * time.Second

// Options say how a server runs.
type Options struct {
	// Sync has commits reach the disk, as in production. Without it they reach
	// the kernel, which is as good as long as only processes die, and faster.
	Sync bool
	// Settings are further ones, each as "name=value".
	Settings []string
}

// A Server is a PostgreSQL server.
type Server struct {
	bin, dir string
	port     int
	opts     Options
	as       *syscall.Credential // nil: as oneself

	cmd  *exec.Cmd     // nil when it is not running
	gone chan struct{} // closed when the process has ended and was waited for
}

// start makes a server's files and runs it. The caller calls Stop.
func start(opts Options) (*Server, error) {
	s := &Server{opts: opts}
	var err error
	if s.bin, err = findBin(); err != nil {
		return nil, err
	}
	if s.as, err = credential(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "lodge-postgres-"); err != nil {
		return nil, fmt.Errorf("postgrestest: %w", err)
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

func (s *Server) begin() error {
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return fmt.Errorf("postgrestest: %w", err)
		}
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", "lodge", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("postgrestest: initdb: %w: %s", err, out)
	}
	// Somebody else may take the port between our asking and the server's binding.
	var err error
	for range 5 {
		if s.port, err = freeport.On("127.0.0.1"); err != nil {
			return err
		}
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
}

// Restart runs the server, after Kill9 or Halt, on its port and files. What is
// left of its former life, and whoever has its port meanwhile, get time to go.
func (s *Server) Restart() error {
	if s.cmd != nil {
		return errors.New("postgrestest: the server was to be started again and is running")
	}
	var err error
	for range 20 {
		if err = s.run(); err == nil || s.cmd != nil {
			return err
		}
		pause := time.NewTimer(250 * time.Millisecond)
		<-pause.C
	}
	return err
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range slices.Concat([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "shared_buffers=64MB",
		"dynamic_shared_memory_type=mmap", // in the directory, so that nothing is left of a killed one
		"fsync=" + strconv.FormatBool(s.opts.Sync), "timezone=UTC",
	}, s.opts.Settings) {
		args = append(args, "-c", setting)
	}
	file, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Start()
	_ = file.Close() // the process has its own
	if err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // killed, or ended by itself: either way it is gone
	}()
	s.cmd, s.gone = cmd, gone
	return s.ready()
}

// ready waits until the server answers.
func (s *Server) ready() error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-pause.C:
		case <-s.gone:
			s.cmd = nil
			return fmt.Errorf("postgrestest: the server ended: %s", s.said())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("postgrestest: not ready after %s: %w: %s", limit, err, s.said()), s.Halt())
		}
	}
}

// Halt stops the server in order, and waits until it is gone; Restart runs it
// again.
func (s *Server) Halt() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil { // "fast": connections are ended
		return fmt.Errorf("postgrestest: %w", err)
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-s.gone:
		s.cmd = nil
		return nil
	case <-late.C:
		s.Kill9()
		return fmt.Errorf("postgrestest: did not stop within %s: %s", limit, s.said())
	}
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	var err error
	if s.cmd == nil {
		// One that was killed leaves a segment of shared memory, which its
		// successor removes.
		err = s.Restart()
	}
	return errors.Join(err, s.Halt(), os.RemoveAll(s.dir))
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// said returns the end of what the server logged.
func (s *Server) said() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = dieWithParent()
	cmd.SysProcAttr.Credential = s.as
	return cmd
}

// findBin returns the directory that has the server's programs.
func findBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("postgrestest: PostgreSQL is not installed: apt-get install --no-install-recommends postgresql (or make test)")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// credential returns whom the server runs as, nil for oneself.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("postgrestest: PostgreSQL does not run as root and there is no user postgres (apt-get install --no-install-recommends postgresql makes one): %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("postgrestest: the user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("postgrestest: the user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
