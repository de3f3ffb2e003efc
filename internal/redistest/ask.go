package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Ask sends one command over a connection of its own and returns the reply, a
// bulk or a simple string. The test fails on an error.
func (s *Server) Ask(args ...string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		s.t.Fatal("redistest: ", err)
	}
	defer func() { _ = conn.Close() }() // the reply has been read
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		s.t.Fatal("redistest: ", err)
	}
	request := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		s.t.Fatal("redistest: ", err)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil || strings.HasPrefix(line, "-") {
		s.t.Fatalf("redistest: %s: %s %v", strings.Join(args, " "), line, err)
	}
	if !strings.HasPrefix(line, "$") {
		return strings.TrimSpace(line[1:])
	}
	var size int
	if _, err := fmt.Sscanf(line, "$%d", &size); err != nil {
		s.t.Fatal("redistest: ", err)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil {
		s.t.Fatal("redistest: ", err)
	}
	return string(body)
}

// await asks the same until the answer contains every one of these texts, and
// returns it.
func (s *Server) await(within time.Duration, command string, texts ...string) string {
	s.t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer := s.Ask(strings.Fields(command)...)
		if containsAll(answer, texts) {
			return answer
		}
		select {
		case <-tick.C:
		case <-limit.C:
			s.t.Fatalf("redistest: %s of %s has not %q after %s:\n%s", command, s.Addr(), texts, within, answer)
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// awaitOffset waits until a replica has what its master had written at an
// offset.
func (s *Server) awaitOffset(offset string) {
	s.t.Helper()
	want, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		s.t.Fatal("redistest: ", err)
	}
	limit := time.NewTimer(failoverLimit)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for line := range strings.Lines(s.Ask("INFO", "replication")) {
			if text, found := strings.CutPrefix(strings.TrimSpace(line), "slave_repl_offset:"); found {
				if has, err := strconv.ParseInt(text, 10, 64); err == nil && has >= want {
					return
				}
			}
		}
		select {
		case <-tick.C:
		case <-limit.C:
			s.t.Fatalf("redistest: replica %s is behind after %s", s.Addr(), failoverLimit)
		}
	}
}
