package postgrestest

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill9 ends every process of the server at once, as a crash would, in the
// middle of whatever they do. It may be called again.
func (s *Server) Kill9() {
	if s.cmd == nil {
		return
	}
	// Stopped first, so that it starts no further process meanwhile, which would
	// live on. Each of these fails only for a process that is gone, which is what
	// is wanted.
	_ = s.cmd.Process.Signal(syscall.SIGSTOP)
	for late := time.Now().Add(limit); running(s.cmd.Process.Pid) && time.Now().Before(late); {
		runtime.Gosched() // a signal takes its time
	}
	pids := children(s.cmd.Process.Pid)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Process.Kill()
	<-s.gone
	s.cmd = nil
	// A server does not start while one of them still has its memory.
	late := time.Now().Add(limit)
	for slices.ContainsFunc(pids, alive) && time.Now().Before(late) {
		runtime.Gosched()
	}
}

// running reports whether a process is there and has not been stopped.
func running(pid int) bool {
	f := status(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return len(f) > 0 && !strings.Contains("TtZX", f[0])
}

// alive reports whether a process is there and is more than a zombie.
func alive(pid int) bool {
	f := status(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return len(f) > 0 && f[0] != "Z" && f[0] != "X"
}

// status returns what a file /proc/PID/stat has behind the process' name, which
// may hold anything: its state, its parent, and more; nothing when it is gone.
func status(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// children returns the processes that have this parent, where the system tells;
// elsewhere they notice by themselves that it is gone.
func children(parent int) []int {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []int
	for _, file := range files {
		if f := status(file); len(f) < 2 || f[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
