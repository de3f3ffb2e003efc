package handin

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Probe has a place write, list, read and remove a small file in a folder of its own,
// and returns what went wrong.
func Probe(ctx context.Context, files Files) error {
	folder, contents := "probe"+strings.ToLower(rand.Text()), []byte("Lodge asks whether hand-ins can be stored.\n")
	name := folder + "/file"
	err := errors.Join(probe(ctx, files, name, contents), files.Remove(ctx, folder))
	if err != nil {
		return err
	}
	if r, err := files.Open(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = errors.Join(errors.New("handin: a file that was removed can be read"), r.Close())
		}
		return err
	}
	return nil
}

func probe(ctx context.Context, files Files, name string, contents []byte) error {
	p, err := files.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := p.Write(contents); err != nil {
		return errors.Join(err, p.Discard())
	}
	if err := p.Commit(); err != nil {
		return errors.Join(err, p.Discard())
	}
	var listed []string
	for one, err := range files.List(ctx, name[:strings.IndexByte(name, '/')]) {
		if err != nil {
			return err
		}
		listed = append(listed, one)
	}
	if !slices.Equal(listed, []string{name}) {
		return fmt.Errorf("handin: of one file that was stored %d are listed", len(listed))
	}
	r, err := files.Open(ctx, name)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil && !bytes.Equal(got, contents) {
		err = errors.New("handin: what was stored is not what is read")
	}
	return err
}
