package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/internal/storage/sqlite/sqlitetest"
	"github.com/lodge-gateway/lodge/messaging"
)

// boxed is what a box was in each version of a database file that somebody who has
// its write-ahead log, and the keys, can read.
func boxed(t *testing.T, path string) (all []string) {
	t.Helper()
	versions, err := sqlitetest.Versions(path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		db, err := Open(t.Context(), version)
		if err != nil {
			t.Fatal(err)
		}
		log := NewLog(db)
		data, err := boxTopics(t, log).Box("t1", "box").Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(all, string(data)) {
			all = append(all, string(data))
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func boxTopics(t *testing.T, log messaging.Log) *messaging.Topics {
	t.Helper()
	root := bytes.Repeat([]byte{1}, 32)
	topics, err := messaging.NewTopics(log, messaging.Keyring{Names: root, Seals: map[string][]byte{"1": root}, Current: "1"}, messaging.TopicsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return topics
}

func putIn(t *testing.T, box *messaging.Box, word string) {
	t.Helper()
	err := box.Update(t.Context(), func(old []byte) ([]byte, error) {
		words := append(strings.Fields(string(old)), word)
		slices.Sort(words)
		return []byte(strings.Join(words, " ")), nil
	})
	if err != nil {
		t.Error(err)
	}
}

// keeping is a log that does not forget.
type keeping struct{ messaging.Log }

// A copy of the files has what a box is, and nothing of what it was: in which order
// things came into it nobody can tell. Without forgetting it has all of it, so the
// attack is one that works.
func TestABoxLeavesNothingOfItsPastInTheFiles(t *testing.T) {
	for forgets, want := range map[bool][]string{true: {"a b c"}, false: {"", "a", "a c", "a b c"}} {
		t.Run(fmt.Sprint("forgets ", forgets), func(t *testing.T) {
			db := open(t)
			var log messaging.Log = NewLog(db)
			t.Cleanup(func() { _ = log.Close() })
			if !forgets {
				log = keeping{log}
			}
			box := boxTopics(t, log).Box("t1", "box")
			for _, word := range []string{"a", "c", "b"} {
				putIn(t, box, word)
			}
			if got := boxed(t, db.path); !slices.Equal(got, want) {
				t.Errorf("the files tell of %q, want %q", got, want)
			}
		})
	}
}

// Those who cut at once are all served, and whoever gave up is told.
func TestTheLogIsCutForAllWhoAskAtOnce(t *testing.T) {
	db := open(t)
	log := NewLog(db)
	t.Cleanup(func() { _ = log.Close() })
	box := boxTopics(t, log).Box("t1", "box")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { putIn(t, box, fmt.Sprintf("%02d", i)) })
	}
	all.Wait()
	if got := boxed(t, db.path); len(got) != 1 || len(strings.Fields(got[0])) != 20 {
		t.Errorf("the files tell of %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Forget(ctx); err == nil {
		t.Error("a cut that was given up is taken for one that was made")
	}
}
