package handin

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// BesideFiles is what a form has beside files, in bytes, at most; maxParts is how
	// many fields and files.
	BesideFiles = 1 << 20
	maxParts    = 200
	// endWait is how long what an upload left may take to be removed.
	endWait = 10 * time.Second
)

// A Form is what a form brought that was read to its end, or to what was wrong.
type Form struct {
	Text    string   // as it was typed
	Keep    []string // the ids of files to keep, as they were ticked
	Read    bool     // any of it was
	Receipt Receipt
}

// ErrForm says that a form is none.
var ErrForm = lodge.E(lodge.CodeInvalid, "The form could not be read; send it again.")

func noForm(err error) error { return lodge.Wrap(lodge.CodeInvalid, ErrForm.Safe, err) }

// ReadForm takes somebody's work as a form brings it: key before anything else, unless
// one is given, as Begin's; text; keep, the ids of files to keep; file, any number. They
// are stored as they come, and none is held in memory. What is wrong ends it: then
// nothing has changed, and the rest of the form is read for what was typed in it alone.
func (d *Desk) ReadForm(ctx context.Context, tenant lodge.Tenant, id string, who Hander, key string, form *multipart.Reader) (Form, error) {
	in := incoming{d: d, tenant: tenant, id: id, who: who, key: key, got: Form{Read: true}}
	defer in.end(ctx)
	err := in.read(ctx, form)
	if err != nil {
		in.rest(form)
	}
	return in.got, err
}

// incoming carries a form into an upload, which begins with its first part but the key.
type incoming struct {
	d      *Desk
	tenant lodge.Tenant
	id     string
	who    Hander
	key    string
	up     *Upload
	got    Form
}

func (in *incoming) begin(ctx context.Context) (err error) {
	if in.up == nil {
		in.up, err = in.d.Begin(ctx, in.tenant, in.id, in.who, in.key)
	}
	return err
}

// end is for when all was read, or could not be: what counts by then stays.
func (in *incoming) end(ctx context.Context) {
	if in.up == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	in.up.End(ctx)
}

func (in *incoming) read(ctx context.Context, form *multipart.Reader) error {
	for range maxParts {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			if err = in.begin(ctx); err == nil {
				in.got.Receipt, err = in.up.Done(ctx)
			}
			return err
		}
		if err != nil {
			return noForm(err)
		}
		if err := in.part(ctx, part); err != nil {
			return err
		}
	}
	return lodge.E(lodge.CodeRefused, "The form has more files and fields than can be handed in.")
}

func (in *incoming) part(ctx context.Context, part *multipart.Part) error {
	name := part.FormName()
	if name == "file" {
		return in.file(ctx, part)
	}
	value, err := io.ReadAll(io.LimitReader(part, BesideFiles))
	if err != nil {
		return noForm(err)
	}
	switch name {
	case "key":
		if in.key == "" && in.up == nil && len(value) <= 255 {
			in.key = string(value)
		}
	case "text":
		in.typed(name, value)
		if err := in.begin(ctx); err != nil {
			return err
		}
		return in.up.Text(ctx, in.got.Text)
	case "keep":
		in.typed(name, value)
		if err := in.begin(ctx); err != nil {
			return err
		}
		return in.up.Keep(ctx, string(value))
	}
	return nil // or of another version of the form
}

func (in *incoming) file(ctx context.Context, part *multipart.Part) error {
	if err := in.begin(ctx); err != nil {
		return err
	}
	name := part.FileName()
	if name == "" { // none was chosen
		return nil
	}
	err := in.up.File(ctx, name, part)
	if err != nil && lodge.CodeOf(err) == lodge.CodeInternal {
		err = noForm(err)
	}
	return err
}

func (in *incoming) typed(name string, value []byte) {
	switch name {
	case "text":
		in.got.Text = string(value)
	case "keep":
		in.got.Keep = append(in.got.Keep, string(value))
	}
}

// rest reads what comes after what was wrong, so that a page can show it again. A
// form that cannot be read on ends it.
func (in *incoming) rest(form *multipart.Reader) {
	for range maxParts {
		part, err := form.NextRawPart()
		if err != nil {
			return
		}
		name := part.FormName()
		if name == "file" { // the next part is found by reading it
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, BesideFiles))
		if err != nil {
			return
		}
		in.typed(name, value)
	}
}
