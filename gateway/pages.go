package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// layout is what surrounds every page; s is nil for a visitor. The title is an
// English text, and comes back in the reader's language.
func (g *Gateway) layout(r *http.Request, title, nav string, s *sessions.Session) web.Layout {
	say, zone := g.readsIn(r)
	l := web.Layout{
		Title: say.T(title), Nav: nav, Path: r.URL.RequestURI(), Now: g.clock.Now(), Flash: say.T(flashes[r.URL.Query().Get("done")]), Say: say, Zone: zone,
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		l.Path = "/" // what a form was sent to is no page to come back to
		if r.PostForm != nil {
			l.Filled = &web.Filled{To: r.URL.Path, Values: repeatable(r.PostForm)}
		}
	}
	if s == nil {
		return l
	}
	p := s.Principal()
	l.Person = &web.Person{
		ID: string(s.Person), Name: s.Name, Kind: string(s.Kind), Booking: s.Booking,
		Instructor: p.Has(lodge.RoleInstructor), Technician: p.Has(lodge.RoleTechnician),
		Organiser: p.Has(lodge.RoleOrganiser), Administrator: p.Can(lodge.RoleAdministrator, lodge.ScopeTenant),
	}
	l.Unread = g.countUnread(r.Context(), *s)
	var err error
	if l.ToAnswer, l.ToConfirm, err = g.countAsked(r.Context(), *s); err != nil {
		g.log.WarnContext(r.Context(), "a page without the number of waiting surveys and registers", "err", err)
	}
	return l
}

// unreadCounted is among how many of the latest messages a page counts those that
// were not read.
const unreadCounted = 50

// countUnread is how many messages wait to be read. A page is shown without that number
// rather than not at all.
func (g *Gateway) countUnread(ctx context.Context, s sessions.Session) int {
	latest, _, err := g.webMessages(ctx, s, nil, unreadCounted)
	if err != nil {
		g.log.WarnContext(ctx, "a page without the number of unread messages", "err", err)
		return 0
	}
	n := 0
	for _, m := range latest {
		if m.Unread {
			n++
		}
	}
	return n
}

// flashes are the fixed sentences a redirect can ask for: nothing of an address
// is ever repeated on a page.
var flashes = map[string]string{
	"booked":          web.Text("Booked. Your reference is below; with your surname it opens this booking on any device."),
	"rotated":         web.Text("The booking has another reference. The one before opens nothing any more."),
	"waiting":         web.Text("You are on the list. You are told as soon as it is your turn."),
	"left":            web.Text("You are off the list."),
	"extended":        web.Text("Extended. What you have open goes on."),
	"mail":            web.Text("Saved."),
	"cancelled":       web.Text("Cancelled. Messages about it still reach you."),
	"answered":        web.Text("Thank you: your answer is in. You can change it until the survey closes."),
	"handed-in":       web.Text("Thank you: your work is in. The receipt is below."),
	"grades-released": web.Text("The grades are released."),
	"graded":          web.Text("The grade is saved."),

	"confirmed": web.Text("Thank you: your attendance is confirmed."),
	"here":      web.Text("Thank you: you are marked."),
	"sorry":     web.Text("Your apology is with your instructor."),
	"corrected": web.Text("The mark is changed."),
	"decided":   web.Text("Decided. The student sees it in their record."),
	"series":    web.Text("Planned. Each register opens and closes by itself."),
	"unplanned": web.Text("Taken back. It does not open."),
	"table":     web.Text("The table is entered."),
	"sent":      web.Text("Sent."),
	"scheduled": web.Text("Put by. It is sent when its time has come."),
	"withdrawn": web.Text("Taken back. It will not be sent."),
	"replied":   web.Text("Your reply is on its way to the instructors."),

	"acknowledged": web.Text("Thank you: the sender sees that you have read it."),

	"opened":    web.Text("Opened."),
	"saved":     web.Text("Saved."),
	"planned":   web.Text("Planned. It opens by itself."),
	"imported":  web.Text("Here it is as a draft: choose whom to ask, then open it."),
	"discarded": web.Text("The draft is deleted."),
	"released":  web.Text("Released. Those who were asked see the results now."),
	"closed":    web.Text("Closed."),
	"ended":     web.Text("Ended."),
	"linked":    web.Text("The account was added. It signs you in from now on."),
	"unlinked":  web.Text("The account was removed."),
	"claimed":   web.Text("This booking is yours now."),
	"shared":    web.Text("Shared. They find the booking among theirs."),
	"partner":   web.Text("You share this booking now."),
	"unshared":  web.Text("You have left the booking."),
	"merged":    web.Text("Merged. They count as one person from now on."),
	"unmerged":  web.Text("Un-merged. Each has what was theirs."),
	"offline":   web.Text("The experiment is off-line. Its bookings stay."),
	"tested":    web.Text("The test is over. Give the experiment back when it is well."),
	"online":    web.Text("The experiment is back."),

	"applied": web.Text("Applied. The people concerned have been told."),
	"given":   web.Text("The role is given. It holds from now on."),
	"taken":   web.Text("The role is removed. It holds no more."),
	"joined":  web.Text("You are in. What the group may book is open to you."),

	"erased":          web.Text("You are erased here. Thank you for having been with us."),
	"signed-out":      web.Text("You are signed out."),
	"signed-out-here": web.Text("You are signed out here. Your institution did not answer: on a shared computer, sign out there too."),
}

// seeOther sends the browser on after a form, so that a reload repeats nothing.
func seeOther(w http.ResponseWriter, r *http.Request, path, done string) error {
	if done != "" {
		path += "?done=" + done
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// problemPage shows an error as a page.
func (g *Gateway) problemPage(w http.ResponseWriter, r *http.Request, f failure) {
	f.header(w.Header())
	idle, confirm := f.details["idle"] == true, confirmAt(r, f)
	if confirm != "" && r.Method == http.MethodGet {
		w.Header().Del("WWW-Authenticate")
		http.Redirect(w, r, confirm, http.StatusSeeOther)
		return
	}
	if f.status == http.StatusUnauthorized && r.Method == http.MethodGet && !idle && !strings.HasPrefix(r.URL.Path, "/callback/") {
		w.Header().Del("WWW-Authenticate")
		http.Redirect(w, r, "/login?return="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	view := web.ProblemPage{Status: f.status, Detail: f.detail, Code: string(f.code), Confirm: confirm, Held: g.held(w, r, f)}
	title := titleOf(f.status)
	if idle {
		view.Code, title = "idle", web.Text("Are you still there?")
	}
	view.Layout = g.layout(r, title, "", nil)
	if c, err := g.callers(r); err == nil {
		if s, err := c.main(); err == nil {
			view.Layout = g.layout(r, title, "", &s)
		}
	}
	if view.Held != nil {
		view.Layout.SignIn = view.Held.SignIn
	}
	if err := g.pages.Render(w, f.status, web.PageProblem, view); err != nil {
		g.log.ErrorContext(r.Context(), "render problem", "err", err)
	}
}

// titleOf is the heading of a page that has nothing but an error.
func titleOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return web.Text("Please sign in")
	case http.StatusForbidden:
		return web.Text("Not for you")
	case http.StatusNotFound:
		return web.Text("Not here")
	case http.StatusTooManyRequests:
		return web.Text("Too much at once")
	case http.StatusServiceUnavailable:
		return web.Text("Not at the moment")
	case http.StatusInternalServerError:
		return web.Text("Our fault")
	default:
		return web.Text("That did not work")
	}
}

// continueForm takes up an idle login again. A form that was held goes on to where it
// was sent with all that is in it (RFC 9110 section 15.4.8).
func (g *Gateway) continueForm(w http.ResponseWriter, r *http.Request) error {
	c, err := g.callers(r)
	if err != nil {
		return err
	}
	on := idp.SafeReturn(r.URL.Query().Get("to"))
	if on == "/" {
		if err := g.readForm(w, r); err != nil {
			return err
		}
	}
	if c.idle != nil {
		if err := g.sessions.Touch(r.Context(), *c.idle); err != nil {
			return err
		}
	}
	if on == "/" {
		return seeOther(w, r, idp.SafeReturn(r.PostFormValue("return")), "")
	}
	if c.login != nil || c.idle != nil {
		g.discard(w, r)
	}
	http.Redirect(w, r, on, http.StatusTemporaryRedirect)
	return nil
}

// readForm parses a form of bounded size.
func (g *Gateway) readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, g.cfg.MaxBody)
	err := r.ParseForm()
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge
	}
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The form could not be read; send it again.", err)
	}
	return nil
}

// problemOf is an error above a form, which keeps what was typed; nil and false
// for one that is no mistake of the person's and belongs on a page of its own.
func problemOf(err error, title string) (*web.Problem, int, bool) {
	f := explain(err)
	switch f.code {
	case lodge.CodeRefused, lodge.CodeConflict, lodge.CodeTooLarge, lodge.CodeTooMany, lodge.CodeNotFound, lodge.CodeInvalid:
		return &web.Problem{Title: title, Detail: f.detail}, f.status, true
	default:
		return nil, 0, false
	}
}

// issuers are the ways to sign in, each an address that comes back to where the
// person was going.
func (g *Gateway) issuers(returnTo string) []web.Issuer {
	var out []web.Issuer
	for _, issuer := range g.idp.Issuers() {
		address := "/login/" + issuer.ID
		if returnTo = idp.SafeReturn(returnTo); returnTo != "/" {
			address += "?return=" + url.QueryEscape(returnTo)
		}
		out = append(out, web.Issuer{ID: issuer.ID, Name: issuer.Name, URL: address})
	}
	return out
}

func (g *Gateway) loginPage(w http.ResponseWriter, r *http.Request) error {
	back := idp.SafeReturn(r.URL.Query().Get("return"))
	view := web.Login{Layout: g.layout(r, "Sign in", web.PageLogin, nil), Issuers: g.issuers(back)}
	view.Path = "/login?return=" + url.QueryEscape(back)
	return g.pages.Render(w, http.StatusOK, web.PageLogin, view)
}

// homePage is the lodge itself: what is yours, what you can do, what is new.
func (g *Gateway) homePage(w http.ResponseWriter, r *http.Request) error {
	c, err := g.callers(r)
	if err != nil {
		return err
	}
	s, err := c.main()
	if err != nil {
		if c.idle != nil {
			return err
		}
		return g.pages.Render(w, http.StatusOK, web.PageHome, web.Home{Layout: g.layout(r, "Lodge", web.PageHome, nil), Issuers: g.issuers("/")})
	}
	ctx := r.Context()
	view := web.Home{Layout: g.layout(r, "Lodge", web.PageHome, &s)}
	// First where messages go on: what happens while the rest is read then comes
	// over the socket.
	if view.Messages, view.Resume, err = g.webMessages(ctx, s, view.Say, 5); err != nil {
		return err
	}
	bookings, err := g.bookingsOf(ctx, s)
	if err != nil {
		return err
	}
	for _, b := range bookings {
		if b.State == "booked" {
			view.Bookings = append(view.Bookings, webBooking(b))
		} else {
			view.Past = append(view.Past, webBooking(b))
		}
	}
	if s.Kind == sessions.Login {
		if view.Groups, err = g.webGroups(ctx, s); err != nil {
			return err
		}
	}
	if view.HandIns, err = g.handInsToDo(ctx, s); err != nil {
		return err
	}
	view.Surveys, view.Registers, err = g.asked(ctx, s)
	if err != nil {
		return err
	}
	return g.pages.Render(w, http.StatusOK, web.PageHome, view)
}

// webGroups are a person's groups that the catalogue knows.
func (g *Gateway) webGroups(ctx context.Context, s sessions.Session) ([]web.Group, error) {
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	var out []web.Group
	for _, name := range s.Groups {
		if group, ok := cat.Groups[name]; ok {
			out = append(out, web.Group{Name: name, Title: cat.Title(group.Description, name)})
		}
	}
	return out, nil
}

func webBooking(b BookingView) web.Booking {
	return web.Booking{
		ID: b.ID, Reference: b.Reference, Surname: b.Surname, Experiment: b.Experiment, Title: b.Title, Image: b.Image, Group: b.Group,
		Policy: b.Policy, Slot: b.Slot, Start: b.Start, End: b.End, State: b.State, Reason: b.Reason, Online: b.Online, Extend: b.Extend, MessagesTo: b.MessagesTo,
		ComeBy: b.ComeBy, May: b.May,
	}
}

func parseTime(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, lodge.Wrap(lodge.CodeRefused, "The start is not a time; choose one from the page.", err)
	}
	return at.UTC(), nil
}
