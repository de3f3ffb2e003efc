package hubnode

import (
	"testing"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/internal/redistest"
)

// A backend is the server behind a log.
type backend struct {
	url   string
	crash func() // kills it with SIGKILL and starts it again
}

// backends start the servers that nodes can share. Each keeps what it
// acknowledged when its processes are killed. A database in a file is no such
// thing: one process has it to itself.
var backends = []struct {
	name  string
	start func(t *testing.T) backend
}{
	{"redis", func(t *testing.T) backend {
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		return backend{server.URL(), func() { server.Kill(); server.Restart() }}
	}},
	{"postgres", func(t *testing.T) backend {
		server := postgrestest.Start(t, postgrestest.Options{})
		return backend{server.Database(t), func() {
			server.Kill9()
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
		}}
	}},
	{"jetstream", func(t *testing.T) backend {
		server := natstest.Start(t, natstest.Options{})
		return backend{server.URL(), func() { server.Kill9(); server.Restart() }}
	}},
}
