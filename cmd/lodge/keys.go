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

// firstKey is the id of the keys derived from the first root.
const firstKey = "1"

// keys are what the leaves seal and hash with.
type keys struct {
	messages messaging.Keyring
	bookings booking.Keys
}

// loadKeys reads the root key of a data directory, making it at first.
func loadKeys(dir string) (keys, error) {
	root, err := rootKey(filepath.Join(dir, rootKeyFile))
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
	return k, errors.Join(errs...)
}

func rootKey(path string) ([]byte, error) {
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newRootKey(path)
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

// newRootKey writes the key under another name first: a crash leaves either no
// key or a whole one, never one that the stores outlive.
func newRootKey(path string) ([]byte, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read
	if err := writeFile(path, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	return key, nil
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
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
