package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockData keeps a second server off a data directory, which has one head file
// and one admin socket, until the file that it returns is closed. With the
// embedded database, the lock of that does so already.
func lockData(dir string) (*os.File, error) {
	path := filepath.Join(dir, "node.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closed := f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another server runs on it; each node needs a directory of its own, with a copy of root.key")
		}
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", dir, err), closed)
	}
	return f, nil
}
