package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked is returned by Open when another process holds the database.
var ErrLocked = errors.New("sqlite: the data directory is in use by another process; stop it, or use its admin listener")

// lockFile takes an exclusive advisory lock that ends with the process, however
// it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closeErr := f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrLocked, path)
		}
		return nil, errors.Join(fmt.Errorf("sqlite: lock %s: %w", path, err), closeErr)
	}
	return f, nil
}
