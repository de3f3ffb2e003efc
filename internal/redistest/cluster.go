package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// slots is how many parts a Redis Cluster divides its keys into.
const slots = 16384

// StartCluster runs a Cluster of n masters, without replicas, that share the
// slots evenly, and returns when all of them say that it works.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		bus := freePort(t)
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
		nodes[i].ask("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/n), fmt.Sprint((i+1)*slots/n-1))
		nodes[i].ask("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", nodes[i].port, bus)
	}
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, node := range nodes {
		for known := fmt.Sprintf("cluster_known_nodes:%d\r", n); ; {
			info := node.ask("CLUSTER", "INFO")
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, known) {
				break
			}
			select {
			case <-tick.C:
			case <-limit.C:
				t.Fatalf("redistest: the Cluster does not work after %s:\n%s", startLimit, info)
			}
		}
	}
	return nodes
}

// ask sends one command over a connection of its own and returns the reply, a
// bulk or a simple string. The test fails on an error.
func (s *Server) ask(args ...string) string {
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
	for n := 0; n < size; {
		m, err := in.Read(body[n:])
		if err != nil {
			s.t.Fatal("redistest: ", err)
		}
		n += m
	}
	return string(body)
}
