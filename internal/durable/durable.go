// Package durable writes small private files so that after a crash they are
// either whole or as they were.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts body into the file at path, which only its owner may read. It
// returns when the disk has it; until then the file's old content stands. What
// a crash leaves aside, in path + ".new", the next call overwrites.
func Replace(path string, body []byte) error {
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
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes what was renamed or linked in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
