package gateway

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// uploadWait is how long somebody's work may be on its way. What was begun longer
	// ago than leftBehind, and does not count, is nobody's.
	uploadWait = 15 * time.Minute
	leftBehind = 4 * uploadWait
	// besideFiles is what a form has beside files, in bytes, at most; maxParts is how
	// many fields and files.
	besideFiles = 1 << 20
	maxParts    = 200
)

// handedIn is what a form brought that was read to its end, or to what was wrong.
type handedIn struct {
	text    string
	receipt handin.Receipt
}

func (g *Gateway) postWork(w http.ResponseWriter, r *http.Request) error {
	one, s, _, err := g.ownHandIn(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	got, err := g.receive(w, r, one, s, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, HandInReceipt(got.receipt))
}

// receive takes somebody's work as a form brings it (multipart/form-data): key before
// anything else, unless the request has one; text; keep, the ids of files to keep;
// file, any number. What is wrong is found as early as can be, and the rest of the
// form is still read, so that a browser shows the answer.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request, one handin.HandIn, s sessions.Session, key string) (got handedIn, err error) {
	ctx := r.Context()
	member, err := g.membership(ctx, s)
	if err != nil {
		return got, err
	}
	set, err := g.sets(ctx, s.Tenant, member.topics, one)
	if err != nil {
		return got, err
	}
	if !set {
		return got, lodge.E(lodge.CodeForbidden, "This is for those it was set to hand in.")
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return got, err
	}
	who, err := g.hander(r, s)
	if err != nil {
		return got, err
	}
	// It is no error where a connection has no deadline to set: then it has none.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadWait))
	body := &upstream{r: r.Body, limit: one.Limits.Total + besideFiles}
	form, err := formOf(r, body)
	if err != nil {
		return got, err
	}
	up := upload{g: g, ctx: ctx, one: one, tenant: s.Tenant, who: who, key: key}
	defer up.end()
	got, err = up.read(form)
	if err != nil {
		if body.err != nil {
			err = body.err
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, g.handins.MaxTotal())) // see above
		return got, err
	}
	return got, g.received(s.Tenant, one, s)
}

// hander is who hands in: of a booking session its booking's owner.
func (g *Gateway) hander(r *http.Request, s sessions.Session) (handin.Hander, error) {
	person, err := g.personOf(r, s)
	if err != nil {
		return handin.Hander{}, err
	}
	who := handin.Hander{Person: s.Person, Name: orElse(person.Name, s.Name), Surname: person.FamilyName}
	if s.Booking != "" && who.Surname == "" {
		b, err := g.desk.Get(r.Context(), s.Tenant, s.Booking)
		if err != nil {
			return who, err
		}
		who.Surname = b.Surname
	}
	return who, nil
}

// received tells who grades, and what else the person has open, that work came in;
// nobody else is told.
func (g *Gateway) received(tenant lodge.Tenant, one handin.HandIn, s sessions.Session) error {
	change := HandInChanged{HandIn: one.ID, Title: one.Title, Change: "received"}
	err := g.notify(tenant, "user:"+string(one.By), messaging.TypeHandIn, change)
	if s.Person != one.By {
		err = errors.Join(err, g.notify(tenant, "user:"+string(s.Person), messaging.TypeHandIn, change))
	}
	return err
}

// upstream reads a body of bounded size and keeps why that failed, as the outside is
// to learn it.
type upstream struct {
	r           io.Reader
	read, limit int64
	err         error
}

func (u *upstream) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	u.read += int64(n)
	switch {
	case u.read > u.limit:
		u.err = &http.MaxBytesError{Limit: u.limit}
	case err != nil && !errors.Is(err, io.EOF):
		u.err = lodge.Wrap(lodge.CodeInvalid, "The connection broke before all had arrived. What you handed in before still counts; send it again.", err)
	}
	if u.err != nil {
		return 0, u.err
	}
	return n, err
}

var errForm = lodge.E(lodge.CodeInvalid, "The form could not be read; send it again.")

func formOf(r *http.Request, body io.Reader) (*multipart.Reader, error) {
	bounded := *r
	bounded.Body = io.NopCloser(body)
	form, err := bounded.MultipartReader()
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, errForm.Safe, err)
	}
	return form, nil
}

// upload carries a form into an upload, which begins with its first part but the key.
type upload struct {
	g      *Gateway
	ctx    context.Context
	one    handin.HandIn
	tenant lodge.Tenant
	who    handin.Hander
	key    string
	begun  *handin.Upload
}

func (u *upload) begin() (err error) {
	if u.begun == nil {
		u.begun, err = u.g.handins.Begin(u.ctx, u.tenant, u.one.ID, u.who, u.key)
	}
	return err
}

// end is for when all was read, or could not be: what counts by then stays.
func (u *upload) end() {
	if u.begun == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), settleWait)
	defer cancel()
	u.begun.End(ctx)
}

func (u *upload) read(form *multipart.Reader) (got handedIn, err error) {
	for range maxParts {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return u.done(got)
		}
		if err != nil {
			return got, lodge.Wrap(lodge.CodeInvalid, errForm.Safe, err)
		}
		if err := u.part(part, &got); err != nil {
			return got, err
		}
	}
	return got, lodge.E(lodge.CodeRefused, "The form has more files and fields than can be handed in.")
}

func (u *upload) done(got handedIn) (handedIn, error) {
	err := u.begin()
	if err == nil {
		got.receipt, err = u.begun.Done(u.ctx)
	}
	return got, err
}

func (u *upload) part(part *multipart.Part, got *handedIn) error {
	name := part.FormName()
	if name == "file" {
		if err := u.begin(); err != nil {
			return err
		}
		return u.file(part)
	}
	value, err := io.ReadAll(io.LimitReader(part, besideFiles))
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, errForm.Safe, err)
	}
	switch name {
	case "key":
		if u.key == "" && u.begun == nil && len(value) <= 255 {
			u.key = string(value)
		}
		return nil
	case "text":
		got.text = string(value)
		if err := u.begin(); err != nil {
			return err
		}
		return u.begun.Text(u.ctx, got.text)
	case "keep":
		if err := u.begin(); err != nil {
			return err
		}
		return u.begun.Keep(u.ctx, string(value))
	}
	return nil // of another version of the form
}

func (u *upload) file(part *multipart.Part) error {
	name := part.FileName()
	if name == "" { // none was chosen
		return nil
	}
	err := u.begun.File(u.ctx, name, part)
	if err != nil && lodge.CodeOf(err) == lodge.CodeInternal {
		if _, large := errors.AsType[*http.MaxBytesError](err); !large {
			err = lodge.Wrap(lodge.CodeInvalid, errForm.Safe, err)
		}
	}
	return err
}
