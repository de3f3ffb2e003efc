package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// ErasePreview says what erasing a person would take away for good. Version
// stands for all of it.
type ErasePreview struct {
	Version    string   `json:"version"`
	Person     string   `json:"person"`
	Name       string   `json:"name"`
	Identities int      `json:"identities"` // accounts that sign them in
	Merged     []string `json:"merged"`     // persons who count as them, who go with them
	Bookings   int      `json:"bookings"`   // that stay, and are nobody's
	Cancelled  int      `json:"cancelled"`  // of these, to come or under way
	Answers    int      `json:"answers"`
	Marks      int      `json:"marks"`
	Work       int      `json:"work"` // hand-ins that they handed something in for
	Sessions   int      `json:"sessions"`
}

// EraseRequest is the body of a request to erase: the version of what was shown.
type EraseRequest struct {
	Version string `json:"version"`
}

// Erased answers it.
type Erased struct {
	Person string `json:"person"`
}

// freshSignIn is how old a login may be that erases its own person.
const freshSignIn = 10 * time.Minute

const reasonErased = "This person was erased at your institution's laboratory."

func (g *Gateway) getErasePreview(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	preview, _, err := g.previewErase(r.Context(), s.Tenant, lodge.PersonID(chi.URLParam(r, "id")))
	if err != nil {
		return err
	}
	g.looked(r.Context(), s, lodge.PersonID(preview.Person), "what erasing would take away")
	return writeJSON(w, http.StatusOK, preview)
}

func (g *Gateway) postErase(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	return g.eraseAs(w, r, s, lodge.PersonID(chi.URLParam(r, "id")))
}

// erasable is the signed-in person who wants to be erased: policy must allow it,
// and the sign-in be fresh, for nobody who finds a page open is to do that.
func (g *Gateway) erasable(r *http.Request) (sessions.Session, error) {
	s, err := g.person(r)
	switch {
	case err != nil:
		return s, err
	case g.cfg.RefuseSelfErasure:
		return s, lodge.E(lodge.CodeForbidden, "Your laboratory erases people itself; ask an administrator.")
	case g.clock.Now().Sub(s.CreatedAt) > freshSignIn:
		return s, lodge.E(lodge.CodeForbidden, fmt.Sprintf("Sign in again first: this is allowed within %d minutes of signing in.", int(freshSignIn.Minutes())))
	}
	return s, nil
}

func (g *Gateway) getMyErasePreview(w http.ResponseWriter, r *http.Request) error {
	s, err := g.erasable(r)
	if err != nil {
		return err
	}
	preview, _, err := g.previewErase(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, preview)
}

func (g *Gateway) postMyErase(w http.ResponseWriter, r *http.Request) error {
	s, err := g.erasable(r)
	if err != nil {
		return err
	}
	return g.eraseAs(w, r, s, s.Person)
}

// eraseAs erases a person as they were shown to who asks.
func (g *Gateway) eraseAs(w http.ResponseWriter, r *http.Request, s sessions.Session, id lodge.PersonID) error {
	var req EraseRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	done, err := g.eraseShown(r.Context(), s, id, req.Version)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, done)
}

// eraseShown erases a person if what there is of them is still what was shown.
func (g *Gateway) eraseShown(ctx context.Context, s sessions.Session, id lodge.PersonID, version string) (Erased, error) {
	preview, ids, err := g.previewErase(ctx, s.Tenant, id)
	if err != nil {
		return Erased{}, err
	}
	if preview.Version != version {
		return Erased{}, lodge.E(lodge.CodeConflict, "What would be erased has changed since it was shown; look at it again.")
	}
	g.recordBy(ctx, s, audit.Erase, "person:"+preview.Person, fmt.Sprintf("%d ids, %d bookings", len(ids), preview.Bookings))
	if err := g.erase(ctx, s.Tenant, ids); err != nil {
		return Erased{}, lodge.Wrap(lodge.CodeUnavailable, "The person is barred, but not all of it is erased yet; let an administrator erase the person again.", err)
	}
	return Erased{Person: preview.Person}, nil
}

// previewErase finds what erasing a person would do now, and every id of theirs.
func (g *Gateway) previewErase(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) (ErasePreview, []lodge.PersonID, error) {
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	id = merged.Of(id)
	people, err := g.persons.Get(ctx, tenant, merged.All(id)...)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	p := ErasePreview{Person: string(id), Merged: []string{}}
	var ids []lodge.PersonID
	there := false
	for _, one := range people {
		ids = append(ids, one.ID)
		p.Identities += len(one.Subjects)
		if one.ID == id {
			p.Name, there = one.Name, true
		} else {
			p.Merged = append(p.Merged, string(one.ID))
		}
	}
	if !there {
		return ErasePreview{}, nil, errNotThere("person")
	}
	bookings, err := g.allBookings(ctx, tenant, ids)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	p.Bookings = len(bookings)
	for _, b := range bookings {
		if g.live(b) {
			p.Cancelled++
		}
	}
	answers, err := g.surveys.AnsweredBy(ctx, tenant, ids)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	marks, err := g.register.MarkedOf(ctx, tenant, ids)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	work, err := g.handins.HandedInBy(ctx, tenant, ids)
	if err != nil {
		return ErasePreview{}, nil, err
	}
	p.Answers, p.Marks, p.Work = len(answers), len(marks), len(work)
	for _, one := range ids {
		open, err := g.sessions.List(ctx, tenant, sessions.Filter{Person: one})
		if err != nil {
			return ErasePreview{}, nil, err
		}
		for _, s := range open {
			if s.RevokedAt.IsZero() && s.Kind != sessions.Host {
				p.Sessions++
			}
		}
	}
	// Sessions come and go; everything else that differs is to be looked at again.
	said := p
	said.Sessions = 0
	body, err := json.Marshal(said)
	sum := sha256.Sum256(body)
	p.Version = base64.RawURLEncoding.EncodeToString(sum[:16])
	return p, ids, err
}

// live reports whether a booking is to come or under way.
func (g *Gateway) live(b booking.Booking) bool {
	state := b.StateAt(g.clock.Now())
	return state != booking.Cancelled && state != booking.Ended
}

func (g *Gateway) allBookings(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) ([]booking.Booking, error) {
	var all []booking.Booking
	for _, person := range people {
		some, err := g.desk.ListByPerson(ctx, tenant, person, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// erase makes people nobody. They are barred first, and each step may be repeated:
// one that fails is made up for by erasing them again. A caller who gives up does
// not stop it half way.
//
// What remains is what was said to others under their name, until it is too old to
// be kept, and the audit trail, which has ids alone.
func (g *Gateway) erase(ctx context.Context, tenant lodge.Tenant, ids []lodge.PersonID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWait)
	defer cancel()
	if err := g.persons.Erase(ctx, tenant, ids...); err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, g.keys.Erase(ctx, tenant, id))
	}
	errs = append(errs, g.withdraw(ctx, tenant, ids), g.handins.Erase(ctx, tenant, ids...))
	bookings, err := g.allBookings(ctx, tenant, ids)
	errs = append(errs, err)
	for _, b := range bookings {
		if g.live(b) {
			_, err := g.desk.Cancel(ctx, tenant, b.ID, "The person it was made for was erased.")
			errs = append(errs, err)
		}
	}
	_, err = g.desk.Anonymise(ctx, tenant, ids...)
	errs = append(errs, err)
	for _, id := range ids {
		_, err := g.sessions.RevokePerson(ctx, tenant, id, reasonErased)
		errs = append(errs, err, g.topics.Drop(ctx, tenant, "user:"+string(id)), g.topics.Drop(ctx, tenant, "sent:"+string(id)))
	}
	return errors.Join(errs...)
}
