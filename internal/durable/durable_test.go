package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceLeavesTheNewContentAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path+".new", []byte("what a crash left, longer than all that follows"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"first", "second, longer", "3"} {
		if err := Replace(path, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != body {
			t.Errorf("%q, %v, want %q", got, err, body)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: others may read it", info.Mode(), err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("%v, %v lie beside it", list, err)
	}
}

// A replacement that cannot be put in place leaves what was there.
func TestReplaceKeepsTheOldWhereItFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err == nil {
		t.Error("replaced although nothing could be written aside")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("%q, %v, want the old content", got, err)
	}
}
