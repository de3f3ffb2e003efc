// Package handintest is the suite that every place for the files of hand-ins passes,
// each against what it runs on in production.
//
//	handintest.go  the suite, and what its laws are written with
//	files.go       of one file: written, read, given up
//	folders.go     of many: listed and removed
package handintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

// Large is a size of which something is kept before Commit, whatever the place.
const Large = 12<<20 + 7

// Run checks one place. open opens it as one more node, and closes it with the test.
func Run(t *testing.T, open func(*testing.T) handin.Files) {
	for name, law := range map[string]func(*testing.T, func(*testing.T) handin.Files){
		"a file is there, whole, once it is committed": committed,
		"a file that is given up leaves nothing":       discarded,
		"what is not there is not found":               absent,
		"a name that is none does nothing":             names,
		"a context that ends ends what it was for":     cancelled,
		"a folder is removed with all in it":           folder,
		"more than a thousand are listed and removed":  many,
		"what was begun is listed and given up":        begun,
		"a list ends when it is told to":               stopped,
		"many write, read and remove at once":          racing,
	} {
		t.Run(name, func(t *testing.T) { law(t, open) })
	}
}

// place is a folder of its own for one law.
func place() string { return "law" + strings.ToLower(rand.Text()) }

// contents are bytes that tell where they stand.
func contents(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7 / 3)
	}
	return b
}

func put(t *testing.T, files handin.Files, name string, b []byte) {
	t.Helper()
	if err := write(t.Context(), files, name, b); err != nil {
		t.Fatal(err)
	}
}

func write(ctx context.Context, files handin.Files, name string, b []byte) error {
	p, err := files.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(p, struct{ io.Reader }{bytes.NewReader(b)}); err != nil {
		return errors.Join(err, p.Discard())
	}
	return errors.Join(p.Commit(), p.Discard())
}

func get(t *testing.T, files handin.Files, name string) []byte {
	t.Helper()
	b, err := read(t.Context(), files, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func read(ctx context.Context, files handin.Files, name string) ([]byte, error) {
	r, err := files.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func missing(t *testing.T, files handin.Files, name string) {
	t.Helper()
	if b, err := read(t.Context(), files, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %d bytes, %v, want fs.ErrNotExist", name, len(b), err)
	}
}

func list(t *testing.T, files handin.Files, folder string) (names []string) {
	t.Helper()
	for name, err := range files.List(t.Context(), folder) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func holds(t *testing.T, files handin.Files, folder string, want ...string) {
	t.Helper()
	if got := list(t, files, folder); !slices.Equal(got, want) {
		t.Errorf("%s holds %s, want %s", folder, short(got), short(want))
	}
}

func short(names []string) string {
	if len(names) > 10 {
		return fmt.Sprintf("%d names", len(names))
	}
	return fmt.Sprintf("%q", names)
}

func remove(t *testing.T, files handin.Files, name string) {
	t.Helper()
	if err := files.Remove(t.Context(), name); err != nil {
		t.Fatalf("remove %s: %v", name, err)
	}
}
