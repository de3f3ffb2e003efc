package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// looksShown is how many entries of the trail a person is shown about themselves.
const looksShown = 100

// looked records that somebody in authority was shown what is held about a person,
// who can see that on their privacy page.
func (g *Gateway) looked(ctx context.Context, s sessions.Session, person lodge.PersonID, what string) {
	if s.Person != person {
		g.recordBy(ctx, s, audit.Look, "person:"+string(person), what)
	}
}

// privacyPage shows somebody what is held about them, who dealt with it, and how to
// take it away or have it erased.
func (g *Gateway) privacyPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderPrivacy(w, r, http.StatusOK, nil)
}

func (g *Gateway) renderPrivacy(w http.ResponseWriter, r *http.Request, status int, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	held, ids, err := g.previewErase(ctx, s.Tenant, s.Person)
	if err != nil {
		return err
	}
	view := web.Privacy{
		Layout: g.layout(r, "Privacy", web.PageSessions, &s), Version: held.Version,
		Identities: held.Identities, Bookings: held.Bookings, Cancelled: held.Cancelled, Answers: held.Answers, Marks: held.Marks, Sessions: held.Sessions,
		Refused: g.cfg.RefuseSelfErasure,
	}
	view.Problem = problem
	if _, err := g.erasable(r); err != nil {
		view.Confirm = "/login/" + url.PathEscape(s.Issuer) + "?fresh=true&return=%2Fprivacy"
	}
	if view.Entries, err = g.aboutMe(ctx, s, ids); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PagePrivacy, view)
}

// aboutMe are the latest entries of the trail in which others dealt with a person.
func (g *Gateway) aboutMe(ctx context.Context, s sessions.Session, ids []lodge.PersonID) ([]web.AuditEntry, error) {
	if g.audit == nil {
		return nil, nil
	}
	var mine []string
	for _, id := range ids {
		mine = append(mine, "person:"+string(id))
	}
	// What people do themselves is in the trail beside what is done to them: it is
	// read back until there is enough of the latter.
	var found []audit.Entry
	for before := uint64(0); len(found) < looksShown; {
		page, err := g.audit.List(ctx, s.Tenant, audit.Filter{Who: mine, Before: before, Newest: true, Limit: maxAudit})
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(page) {
			if len(found) < looksShown && slices.Contains(mine, e.Object) && !slices.Contains(mine, e.Actor) {
				e.Address = "" // whence somebody else came is theirs
				found = append(found, e)
			}
		}
		if len(page) < maxAudit {
			break
		}
		before = page[0].Seq
	}
	return g.webEntries(ctx, s.Tenant, found)
}

// eraseForm erases whoever asks, as the page showed what there is of them.
func (g *Gateway) eraseForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.erasable(r)
	if err == nil {
		_, err = g.eraseShown(r.Context(), s, s.Person, r.PostFormValue("version"))
	}
	if err != nil {
		problem, status, mendable := problemOf(err, "You were not erased")
		if mendable || lodge.CodeOf(err) == lodge.CodeForbidden && s.Person != "" {
			if problem == nil {
				problem, status = &web.Problem{Title: web.Text("You were not erased"), Detail: explain(err).detail}, http.StatusForbidden
			}
			return g.renderPrivacy(w, r, status, problem)
		}
		return err
	}
	return seeOther(w, r, "/", "erased")
}
