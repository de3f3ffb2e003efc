package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/lodge-gateway/lodge/internal/durable"
)

// create puts an empty database of the newest schema at path, if there is none.
// It is made in memory, so that dozens of migrations wait for the disk once, and
// moved into place whole: a start that is cut short leaves nothing half made.
func create(ctx context.Context, path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() > 0:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqlite: open: %w", err)
	}
	image, err := emptyImage(ctx)
	if err != nil {
		return err
	}
	// SQLite gives its other files the mode of this one, whatever the umask.
	if err := durable.Replace(path, image); err != nil {
		return fmt.Errorf("sqlite: create: %w", err)
	}
	return nil
}

// empty is kept, for a process that makes many databases.
var empty struct {
	sync.Mutex
	image []byte // guarded by Mutex
}

// emptyImage returns the bytes of a database file of the newest schema.
func emptyImage(ctx context.Context) (_ []byte, err error) {
	empty.Lock()
	defer empty.Unlock()
	if empty.image != nil {
		return empty.image, nil
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("sqlite: create: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // another connection would be another database
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: create: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	err = conn.Raw(func(driver any) (err error) {
		empty.image, err = driver.(interface{ Serialize() ([]byte, error) }).Serialize()
		return err
	})
	return empty.image, err
}
