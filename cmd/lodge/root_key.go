package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge/internal/durable"
)

// rootKeyFile holds the keys of 32 bytes that every other key of an installation
// is derived from. Whoever has it and the stores can read all that is sealed;
// without it nobody can, so it belongs in the backup, apart from the stores.
//
// It has a line a key: an id (1 to 32 letters and digits), 64 hexadecimal digits,
// and the word current behind the one that is sealed under. A line of digits alone
// has the id 1; the only key needs no word. What is not rotated (names of topics,
// refresh tokens, the audit trail's chain) belongs to the first line for
// ever. Empty lines and those that begin with # count for nothing.
const rootKeyFile = "root.key"

// firstKey is the id of the key of a file that says none.
const firstKey = "1"

// A rootKey is one line of the file.
type rootKey struct {
	id     string
	secret []byte
}

// roots are the keys of the file, in its order.
type roots struct {
	keys    []rootKey
	current string
}

// derive returns the key of 32 bytes for a purpose.
func (k rootKey) derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "lodge/"+purpose, 32)
}

// deriveAll returns the keys for a purpose of every root, by id.
func (r roots) deriveAll(purpose string) (map[string][]byte, error) {
	all := make(map[string][]byte, len(r.keys))
	for _, k := range r.keys {
		key, err := k.derive(purpose)
		if err != nil {
			return nil, err
		}
		all[k.id] = key
	}
	return all, nil
}

// parseRoots reads a root key file. It names all its faults at once, by their
// lines, and shows no key.
func parseRoots(body string) (roots, error) {
	var r roots
	var faults []error
	n := 0
	for line := range strings.Lines(body) {
		n++
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("line %d: %s", n, fmt.Sprintf(format, args...)))
		}
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		current := false
		if last := len(words) - 1; words[last] == "current" && last > 0 {
			current, words = true, words[:last]
		}
		if len(words) == 1 {
			words = []string{firstKey, words[0]}
		}
		id := words[0]
		secret, err := hex.DecodeString(words[1])
		switch {
		case len(words) > 2 || err != nil || len(secret) != 32:
			fault("it is not an id and 64 hexadecimal digits, with the word current behind one of them")
			continue
		case len(id) > 32 || strings.ContainsFunc(id, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }):
			fault("an id has 1 to 32 letters and digits")
		case slices.ContainsFunc(r.keys, func(k rootKey) bool { return k.id == id }):
			fault("the id %s is there already", id)
		case slices.ContainsFunc(r.keys, func(k rootKey) bool { return slices.Equal(k.secret, secret) }):
			fault("this key is there already under another id")
		}
		if current && r.current != "" {
			fault("key %s is current already", r.current)
		}
		if current {
			r.current = id
		}
		r.keys = append(r.keys, rootKey{id, secret})
	}
	switch {
	case len(r.keys) == 1 && r.current == "":
		r.current = r.keys[0].id
	case len(r.keys) == 0 && len(faults) == 0:
		faults = append(faults, errors.New("it has no key of 64 hexadecimal digits"))
	case len(r.keys) > 1 && r.current == "":
		faults = append(faults, errors.New("of several keys one must have the word current behind it"))
	}
	return r, errors.Join(faults...)
}

// text is the file's text; a single first key is written without its id.
func (r roots) text() string {
	if len(r.keys) == 1 && r.keys[0].id == firstKey {
		return hex.EncodeToString(r.keys[0].secret) + "\n"
	}
	var b strings.Builder
	for _, k := range r.keys {
		b.WriteString(k.id + " " + hex.EncodeToString(k.secret))
		if k.id == r.current {
			b.WriteString(" current")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// rotated returns the file's next state: a new key that is opened with, where the
// newest is current; else the newest is made current.
func (r roots) rotated() roots {
	next := roots{keys: slices.Clone(r.keys), current: r.current}
	if newest := r.keys[len(r.keys)-1]; newest.id != r.current {
		next.current = newest.id
		return next
	}
	n := len(r.keys) + 1
	for slices.ContainsFunc(r.keys, func(k rootKey) bool { return k.id == strconv.Itoa(n) }) {
		n++
	}
	next.keys = append(next.keys, newRoot(strconv.Itoa(n)))
	return next
}

func newRoot(id string) rootKey {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand.Read
	return rootKey{id, secret}
}

// loadRoots reads the root key file of a data directory, making it at first. It
// comes before the database is made: a directory with a database and no key has
// lost the key.
func loadRoots(dir string) (roots, error) {
	path := filepath.Join(dir, rootKeyFile)
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil {
			return roots{}, fmt.Errorf("root key: %s is missing, and what %s holds is sealed under it; restore it from the backup", path, databaseFile)
		}
		if err := newRootKey(dir, path); err != nil {
			return roots{}, fmt.Errorf("root key: %w", err)
		}
		body, err = os.ReadFile(path)
	}
	if err != nil {
		return roots{}, fmt.Errorf("root key: %w", err)
	}
	r, err := parseRoots(string(body))
	if err != nil {
		return roots{}, fmt.Errorf("root key: %s cannot be used; restore it from the backup or mend it: %w", path, err)
	}
	return r, nil
}

// newRootKey makes the key under another name and links it into place: a crash
// leaves either no key or a whole one, and of two processes that start at once
// one makes it and the other finds it.
func newRootKey(dir, path string) error {
	f, err := os.CreateTemp(dir, rootKeyFile+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(roots{keys: []rootKey{newRoot(firstKey)}}.text())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(f.Name()), durable.SyncDir(dir))
}

// A factStore keeps facts that the nodes of an installation must agree on.
type factStore interface {
	// Agree keeps a value under a name, when there is none yet, and reports
	// whether what is kept is this one.
	Agree(ctx context.Context, name string, value []byte) (bool, error)
}

// check compares the keys with those that a store was used with: with others,
// what it holds would look forged. The store learns nothing of a key but a value
// derived from it.
func (r roots) check(ctx context.Context, store factStore) error {
	var faults []error
	for i, k := range r.keys {
		value, err := k.derive("root key check")
		if err != nil {
			return err
		}
		names := []string{"root key " + k.id}
		if i == 0 {
			names = append(names, "first root key")
		}
		for _, name := range names {
			same, err := store.Agree(ctx, name, value)
			switch {
			case err != nil:
				return fmt.Errorf("root key: it could not be compared with the store: %w", err)
			case !same && name == "first root key":
				faults = append(faults, fmt.Errorf("its first line, key %s, is not the first key that this store was used with", k.id))
			case !same:
				faults = append(faults, fmt.Errorf("key %s is not the key %s that this store was used with", k.id, k.id))
			}
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("root key: %s does not belong to this store; restore the one that does from the backup: %w", rootKeyFile, errors.Join(faults...))
	}
	return nil
}
