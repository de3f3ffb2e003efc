package postgrestest

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the server of the test package, which starts with its first use.
var shared = sync.OnceValues(func() (*Server, error) { return start(Options{}) })

var used sync.Once // done with the first use of shared

// Shared returns the one server that all tests of a package use, each with a
// Database of its own. It is not synced; a test that stops the server or pulls
// its plug starts another. The package's TestMain runs its tests through Main.
func Shared(t testing.TB) *Server {
	t.Helper()
	used.Do(func() {})
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Start runs a server for one test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Main returns m with the shared server stopped after its run:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }
func Main(m *testing.M) interface{ Run() int } { return main{m} }

type main struct{ m *testing.M }

// Run implements what TestMain does.
func (r main) Run() int {
	code := r.m.Run()
	unused := false
	used.Do(func() { unused = true })
	if unused {
		return code
	}
	if s, err := shared(); err == nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}
