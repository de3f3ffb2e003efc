package natstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// StartCluster runs n servers that share one JetStream, and returns when one leads
// it and hears from all.
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
	gathered(t, servers)
	return servers
}

// gathered waits until the servers have a leader that hears from all of them: a
// stream with as many replicas cannot be made before, however healthy each one is.
func gathered(t testing.TB, servers []*Server) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		for _, s := range servers {
			if s.leads(ctx, len(servers)) {
				return
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("natstest: %d servers do not find together: %s", len(servers), servers[0].said())
		}
	}
}

// leads reports whether the server leads a JetStream of n servers, all of which it
// hears from.
func (s *Server) leads(ctx context.Context, n int) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Monitor()+"/jsz", http.NoBody)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }() // it has been read
	var said struct {
		Meta struct {
			Replicas []struct {
				Current bool `json:"current"`
				Offline bool `json:"offline"`
			} `json:"replicas"` // of a leader: the others
		} `json:"meta_cluster"`
	}
	if json.NewDecoder(answer.Body).Decode(&said) != nil || len(said.Meta.Replicas) != n-1 {
		return false
	}
	for _, other := range said.Meta.Replicas {
		if !other.Current || other.Offline {
			return false
		}
	}
	return true
}
