package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func testWrapping(t *testing.T, id string, roots map[string][]byte) *messaging.Wrapping {
	t.Helper()
	wrap, err := messaging.NewWrapping(roots, id)
	if err != nil {
		t.Fatal(err)
	}
	return wrap
}

func TestPersonKeys(t *testing.T) {
	messagingtest.PersonKeys(t, func(t *testing.T, nodes int) []messaging.PersonKeys {
		wrap := testWrapping(t, "1", map[string][]byte{"1": bytes.Repeat([]byte{1}, 32)})
		return slices.Repeat([]messaging.PersonKeys{NewPersonKeys(open(t), wrap)}, nodes)
	})
}

// After an erasure neither the file nor its write-ahead log has the key in any
// form, so that a copy of the files made then opens nothing.
func TestSec45_ErasedKeysAreNotInTheFiles(t *testing.T) {
	db := open(t)
	keys := NewPersonKeys(db, testWrapping(t, "1", map[string][]byte{"1": bytes.Repeat([]byte{1}, 32)}))
	people := map[lodge.PersonID][]byte{} // and what is stored of each
	for i := range 200 {
		person := lodge.PersonID(fmt.Sprint("p", i))
		if _, err := keys.Key(t.Context(), "t1", person); err != nil {
			t.Fatal(err)
		}
		var stored []byte
		if err := db.View(t.Context(), func(tx *Tx) error {
			return tx.Get(`SELECT sealed FROM person_keys WHERE person = ?`, []any{person}, &stored)
		}); err != nil {
			t.Fatal(err)
		}
		people[person] = stored
	}
	held := func(stored []byte) bool {
		for _, suffix := range []string{"", "-wal"} {
			body, err := os.ReadFile(db.path + suffix)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if bytes.Contains(body, stored) {
				return true
			}
		}
		return false
	}
	for i := range 200 {
		person := lodge.PersonID(fmt.Sprint("p", i))
		if !held(people[person]) {
			t.Fatalf("the key of %s is not in the files", person)
		}
		if i%2 == 0 {
			if err := keys.Erase(t.Context(), "t1", person); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 200 {
		person := lodge.PersonID(fmt.Sprint("p", i))
		if got, want := held(people[person]), i%2 == 1; got != want {
			t.Errorf("the key of %s is in the files: %t, want %t", person, got, want)
		}
	}
}

func TestWrappedKeysOpenAfterRotationAndForTheirPersonOnly(t *testing.T) {
	db := open(t)
	roots := map[string][]byte{"1": bytes.Repeat([]byte{1}, 32)}
	key, err := NewPersonKeys(db, testWrapping(t, "1", roots)).Key(t.Context(), "t1", "p")
	if err != nil {
		t.Fatal(err)
	}
	roots["2"] = bytes.Repeat([]byte{2}, 32)
	rotated := NewPersonKeys(db, testWrapping(t, "2", roots))
	if again, err := rotated.Key(t.Context(), "t1", "p"); err != nil || !bytes.Equal(again, key) {
		t.Errorf("after rotation: %v", err)
	}
	if err := db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO person_keys SELECT tenant, 'q', sealed FROM person_keys`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := rotated.Key(t.Context(), "t1", "q"); err == nil {
		t.Errorf("another person's key opened as %x", got)
	}
	if got, err := rotated.Keys(t.Context(), "t1", []lodge.PersonID{"q"}); err == nil {
		t.Errorf("another person's key opened as %x", got)
	}
}
