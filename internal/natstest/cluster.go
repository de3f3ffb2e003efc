package natstest

import (
	"fmt"
	"strings"
	"testing"
)

// StartCluster runs n servers that share one JetStream, and returns when all say
// that they are in it.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := make([]*Server, n)
	ports, routes := make([]int, n), make([]string, n)
	for i := range servers {
		ports[i] = freePort(t)
		routes[i] = fmt.Sprintf("%q", "nats://"+local(ports[i]))
	}
	for i := range servers {
		s := &Server{t: t, program: program(t), dir: t.TempDir(), port: freePort(t), monitor: freePort(t)}
		s.opts.Settings = []string{fmt.Sprintf("server_name: \"node%d\"\ncluster {\n name: lodge\n listen: %q\n routes: [%s]\n}",
			i, local(ports[i]), strings.Join(routes, ", "))}
		t.Cleanup(s.Kill9)
		if err := s.launch(); err != nil {
			t.Fatal(err)
		}
		servers[i] = s
	}
	for _, s := range servers {
		if err := s.await("/healthz"); err != nil {
			t.Fatal(err)
		}
	}
	return servers
}
