package messagingtest

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// ScribbleUntilKilled runs this test binary as a process of its own, with more
// variables in its environment by which it knows that it is to Scribble to its
// output. It hands note each line, kills the process with SIGKILL when note has
// enough, and hands note the rest of what it said. A process that ends before
// that fails t.
func ScribbleUntilKilled(t *testing.T, env []string, note func(line string) (enough bool)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // when note fails the test; else both come too late
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	killed := false
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the end; a torn line was not said
		}
		if note(strings.TrimSpace(line)) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed = true
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || !killed || exit.Exited() {
		t.Fatalf("the process ended by itself: %v: %s", err, complaint.String())
	}
}
