package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a part of the measurement that runs on its own.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	done  chan struct{} // closed when the output was read to its end; nil before serve
}

// start runs a program. It is asked to end with ctx, and killed a little later.
func start(ctx context.Context, name, path string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = dieWithParent()
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	p.lines.Buffer(nil, 64<<20)
	return p, nil
}

// child runs one of this program's own parts.
func child(ctx context.Context, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, name, self, append([]string{"child", name}, args...)...)
}

// await reads the output up to the first line that holds a text and returns what
// follows the text.
func (p *process) await(text string) (string, error) {
	for p.lines.Scan() {
		if _, rest, found := strings.Cut(p.lines.Text(), text); found {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", errors.Join(fmt.Errorf("%s ended before it said %q", p.name, text), p.lines.Err())
}

// serve waits until a server says that it is ready, and reads on.
func (p *process) serve(ready string) (string, error) {
	rest, err := p.await(ready)
	if err != nil {
		return "", err
	}
	p.drain()
	return rest, nil
}

// drain reads the output to its end, so that the process never waits for that.
func (p *process) drain() {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		for p.lines.Scan() {
		}
	}()
}

// listenLimit bounds the wait for a server that does not say when it is ready.
const listenLimit = 30 * time.Second

// awaitListener waits until somebody listens on an address.
func awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody listens on %s: %w", addr, err)
		case <-tick.C:
		}
	}
}

// stop asks the process to end and waits until it has.
func (p *process) stop() error {
	_ = p.in.Close()                          // it may have ended already
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // the same
	if p.done != nil {
		<-p.done
	}
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGTERM { // -1 unless a signal ended it

			return nil
		}
	}
	return err
}

// ticks is how many clock ticks of /proc are a second: USER_HZ, 100 on every
// architecture that Go knows.
const ticks = 100

// cpu returns the CPU time that a process has used, user and system.
func cpu(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything: count from behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var sum int64
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// resident returns the resident memory of a process in bytes.
func resident(pid int) (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// freeAddr returns an address on loopback that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
