package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// serverPackage is what is built, in the module internal/natsserver.
const serverPackage = "github.com/nats-io/nats-server/v2"

// built is the program's path, for all tests of the process.
var built = sync.OnceValues(build)

// program returns the path of a nats-server.
func program(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build returns the cached program, and builds it where there is none. It is
// kept by its version and Go's in the user's cache directory. Processes that
// build at the same time each make a file of their own, and the last one's stays.
func build() (string, error) {
	module, err := moduleDir()
	if err != nil {
		return "", err
	}
	needs, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	version := regexp.MustCompile(regexp.QuoteMeta(serverPackage) + ` (v[^\s]+)`).FindSubmatch(needs)
	if version == nil {
		return "", fmt.Errorf("natstest: %s/go.mod does not name a version of %s", module, serverPackage)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	cache = filepath.Join(cache, "lodge")
	goVersion, _, _ := strings.Cut(runtime.Version(), " ")
	path := filepath.Join(cache, fmt.Sprintf("nats-server-%s-%s", version[1], goVersion))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	temp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // a leftover harms nobody
	cmd := exec.Command("go", "build", "-C", module, "-o", filepath.Join(temp, "nats-server"), serverPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("natstest: there is no nats-server and it cannot be built: %w: %s\nWith a network, build it once: go build -C %s -o %s %s",
			err, out, module, path, serverPackage)
	}
	if err := os.Rename(filepath.Join(temp, "nats-server"), path); err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	return path, nil
}

// moduleDir returns the module that has the server, found from the directory of
// the package under test upwards.
func moduleDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("natstest: %w", err)
	}
	for {
		module := filepath.Join(dir, "internal", "natsserver")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("natstest: no internal/natsserver above the working directory")
		}
		dir = parent
	}
}
