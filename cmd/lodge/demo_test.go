package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is the command under test, built once: the tests of this package talk
// to it as a person's browser would, and to nothing inside it.
var binary string

func TestMain(m *testing.M) {
	status := func() int {
		dir, err := os.MkdirTemp("", "lodge-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "lodge")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the command:", err)
			return 1
		}
		return m.Run()
	}()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// A demoProcess is a running `lodge demo`.
type demoProcess struct {
	t    testing.TB
	args []string
	url  string

	mu     sync.Mutex
	output strings.Builder // guarded by mu

	cmd  *exec.Cmd
	done chan struct{} // closed when the output has ended
}

// startDemo runs the demo on a free port and waits until it is ready. It is
// stopped with the test.
func startDemo(t testing.TB, data string, more ...string) *demoProcess {
	t.Helper()
	d := &demoProcess{t: t, args: append([]string{"demo", "--listen", "127.0.0.1:0", "--data", data}, more...)}
	d.start()
	t.Cleanup(func() {
		if d.cmd != nil {
			d.stop(syscall.SIGTERM)
		}
		if t.Failed() {
			d.mu.Lock()
			defer d.mu.Unlock()
			t.Logf("the demo printed:\n%s", d.output.String())
		}
	})
	return d
}

var readyLine = regexp.MustCompile(`^lodge: ready at (http://127\.0\.0\.1:\d+)$`)

func (d *demoProcess) start() {
	d.t.Helper()
	cmd := exec.Command(binary, d.args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.done = cmd, make(chan struct{})
	ready := make(chan string, 1)
	go func() {
		defer close(d.done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			d.mu.Lock()
			fmt.Fprintln(&d.output, lines.Text())
			d.mu.Unlock()
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	select {
	case d.url = <-ready:
	case <-d.done:
		d.t.Fatalf("the demo ended before it was ready: %s", d.printed())
	case <-ctx.Done():
		d.t.Fatalf("the demo was not ready in 30 s: %s", d.printed())
	}
}

func (d *demoProcess) printed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.output.String()
}

// stop sends a signal and waits for the end.
func (d *demoProcess) stop(signal syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(signal); err != nil {
		d.t.Errorf("signal: %v", err)
	}
	<-d.done
	err := d.cmd.Wait()
	d.cmd = nil
	if err != nil && signal != syscall.SIGKILL {
		d.t.Errorf("the demo ended with %v", err)
	}
}

// kill ends the demo as a crash would, and starts it again on the same data.
func (d *demoProcess) kill() {
	d.t.Helper()
	before := d.url
	d.stop(syscall.SIGKILL)
	d.start()
	if d.url != before {
		d.t.Fatalf("after the restart the demo is at %s, before at %s", d.url, before)
	}
}

var referenceLine = regexp.MustCompile(`(?m)^ +(\S.*?) {2,}([23456789BCDFGHJKMNPQRSTVWXZ]{6}) {2,}pend01 until`)

// reference is Søren's, from the table that the demo prints.
func (d *demoProcess) reference() string {
	d.t.Helper()
	var found string
	d.eventually("the table of references", func() bool {
		m := referenceLine.FindStringSubmatch(d.printed())
		if m != nil {
			found = m[2]
		}
		return m != nil
	})
	return found
}

// eventually waits for a condition that another process brings about.
func (d *demoProcess) eventually(what string, condition func() bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatalf("%s did not come about in 20 s", what)
		}
	}
}
