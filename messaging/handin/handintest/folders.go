package handintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

func folder(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	all := []string{at + "/h1/ada/x", at + "/h1/ada/y", at + "/h1/adam/x", at + "/h1/soren/x", at + "/h2/ada/x"}
	for _, name := range all {
		put(t, files, name, []byte(name))
	}
	holds(t, files, at, all...)
	holds(t, files, at+"/h1/ada", all[:2]...)
	holds(t, files, at+"/h1/ad")
	for range 2 {
		remove(t, files, at+"/h1/ad")
		holds(t, files, at, all...)
	}
	for range 2 {
		remove(t, files, at+"/h1/ada")
		holds(t, files, at, all[2:]...)
	}
	remove(t, files, at+"/h1/adam/x")
	holds(t, files, at+"/h1", all[3])
	remove(t, files, at)
	holds(t, files, at)
	put(t, files, all[0], []byte("again"))
	holds(t, files, at, all[0])
}

func many(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	const workers, each = 8, 140
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for j := range each {
				if err := write(t.Context(), files, fmt.Sprintf("%s/hand/person%d/file%03d", at, i, j), []byte("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	put(t, files, at+"/hand2/other", []byte("x"))
	if names := list(t, files, at+"/hand"); len(names) != workers*each {
		t.Errorf("%d are listed", len(names))
	}
	remove(t, files, at+"/hand")
	holds(t, files, at, at+"/hand2/other")
}

func begun(t *testing.T, open func(*testing.T) handin.Files) {
	files, other := open(t), open(t)
	at := place()
	name := at + "/hand/person/file"
	begin := func() handin.Pending {
		t.Helper()
		p, err := files.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(contents(Large)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := begin()
	listed := list(t, other, at)
	if len(listed) != 1 || !strings.HasPrefix(listed[0], name) || !strings.HasSuffix(listed[0], handin.PartSuffix) {
		t.Fatalf("%q is listed", listed)
	}
	holds(t, other, at+"/hand/per")
	if _, err := read(t.Context(), other, listed[0]); err == nil {
		t.Error("what is not committed can be read")
	}
	remove(t, other, listed[0])
	remove(t, other, listed[0])
	holds(t, other, at)
	if err := p.Commit(); err == nil {
		t.Error("what was given up is committed")
	}
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
	missing(t, other, name)

	// It goes with its folder, too.
	p = begin()
	remove(t, other, at+"/hand/person")
	holds(t, other, at)
	if err := p.Commit(); err == nil {
		t.Error("what was removed is committed")
	}
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
	holds(t, other, at)

	// What is committed beside it stays when it goes.
	put(t, files, name+"2", []byte("x"))
	p = begin()
	for _, one := range list(t, other, at) {
		if strings.HasSuffix(one, handin.PartSuffix) {
			remove(t, other, one)
		}
	}
	holds(t, other, at, name+"2")
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
}

func stopped(t *testing.T, open func(*testing.T) handin.Files) {
	files, at := open(t), place()
	for i := range 3 {
		put(t, files, fmt.Sprintf("%s/%d", at, i), []byte("x"))
	}
	seen := 0
	for _, err := range files.List(t.Context(), at) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d were seen", seen)
	}
	all := 0
	for range files.List(t.Context(), ".") {
		all++
	}
	if all < 3 {
		t.Errorf("%d in all", all)
	}
}

// racing: what is read is whole or not there, whatever is removed meanwhile.
func racing(t *testing.T, open func(*testing.T) handin.Files) {
	nodes := []handin.Files{open(t), open(t)}
	at := place()
	want := contents(300_000)
	var group sync.WaitGroup
	for i := range 6 {
		files := nodes[i%2]
		group.Go(func() {
			for j := range 10 {
				name := fmt.Sprintf("%s/%d/%d", at, i, j)
				if err := write(context.Background(), files, name, want); err != nil {
					t.Error(err)
					return
				}
				if j%2 == 1 {
					if err := files.Remove(context.Background(), name); err != nil {
						t.Error(err)
					}
				}
			}
		})
		group.Go(func() {
			for j := range 10 {
				got, err := read(context.Background(), files, fmt.Sprintf("%s/%d/%d", at, (i+1)%6, j))
				if !errors.Is(err, fs.ErrNotExist) && (err != nil || !bytes.Equal(got, want)) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
	if names := list(t, nodes[0], at); len(names) != 30 {
		t.Errorf("%d are left", len(names))
	}
}
