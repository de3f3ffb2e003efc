package handintest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

func committed(t *testing.T, open func(*testing.T) handin.Files) {
	one, two := open(t), open(t)
	at := place() + "/hand/person/"
	for i, size := range []int{0, 1, 100_000, 5 << 20, 5<<20 + 1, 10 << 20, Large} {
		name, want := at+string(rune('a'+i)), contents(size)
		p, err := one.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for rest := want; len(rest) > 0; { // in pieces that fit nothing
			n := min(len(rest), 70_001)
			if wrote, err := p.Write(rest[:n]); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			rest = rest[n:]
		}
		missing(t, two, name)
		if err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := p.Discard(); err != nil {
			t.Error(err)
		}
		_ = p.Commit() // whatever it says, the file stays
		for _, node := range []handin.Files{one, two} {
			if got := get(t, node, name); !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, or others", len(got), size)
			}
		}
		holds(t, two, name[:len(name)-2], append(upTo(at, i), name)...)
	}
}

func upTo(at string, n int) (names []string) {
	for i := range n {
		names = append(names, at+string(rune('a'+i)))
	}
	return names
}

func discarded(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	for i, size := range []int{0, 1, Large} {
		name := at + "/" + string(rune('a'+i))
		p, err := files.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(contents(size)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := p.Discard(); err != nil {
				t.Error(err)
			}
		}
		missing(t, files, name)
		// It can be begun again.
		put(t, files, name, []byte("again"))
		if got := get(t, files, name); string(got) != "again" {
			t.Errorf("%q", got)
		}
		remove(t, files, name)
	}
	holds(t, files, at)
}

func absent(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	missing(t, files, at)
	missing(t, files, at+"/hand/person/file")
	remove(t, files, at)
	remove(t, files, at+"/hand/person/file")
	holds(t, files, at)
	put(t, files, at+"/hand/file", []byte("x"))
	missing(t, files, at+"/hand") // it is a folder
	missing(t, files, at+"/hand/fil")
	missing(t, files, at+"/hand/file2")
}

func names(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	put(t, files, at+"/a", []byte("x"))
	for _, name := range []string{"", ".", "..", "/", "/" + at, at + "/", at + "//a", "../" + at, at + "/../" + at, at + "/./a", at + "/A", at + "/a b", at + "/ä", at + "/a\x00", at + `\a`, at + "/..part", at + "/*"} {
		if p, err := files.Create(t.Context(), name); err == nil {
			t.Errorf("%q is begun", name)
			_ = p.Discard()
		}
		if r, err := files.Open(t.Context(), name); err == nil {
			t.Errorf("%q is open", name)
			_ = r.Close()
		}
		if name != at+"/..part" { // which is how what was begun may be called
			if err := files.Remove(t.Context(), name); err == nil {
				t.Errorf("%q was removed", name)
			}
		}
		if name == "." {
			continue // all there is
		}
		for got, err := range files.List(t.Context(), name) {
			if err == nil {
				t.Errorf("%q holds %s", name, got)
			}
		}
	}
	for _, name := range []string{at + "/x.y/../../" + at + "/a.part", "../" + at + "/a.part", ".part"} {
		if err := files.Remove(t.Context(), name); err == nil {
			t.Errorf("%q was removed", name)
		}
	}
	holds(t, files, at, at+"/a")
}

func cancelled(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	put(t, files, at+"/there", contents(Large))
	for i, size := range []int{1, Large} {
		name := at + "/" + string(rune('a'+i))
		ctx, cancel := context.WithCancel(t.Context())
		p, err := files.Create(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(contents(size)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := p.Commit(); !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes are committed: %v", size, err)
		}
		if err := p.Discard(); err != nil { // which is not cancelled
			t.Error(err)
		}
		missing(t, files, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := files.Open(ctx, at+"/there")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); err == nil || n > Large-10-1 {
		t.Errorf("%d bytes were read on, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := files.Create(ctx, at+"/late"); err == nil {
		t.Error("begun")
	}
	if _, err := files.Open(ctx, at+"/there"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := files.Remove(ctx, at+"/there"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ended := false
	for _, err := range files.List(ctx, at) {
		ended = errors.Is(err, context.Canceled)
	}
	if !ended {
		t.Error("the list does not end with an error")
	}
	holds(t, files, at, at+"/there")
}
