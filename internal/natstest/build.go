package natstest

import (
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/internal/buildtest"
)

// serverPackage is what is built, in the module internal/natsserver.
const serverPackage = "github.com/nats-io/nats-server/v2"

// built is the program's path, for all tests of the process.
var built = sync.OnceValues(func() (string, error) { return buildtest.Program("natsserver", serverPackage, serverPackage) })

// program returns the path of a nats-server.
func program(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
