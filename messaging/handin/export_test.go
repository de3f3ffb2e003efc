package handin

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
)

// One file that was damaged where it is kept costs nobody else theirs: the archive has
// the others, and says which one is not whole.
func TestADamagedFileIsNamedInTheZipAndCostsNobodyElse(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	h := open(t, d, Draft{})
	damage := map[string]func([]byte) []byte{
		"ada":   func(b []byte) []byte { return b },
		"flip":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"short": func(b []byte) []byte { return b[:10] },
		"soren": func(b []byte) []byte { return b },
	}
	want := map[string]string{"ada": "yes", "flip": "no: damaged where it is kept", "short": "no: damaged where it is kept", "soren": "yes"}
	for person, change := range damage {
		if _, err := hand(t.Context(), d, h.ID, lodge.PersonID(person), "", "of "+person); err != nil {
			t.Fatal(err)
		}
		mine, err := d.Mine(t.Context(), tenant, h.ID, lodge.PersonID(person))
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(w.files.root.Name(), "*", "*", "*", mine.Files[0].ID))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		stored, err := os.ReadFile(found[0])
		if err = errors.Join(err, os.WriteFile(found[0], change(stored), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := d.WriteZip(t.Context(), tenant, h.ID, &b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		contents[f.Name] = string(read)
	}
	rows, err := csv.NewReader(strings.NewReader(contents["manifest.csv"])).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%q, %v", rows, err)
	}
	for _, row := range rows[1:] {
		if row[8] != want[row[1]] {
			t.Errorf("%s is whole: %s", row[1], row[8])
		}
		if _, marked := contents[row[0]+"/report.txt.not-whole"]; marked != (row[1] == "flip") {
			t.Errorf("%s is marked: %t", row[1], marked)
		}
		if row[8] == "yes" && contents[row[0]+"/report.txt"] != "of "+row[1] {
			t.Errorf("%s handed in %q", row[1], contents[row[0]+"/report.txt"])
		}
	}
}

// Work that was graded, and the grade seen, is not replaced by another id of the same
// person's either.
func TestGradedWorkIsNotReplacedByAnotherIDOfItsPerson(t *testing.T) {
	w := newWorld(t)
	d := w.desk(t, w.files, nil)
	merged := lodge.Merged{"guest": "ada"}
	d.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) { return merged, nil })
	h := open(t, d, Draft{})
	if _, err := hand(t.Context(), d, h.ID, "guest", "", "first"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Grade(t.Context(), tenant, h.ID, "ada", grace, 5, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReleaseGrades(t.Context(), tenant, h.ID, grace); err != nil {
		t.Fatal(err)
	}
	for _, person := range []lodge.PersonID{"guest", "ada"} {
		if _, err := hand(t.Context(), d, h.ID, person, "", "second"); lodge.CodeOf(err) != lodge.CodeConflict {
			t.Errorf("by %s: %v", person, err)
		}
	}
	if got := contentsOf(t, d, h.ID, "ada"); got != "first" {
		t.Errorf("it is %q", got)
	}
}
