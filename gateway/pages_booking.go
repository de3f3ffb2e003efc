package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

func (g *Gateway) lookupPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderLookup(w, r, http.StatusOK, web.LookupForm{}, nil)
}

func (g *Gateway) renderLookup(w http.ResponseWriter, r *http.Request, status int, form web.LookupForm, problem *web.Problem) error {
	view := web.Lookup{Layout: g.layout(r, "Open a booking", web.PageLookup, nil), Form: form}
	view.Problem = problem
	view.Limited, view.Mails = status == http.StatusTooManyRequests, g.mail != nil
	return g.pages.Render(w, status, web.PageLookup, view)
}

func (g *Gateway) lookupForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	form := web.LookupForm{Surname: r.PostFormValue("surname"), Reference: r.PostFormValue("reference")}
	view, err := g.lookUp(w, r, form.Surname, form.Reference)
	if err != nil {
		problem, status, mendable := problemOf(err, "That did not open a booking")
		if !mendable {
			return err
		}
		explain(err).header(w.Header())
		return g.renderLookup(w, r, status, form, problem)
	}
	return seeOther(w, r, "/bookings/"+view.ID, "")
}

const (
	// calendarDays is how many days a page of the calendar has, calendarPages how
	// many pages there are.
	calendarDays, calendarPages = 7, 26
)

// bookPage shows the slots of a group with what is free of them, day by day.
func (g *Gateway) bookPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	form := web.BookForm{Day: q.Get("day"), Slot: q.Get("slot"), Start: q.Get("start"), Key: rand.Text()}
	return g.renderBook(w, r, q.Get("group"), http.StatusOK, form, nil)
}

// calendar is the page of the calendar that has a day, which is chosen on it; today
// for what is none, or lies outside. Beside it are days of the pages before and
// after.
func calendar(now time.Time, chosen string, zone *time.Location) (days []web.Day, earlier, later string) {
	all := web.Days(now, calendarDays*calendarPages, zone)
	at := max(0, slices.IndexFunc(all, func(d web.Day) bool { return d.Date() == chosen }))
	all[at].Chosen = true
	first := at - at%calendarDays
	if first > 0 {
		earlier = all[first-calendarDays].Date()
	}
	if first+calendarDays < len(all) {
		later = all[first+calendarDays].Date()
	}
	return all[first : first+calendarDays], earlier, later
}

func (g *Gateway) renderBook(w http.ResponseWriter, r *http.Request, group string, status int, form web.BookForm, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	groups, err := g.webGroups(r.Context(), s)
	if err != nil {
		return err
	}
	if group == "" && len(groups) > 0 {
		group = groups[0].Name
	}
	view := web.Book{Layout: g.layout(r, "Book", web.PageBook, &s), Form: form, Groups: groups}
	view.Problem = problem
	if r.FormValue("by") == web.ByTime {
		view.By = web.ByTime
	}
	view.Days, view.Earlier, view.Later = calendar(g.clock.Now(), form.Day, view.Zone)
	from := view.Days[0].Start
	if now := g.clock.Now(); from.Before(now) {
		from = now
	}
	available, err := g.allAvailable(r.Context(), s, group, from.UTC(), view.Days[calendarDays-1].End.UTC())
	if err != nil {
		return err
	}
	person, err := g.personOf(r, s)
	if err != nil {
		return err
	}
	view.From, view.Until, view.AskSurname = available.From, available.Until, person.FamilyName == ""
	for _, one := range groups {
		if one.Name == group {
			view.Group = one
		}
	}
	for _, slot := range available.Slots {
		ws := web.Slot{
			Slot: slot.Slot, Policy: slot.Policy, Experiment: slot.Experiment, Title: slot.Title, Short: slot.Short, Image: slot.Image,
			Online: slot.Online, MinSeconds: slot.MinSeconds, MaxSeconds: slot.MaxSeconds,
		}
		for _, s := range slot.Suggestions {
			ws.Guides = append(ws.Guides, s.Seconds)
		}
		for _, free := range slot.Free {
			ws.Free = append(ws.Free, web.Interval{Start: free.Start, End: free.End})
		}
		view.Group.Slots = append(view.Group.Slots, ws)
	}
	return g.pages.Render(w, status, web.PageBook, view)
}

// allAvailable is what a person can book through a group, all pages in one.
func (g *Gateway) allAvailable(ctx context.Context, s sessions.Session, group string, from, until time.Time) (AvailabilityView, error) {
	look := booking.Look{Group: group, From: from, Until: until}
	all, err := g.availabilityOf(ctx, s, look)
	for err == nil && all.After != "" {
		var next AvailabilityView
		look.After = all.After
		next, err = g.availabilityOf(ctx, s, look)
		all.Slots, all.After = append(all.Slots, next.Slots...), next.After
	}
	return all, err
}

func (g *Gateway) bookForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	group := r.PostFormValue("group")
	form := web.BookForm{
		Day: r.PostFormValue("day"), Slot: r.PostFormValue("slot"), Start: r.PostFormValue("start"), Surname: r.PostFormValue("surname"), Key: r.PostFormValue("key"),
	}
	start, err := parseTime(form.Start)
	if err == nil {
		if form.Seconds, err = strconv.Atoi(r.PostFormValue("seconds")); err != nil {
			err = lodge.Wrap(lodge.CodeRefused, "Choose how long you want the experiment for.", err)
		}
	}
	var view BookingView
	if err == nil {
		view, err = g.bookFor(r, s, BookRequest{Group: group, Slot: form.Slot, Start: start, Seconds: form.Seconds, Surname: form.Surname}, form.Key)
	}
	if err != nil {
		problem, status, mendable := problemOf(err, "That could not be booked")
		if !mendable {
			return err
		}
		form.Key = rand.Text()
		if offer, ok := offered(err); ok { // the form holds what would be accepted
			form.Slot, form.Start, form.Seconds = offer.Slot, offer.Start.Format(timeFormat), int(offer.Length()/time.Second)
			forget(r, "start", "seconds")
		}
		return g.renderBook(w, r, group, status, form, problem)
	}
	return seeOther(w, r, "/bookings/"+view.ID, "booked")
}

func (g *Gateway) bookingPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderBooking(w, r, http.StatusOK, nil, time.Time{})
}

// renderBooking writes the page of a booking; longest is the latest end that an
// extension can have, when one was refused.
func (g *Gateway) renderBooking(w http.ResponseWriter, r *http.Request, status int, problem *web.Problem, longest time.Time) error {
	b, s, partner, err := g.ours(r)
	if err != nil {
		return err
	}
	if partner {
		return seeOther(w, r, "/bookings/"+b.ID+"/partners", "")
	}
	booking, err := g.bookingViewFor(r.Context(), b, s)
	if err != nil {
		return err
	}
	view := web.BookingPage{Layout: g.layout(r, "", web.PageBooking, &s), Booking: webBooking(booking)}
	view.Title, view.Problem, view.Longest = booking.Title, problem, longest
	cat, err := g.desk.Catalogue(r.Context(), b.Tenant)
	if err != nil {
		return err
	}
	for _, name := range cat.UIsOf(b.UISet) {
		view.Booking.UIs = append(view.Booking.UIs, web.UI{Name: name, Title: cat.Title(cat.UIs[name].Description, name)})
	}
	if view.Surveys, view.Registers, err = g.asked(r.Context(), s); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PageBooking, view)
}

func (g *Gateway) extendForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	b, s, err := g.mineTo(r, booking.LookupExtend)
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(r.PostFormValue("seconds"))
	if err != nil {
		seconds = 0 // refused by extend, with what to do
	}
	if _, err := g.extend(r.Context(), b, s, seconds); err != nil {
		if problem, status, mendable := problemOf(err, "That could not be extended"); mendable {
			offer, _ := offered(err)
			return g.renderBooking(w, r, status, problem, offer.End)
		}
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID, "extended")
}

func (g *Gateway) cancelForm(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.mineTo(r, booking.LookupCancel)
	if err != nil {
		return err
	}
	if _, err := g.cancel(r.Context(), b, s, ""); err != nil {
		if problem, status, mendable := problemOf(err, "That could not be cancelled"); mendable {
			return g.renderBooking(w, r, status, problem, time.Time{})
		}
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID, "cancelled")
}

// launchMessages are shown beside an experiment; /messages has all. The page holds
// codes, is not compressed for that, and stays light.
const launchMessages = 10

// launchPage frames the experiment's UI from its own origin. A reload mints a
// fresh code with the booking's end as it is now, so that a UI which reads both
// from its address survives an extension.
func (g *Gateway) launchPage(w http.ResponseWriter, r *http.Request) error {
	b, s, partner, err := g.ours(r)
	if err != nil {
		return err
	}
	view := web.Launch{Layout: g.layout(r, "", web.PageLaunch, &s)}
	if view.Messages, view.Resume, err = g.webMessages(r.Context(), s, view.Say, launchMessages); err != nil {
		return err
	}
	shown, err := g.bookingViewFor(r.Context(), b, s)
	if err != nil {
		return err
	}
	shown.Reference = "" // this page is shown to whoever stands beside
	view.Title, view.Booking, view.Partner = shown.Title, webBooking(shown), partner
	if view.Control, err = g.webControl(r, b, s); err != nil {
		return err
	}
	var activity Activity
	if err = g.mayTo(r.Context(), b, s, booking.LookupLaunch); err == nil {
		activity, err = g.activity(r.Context(), b, s)
	}
	switch code := lodge.CodeOf(err); {
	case err == nil && len(activity.UIs) > 0:
		ui := slices.IndexFunc(activity.UIs, func(u UIView) bool { return u.Name == r.URL.Query().Get("ui") })
		view.UI = &web.UI{Name: activity.UIs[max(ui, 0)].Name, Title: activity.UIs[max(ui, 0)].Title, URL: activity.UIs[max(ui, 0)].URL}
		for _, one := range activity.UIs {
			view.UIs = append(view.UIs, web.UI{Name: one.Name, Title: one.Title})
		}
	case err == nil:
		view.Closed = web.Text("No page to operate this experiment is in the catalogue; tell your laboratory.")
	case code == lodge.CodeRefused || code == lodge.CodeConflict || code == lodge.CodeForbidden:
		view.Closed = explain(err).detail
	default:
		return err
	}
	if view.Surveys, view.Registers, err = g.asked(r.Context(), s); err != nil {
		return err
	}
	if view.HandIns, err = g.handInsToDo(r.Context(), s); err != nil {
		return err
	}
	return g.pages.Render(w, http.StatusOK, web.PageLaunch, view)
}
