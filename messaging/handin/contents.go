package handin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// stored is a file that is read, in the clear.
type stored struct {
	io.Reader
	io.Closer
}

func (d *Desk) openStored(ctx context.Context, key []byte, name string) (io.ReadCloser, error) {
	f, err := d.files.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := newOpener(f, key, name)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return stored{r, f}, nil
}

// OpenFile reads a file of what a person handed in, by its id; CodeNotFound when
// there is none, or no longer. An error while it is read says that what was stored
// is not whole.
func (d *Desk) OpenFile(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID, file string) (File, io.ReadCloser, error) {
	gone := lodge.E(lodge.CodeNotFound, "There is no such file; it may have been replaced.")
	s, merged, err := d.read(ctx, tenant, id)
	if err != nil {
		return File{}, nil, err
	}
	all, err := d.open(ctx, tenant, s, merged.Of(person))
	if err != nil {
		return File{}, nil, err
	}
	for _, w := range all {
		files := contents{Text: w.Text, Files: w.Files}.all()
		if i := slices.IndexFunc(files, func(f File) bool { return f.ID == file }); i >= 0 {
			r, err := d.openOf(ctx, tenant, id, w, files[i])
			if errors.Is(err, fs.ErrNotExist) {
				err = gone
			}
			return files[i], r, err
		}
	}
	return File{}, nil, gone
}

// openOf reads a file of somebody's work.
func (d *Desk) openOf(ctx context.Context, tenant lodge.Tenant, id string, w Work, f File) (io.ReadCloser, error) {
	keys, err := d.keys.Keys(ctx, tenant, []lodge.PersonID{w.author})
	if err != nil {
		return nil, err
	}
	if keys[w.author] == nil {
		return nil, fs.ErrNotExist
	}
	return d.openStored(ctx, keys[w.author], personFolder(tenant, id, w.author)+"/"+f.ID)
}

// Text reads the text of somebody's work; empty when there is none.
func (d *Desk) Text(ctx context.Context, tenant lodge.Tenant, id string, w Work) (string, error) {
	if w.Text == nil {
		return "", nil
	}
	r, err := d.openOf(ctx, tenant, id, w, *w.Text)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}
