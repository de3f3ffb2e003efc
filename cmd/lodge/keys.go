package main

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
)

// rootKeyFile holds the 32 bytes that every key of an installation is derived
// from. Whoever has it and the stores can read all that is sealed; without it
// nobody can, so it belongs in the backup, apart from the stores.
const rootKeyFile = "root.key"

// databaseFile holds the embedded stores.
const databaseFile = "lodge.db"

// firstKey is the id of the keys derived from the first root.
const firstKey = "1"

// keys are what the leaves seal and hash with.
type keys struct {
	messages messaging.Keyring
	bookings booking.Keys
	audit    []byte // 32 bytes, of the audit trail's chain
	grants   []byte // 32 bytes, that refresh tokens are sealed under
}

// loadKeys reads the root key of a data directory, making it at first. It comes
// before the database is made: a directory with a database and no key has lost
// the key.
func loadKeys(dir string) (keys, error) {
	root, err := rootKey(dir)
	if err != nil {
		return keys{}, err
	}
	var errs []error
	derive := func(purpose string) []byte {
		key, err := hkdf.Key(sha256.New, root, nil, "lodge/"+purpose, 32)
		errs = append(errs, err)
		return key
	}
	k := keys{
		messages: messaging.Keyring{Names: derive("message names"), Seals: map[string][]byte{firstKey: derive("message seals")}, Current: firstKey},
		bookings: booking.Keys{PepperID: firstKey, Pepper: derive("lookup pepper"), Seal: derive("reference seal")},
	}
	k.audit = derive("audit")
	k.grants = derive("refresh token seal")
	return k, errors.Join(errs...)
}

func rootKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, rootKeyFile)
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil {
			return nil, fmt.Errorf("root key: %s is missing, and what %s holds is sealed under it; restore it from the backup", path, databaseFile)
		}
		if err := newRootKey(dir, path); err != nil {
			return nil, fmt.Errorf("root key: %w", err)
		}
		body, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(body)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("root key: %s does not hold 64 hexadecimal digits; restore it from the backup", path)
	}
	return key, nil
}

// newRootKey makes the key under another name and links it into place: a crash
// leaves either no key or a whole one, and of two processes that start at once
// one makes it and the other finds it.
func newRootKey(dir, path string) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read
	f, err := os.CreateTemp(dir, rootKeyFile+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(f.Name()), syncDir(dir))
}

// writeFile replaces a private file atomically and durably.
func writeFile(path string, body []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes what was renamed or linked in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
