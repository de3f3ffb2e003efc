// Package buildtest builds the servers that tests run and no distribution has, each
// from a module of its own in internal: what they need never becomes a dependency of
// what is shipped. A program that was built is kept, by its version and Go's, in the
// user's cache directory.
package buildtest

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// Program returns the path of a program: of the package, in the module of the folder
// internal/MODULE, whose version its go.mod names under required. It is built where
// it is not there yet: once, whoever else asks for it meanwhile.
func Program(module, required, pkg string) (string, error) {
	dir, err := moduleDir(module)
	if err != nil {
		return "", err
	}
	needs, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	version := regexp.MustCompile(regexp.QuoteMeta(required) + ` (v[^\s]+)`).FindSubmatch(needs)
	if version == nil {
		return "", fmt.Errorf("buildtest: %s/go.mod does not name a version of %s", dir, required)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	cache = filepath.Join(cache, "lodge")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	goVersion, _, _ := strings.Cut(runtime.Version(), " ")
	name := programName(pkg)
	program := filepath.Join(cache, fmt.Sprintf("%s-%s-%s", name, version[1], goVersion))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	// Packages are tested side by side, and each build takes all processors.
	lock, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	defer func() { _ = lock.Close() }() // which gives it back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	return program, build(dir, cache, program, pkg)
}

// programName is how go build names the program of a package.
func programName(pkg string) string {
	name := path.Base(pkg)
	if regexp.MustCompile(`^v[0-9]+$`).MatchString(name) {
		name = path.Base(path.Dir(pkg))
	}
	return name
}

// build makes the program in a file of its own first: one that is there is whole.
func build(module, cache, program, pkg string) error {
	temp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return fmt.Errorf("buildtest: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // a leftover harms nobody
	made := filepath.Join(temp, "program")
	cmd := exec.Command("go", "build", "-C", module, "-trimpath", "-ldflags", "-s -w", "-o", made, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("buildtest: there is no %s and it cannot be built: %w: %s\nWith a network, build it once: go build -C %s -o %s %s",
			programName(pkg), err, out, module, program, pkg)
	}
	if err := os.Rename(made, program); err != nil {
		return fmt.Errorf("buildtest: %w", err)
	}
	return nil
}

// moduleDir returns the module's folder, found from the directory of the package
// under test upwards.
func moduleDir(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("buildtest: %w", err)
	}
	for {
		module := filepath.Join(dir, "internal", name)
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("buildtest: no internal/%s above the working directory", name)
		}
		dir = parent
	}
}
