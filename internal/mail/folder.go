package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
)

// A Folder keeps letters as files, one a letter, that mail programs open. A letter
// that is sent again takes the place of the first.
type Folder struct {
	dir  string
	from netmail.Address
}

// NewFolder makes the directory where it is not there, readable by its owner
// alone.
func NewFolder(dir string, from netmail.Address) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: folder: %w", err)
	}
	return &Folder{dir, from}, nil
}

// Send implements Sender.
func (f *Folder) Send(_ context.Context, l Letter) (err error) {
	message, err := l.message(f.from)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if _, err := message.WriteTo(&body); err != nil {
		return fmt.Errorf("mail: write: %w", err)
	}
	// Made beside its place and moved there, so that nobody finds half of it.
	file, err := os.CreateTemp(f.dir, ".new-*")
	if err != nil {
		return fmt.Errorf("mail: folder: %w", err)
	}
	_, err = file.Write(body.Bytes())
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), filepath.Join(f.dir, l.At.UTC().Format("20060102-150405")+"-"+l.ID+".eml"))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("mail: folder: %w", err), os.Remove(file.Name()))
	}
	return nil
}
