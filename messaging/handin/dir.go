package handin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
)

// A Dir keeps files in a directory, which several nodes may share by mounting it.
// It leaves it by no name, and by no symbolic link (os.Root).
type Dir struct{ root *os.Root }

// OpenDir opens a directory, and makes it if need be: for its owner alone.
func OpenDir(name string) (*Dir, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, fmt.Errorf("handin: %w", err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("handin: %w", err)
	}
	return &Dir{root}, nil
}

// Close gives the directory back. Files that are open stay so.
func (d *Dir) Close() error { return d.root.Close() }

// refused is the error for a name that Files do not take.
func refused(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
}

// Create implements Files.
func (d *Dir) Create(ctx context.Context, name string) (Pending, error) {
	if !ValidName(name) {
		return nil, refused("create", name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return nil, err
	}
	part := name + "." + strings.ToLower(rand.Text()) + PartSuffix
	f, err := d.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &dirPending{ctx: ctx, d: d, f: f, part: part, name: name}, nil
}

type dirPending struct {
	ctx        context.Context
	d          *Dir
	f          *os.File
	part, name string
	done       bool
}

func (p *dirPending) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.f.Write(b)
}

// Commit writes the file through to the disk, then gives it its name, then writes
// the names through: a crash leaves a whole file or none.
func (p *dirPending) Commit() error {
	err := p.f.Sync()
	if err = errors.Join(err, p.f.Close(), p.ctx.Err()); err != nil {
		return err
	}
	if err := p.d.root.Rename(p.part, p.name); err != nil {
		return err
	}
	p.done = true
	// The folders above may be new, too.
	for dir := path.Dir(p.name); ; dir = path.Dir(dir) {
		if err := p.d.sync(dir); err != nil || dir == "." {
			return err
		}
	}
}

func (d *Dir) sync(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	// Some shared file systems cannot, and need not: they write names through.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

func (p *dirPending) Discard() error {
	if p.done {
		return nil
	}
	p.done = true
	_ = p.f.Close() // it is closed already where Commit failed
	return absent(p.d.root.Remove(p.part))
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Open implements Files.
func (d *Dir) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !ValidName(name) {
		return nil, refused("open", name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	is, err := f.Stat()
	if err == nil && is.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &dirFile{ctx, f}, nil
}

// dirFile is a file that is read for as long as its context lasts.
type dirFile struct {
	ctx context.Context
	f   *os.File
}

func (f *dirFile) Read(b []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.f.Read(b)
}

func (f *dirFile) Close() error { return f.f.Close() }

// Remove implements Files.
func (d *Dir) Remove(ctx context.Context, name string) error {
	plain, begun := strings.CutSuffix(name, PartSuffix)
	if begun { // what Create put before the suffix
		plain = strings.Replace(plain, ".", "", 1)
	}
	if !ValidName(plain) {
		return refused("remove", name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return absent(d.root.RemoveAll(name))
}

// List implements Files.
func (d *Dir) List(ctx context.Context, folder string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if folder != "." && !ValidName(folder) {
			yield("", refused("list", folder))
			return
		}
		err := fs.WalkDir(d.root.FS(), folder, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, fs.ErrNotExist): // removed meanwhile, or never there
				return nil
			case err != nil:
				return err
			case entry.IsDir():
				return nil
			}
			if !yield(name, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}
