package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// mailPath is the page on which people choose what they are written.
const mailPath = "/mail"

// noteMailbox writes down, when somebody signs in, where their issuer says that
// they can be written to, and in which language they read. It identifies nobody:
// see idp.Mailbox. A sign-in does not fail for it.
func (g *Gateway) noteMailbox(r *http.Request, person idp.Person, who idp.Identity) {
	var address string
	if who.EmailVerified {
		address, _ = mail.Address(who.Email)
	}
	say, _ := g.readsIn(r)
	ctx := r.Context()
	known, err := g.persons.Mailbox(ctx, person.Tenant, person.ID)
	if err == nil && (address != "" && address != known.Address || say.Language() != known.Language) {
		err = g.persons.NoteMailbox(ctx, person.Tenant, person.ID, address, say.Language())
	}
	if err != nil {
		g.log.WarnContext(ctx, "the mailbox of somebody who signed in was not noted", "person", person.ID, "err", err)
	}
}

// getMail answers what the caller is written.
func (g *Gateway) getMail(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	return g.answerMail(w, r, s)
}

func (g *Gateway) answerMail(w http.ResponseWriter, r *http.Request, s sessions.Session) error {
	box, err := g.persons.Mailbox(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, MailView{
		Sends: g.mail != nil, Address: addressFor(s, box), Bookings: !box.Off, Reminders: !box.NoReminders,
	})
}

// addressFor is somebody's address as their session may see it: whoever opened a
// booking with its reference need not be its owner.
func addressFor(s sessions.Session, box idp.Mailbox) string {
	if s.Kind == sessions.Login || box.Address == "" {
		return box.Address
	}
	name, domain, _ := strings.Cut(box.Address, "@")
	return string([]rune(name)[:1]) + "…@" + domain
}

// putMail changes what the caller is written.
func (g *Gateway) putMail(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req MailChoice
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if req.Bookings == nil || req.Reminders == nil {
		return lodge.E(lodge.CodeInvalid, "Say of both, bookings and reminders, whether they are wanted.")
	}
	if err := g.persons.ChooseMail(r.Context(), s.Tenant, s.Person, !*req.Bookings, !*req.Reminders); err != nil {
		return err
	}
	return g.answerMail(w, r, s)
}

func (g *Gateway) mailPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	box, err := g.persons.Mailbox(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return err
	}
	view := web.MailPage{
		Layout: g.layout(r, "Mail and reminders", web.PageSessions, &s),
		Sends:  g.mail != nil, Address: addressFor(s, box), Bookings: !box.Off, Reminders: !box.NoReminders,
	}
	return g.pages.Render(w, http.StatusOK, web.PageMail, view)
}

func (g *Gateway) mailForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	if err := g.readForm(w, r); err != nil {
		return err
	}
	chosen := r.PostForm["get"]
	if err := g.persons.ChooseMail(r.Context(), s.Tenant, s.Person, !slices.Contains(chosen, "bookings"), !slices.Contains(chosen, "reminders")); err != nil {
		return err
	}
	return seeOther(w, r, mailPath, "mail")
}
