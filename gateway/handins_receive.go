package gateway

import (
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
)

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
	return writeJSON(w, http.StatusCreated, HandInReceipt(got.Receipt))
}

// receive takes somebody's work as a form brings it (multipart/form-data), see
// handin.Desk.ReadForm. What is wrong is found as early as can be, and the rest of the
// form is still read, so that a browser shows the answer.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request, one handin.HandIn, s sessions.Session, key string) (got handin.Form, err error) {
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
	uploading(w)
	body := &upstream{r: r.Body, limit: one.Limits.Total + handin.BesideFiles}
	form, err := formOf(r, body)
	if err != nil {
		return got, err
	}
	got, err = g.handins.ReadForm(ctx, s.Tenant, one.ID, who, key, form)
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

func formOf(r *http.Request, body io.Reader) (*multipart.Reader, error) {
	bounded := *r
	bounded.Body = io.NopCloser(body)
	form, err := bounded.MultipartReader()
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, handin.ErrForm.Safe, err)
	}
	return form, nil
}
