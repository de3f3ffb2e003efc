package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// What a start that was cut short leaves behind is in nobody's way, and a file
// that somebody made empty is filled.
func TestDatabaseIsMadeWholeOverWhatACutShortStartLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	for file, content := range map[string]string{path: "", path + ".new": "SQLite format 3\x00 and then nothing"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.Update(t.Context(), put("kept", "v")); err != nil || !has(t, db, "kept") {
		t.Errorf("the new database does not keep what is put into it: %v", err)
	}
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("what was moved into place is still aside: %v", err)
	}
}
