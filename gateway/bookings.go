package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

const timeFormat = time.RFC3339

// longestBooking is what may be asked for, in seconds: 400 days fit a
// time.Duration with room to spare, and policies are far shorter.
const longestBooking = 400 * 24 * 60 * 60

// listBookings answers with the person's own, or with the one a reference opened.
func (g *Gateway) listBookings(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	views, err := g.bookingsOf(r.Context(), s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"bookings": views})
}

func (g *Gateway) bookingsOf(ctx context.Context, s sessions.Session) ([]BookingView, error) {
	var mine []booking.Booking
	var err error
	if s.Kind == sessions.Login {
		if mine, err = g.mineNow(ctx, s); err == nil {
			var shared []booking.Booking
			shared, err = g.sharedNow(ctx, s)
			mine = append(mine, shared...)
		}
	} else {
		var one booking.Booking
		one, err = g.desk.Get(ctx, s.Tenant, s.Booking)
		mine = []booking.Booking{one}
	}
	if err != nil {
		return nil, err
	}
	views := make([]BookingView, 0, len(mine))
	for _, b := range mine {
		view, err := g.bookingViewFor(ctx, b, s)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// book makes a booking for the signed-in person, or for whom a service or an
// instructor names.
func (g *Gateway) book(w http.ResponseWriter, r *http.Request) error {
	s, err := g.booker(r)
	if err != nil {
		return err
	}
	var req BookRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	view, err := g.bookFor(r, s, req, key)
	if err != nil {
		return err
	}
	w.Header().Set("Location", view.Links.Self)
	w.Header().Set("ETag", etag(view.version))
	return writeJSON(w, http.StatusCreated, view)
}

func (g *Gateway) bookFor(r *http.Request, s sessions.Session, req BookRequest, key string) (BookingView, error) {
	if err := mayBookFor(s, req); err != nil {
		return BookingView{}, err
	}
	surname := req.Surname
	if s.Kind == sessions.Login {
		person, err := g.personOf(r, s)
		if err != nil {
			return BookingView{}, err
		}
		surname = orElse(person.FamilyName, surname)
	}
	if req.Seconds <= 0 || req.Seconds > longestBooking {
		return BookingView{}, lodge.E(lodge.CodeRefused, "Say how long you want the experiment for: a number of seconds above 0.")
	}
	wanted := booking.Request{
		Tenant: s.Tenant, Person: s.Person, Name: s.Name, Surname: surname, Groups: s.Groups, Group: req.Group, Slot: req.Slot,
		Pool: req.Pool, Start: req.Start, Length: time.Duration(req.Seconds) * time.Second, Key: key,
	}
	if s.Kind == sessions.Service {
		wanted.Service = s.Name
	}
	var b booking.Booking
	var err error
	var reference, guest string
	if req.OnBehalf != nil {
		b, reference, err = g.bookOnBehalf(r.Context(), s, wanted, *req.OnBehalf)
		guest = ", for somebody else"
	} else {
		b, reference, err = g.desk.Book(r.Context(), wanted)
	}
	if err != nil {
		return BookingView{}, err
	}
	g.recordBy(r.Context(), s, audit.Book, "booking:"+b.ID, "slot "+b.Slot+" until "+b.End.Format(timeFormat)+guest)
	view, err := g.bookingView(r.Context(), b, false)
	view.Reference = reference
	return view, err
}

// mine returns the booking a request names and the session that may act on it:
// the owner's login, or the booking session opened for it. Anybody else learns
// only that they can see no such booking.
func (g *Gateway) mine(r *http.Request) (booking.Booking, sessions.Session, error) {
	c, err := g.callers(r)
	if err != nil {
		return booking.Booking{}, sessions.Session{}, err
	}
	id := chi.URLParam(r, "id")
	if c.booking != nil && c.booking.Booking == id {
		b, err := g.desk.Get(r.Context(), c.booking.Tenant, id)
		if err == nil && c.login != nil && c.login.Person == b.Owner {
			return b, *c.login, nil
		}
		return b, *c.booking, err
	}
	if c.login == nil {
		_, err := c.main() // says to sign in, or to continue
		return booking.Booking{}, sessions.Session{}, cmp.Or(err, errNotThere("booking"))
	}
	b, err := g.desk.Get(r.Context(), c.login.Tenant, id)
	if lodge.CodeOf(err) == lodge.CodeNotFound || (err == nil && b.Owner != c.login.Person) {
		return booking.Booking{}, sessions.Session{}, errNotThere("booking")
	}
	return b, *c.login, err
}

func (g *Gateway) getBooking(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.readable(r)
	if err != nil {
		return err
	}
	return g.answerBooking(w, r, b, s)
}

// readable returns the booking named for who may see it.
func (g *Gateway) readable(r *http.Request) (booking.Booking, sessions.Session, error) {
	if r.Header.Get("Authorization") != "" {
		return g.served(r)
	}
	b, s, _, err := g.ours(r)
	return b, s, err
}

func (g *Gateway) answerBooking(w http.ResponseWriter, r *http.Request, b booking.Booking, s sessions.Session) error {
	view, err := g.bookingViewFor(r.Context(), b, s)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(b.Version))
	return writeJSON(w, http.StatusOK, view)
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

func (g *Gateway) extendBooking(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.mineTo(r, booking.LookupExtend)
	if err != nil {
		return err
	}
	conditions, err := ifMatch(r)
	if err != nil {
		return err
	}
	var req ExtendRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if b, err = g.extend(r.Context(), b, s, req.Seconds, conditions...); err != nil {
		return err
	}
	return g.answerBooking(w, r, b, s)
}

func (g *Gateway) extend(ctx context.Context, b booking.Booking, s sessions.Session, seconds int, conditions ...booking.Condition) (booking.Booking, error) {
	if seconds <= 0 || seconds > 24*60*60 {
		return b, lodge.E(lodge.CodeRefused, "Say by how many seconds to extend: above 0, at most a day.")
	}
	b, err := g.desk.Extend(ctx, b.Tenant, b.ID, time.Duration(seconds)*time.Second, conditions...)
	if happened(err) {
		g.recordBy(ctx, s, audit.Extend, "booking:"+b.ID, "by "+strconv.Itoa(seconds)+" s")
	}
	return b, err
}

// cancelBooking ends a booking: its owner's, or, for an instructor of the
// booking's group and a service that books through it, anybody's.
func (g *Gateway) cancelBooking(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.cancellable(r)
	if err != nil {
		return err
	}
	var req CancelRequest
	if r.ContentLength != 0 {
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
	}
	conditions, err := ifMatch(r)
	if err != nil {
		return err
	}
	if b, err = g.cancel(r.Context(), b, s, req.Reason, conditions...); err != nil {
		return err
	}
	return g.answerBooking(w, r, b, s)
}

func (g *Gateway) cancel(ctx context.Context, b booking.Booking, s sessions.Session, reason string, conditions ...booking.Condition) (booking.Booking, error) {
	switch {
	case reason != "":
		reason = shorten(reason, 200)
	case s.Kind == sessions.Service:
		reason = "Your laboratory cancelled this booking."
	case s.Person == b.Owner:
		reason = "You cancelled this booking."
	default:
		reason = "Your instructor cancelled this booking."
	}
	action := audit.Cancel
	if s.Person != b.Owner {
		action = audit.CancelByOther
	}
	id, over := b.ID, b.State == booking.Cancelled
	b, err := g.desk.Cancel(ctx, b.Tenant, id, reason, conditions...)
	if happened(err) && !over {
		g.recordBy(ctx, s, action, "booking:"+id, reason)
	}
	return b, err
}

// cancellable returns the booking named when the request may cancel it.
func (g *Gateway) cancellable(r *http.Request) (booking.Booking, sessions.Session, error) {
	if r.Header.Get("Authorization") != "" {
		return g.served(r)
	}
	b, s, err := g.mineTo(r, booking.LookupCancel)
	if lodge.CodeOf(err) != lodge.CodeNotFound {
		return b, s, err
	}
	s, err = g.person(r)
	if err != nil {
		return booking.Booking{}, s, errNotThere("booking")
	}
	b, err = g.taught(r, s)
	return b, s, err
}

// taught returns the booking a request names if it is one of a group that the
// session's person teaches. Whether there is another one nobody learns.
func (g *Gateway) taught(r *http.Request, s sessions.Session) (booking.Booking, error) {
	b, err := g.desk.Get(r.Context(), s.Tenant, chi.URLParam(r, "id"))
	if lodge.CodeOf(err) == lodge.CodeNotFound || (err == nil && !teaches(s.Principal(), b.Group)) {
		return booking.Booking{}, errNotThere("booking")
	}
	return b, err
}

func shorten(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

// bookingView is a booking as wire.go has it.
func (g *Gateway) bookingView(ctx context.Context, b booking.Booking, reference bool) (BookingView, error) {
	cat, err := g.desk.Catalogue(ctx, b.Tenant)
	if err != nil {
		return BookingView{}, err
	}
	state, err := g.desk.State(ctx, b.Tenant, b.Experiment)
	if err != nil {
		return BookingView{}, err
	}
	about := describe(cat, b.Experiment)
	view := BookingView{
		ID: b.ID, Surname: b.Surname, Pool: b.Pool, ComeBy: b.ComeBy, May: cat.Policies[b.Policy].Lookups(), Experiment: b.Experiment, Title: about.title, Image: about.image, Group: b.Group, Policy: b.Policy,
		Slot: b.Slot, Start: b.Start, End: b.End, State: string(b.State), Reason: b.CancelReason, Online: state.Online,
		MessagesTo: g.desk.MessagesUntil(b), Extend: []int{}, version: b.Version,
		Links: BookingURL{Self: "/api/v1/bookings/" + b.ID, Launch: "/launch/" + b.ID, ICS: "/api/v1/bookings/" + b.ID + ".ics"},
	}
	if reference {
		if view.Reference, err = g.desk.Reference(ctx, b); err != nil {
			return BookingView{}, err
		}
	}
	if view.State == string(booking.Booked) {
		offers, err := g.desk.Extensions(ctx, b)
		if err != nil {
			return BookingView{}, err
		}
		for _, offer := range offers {
			view.Extend = append(view.Extend, int(offer/time.Minute))
		}
	}
	return view, nil
}

// mineNow are a person's bookings, from those whose messages they still get.
func (g *Gateway) mineNow(ctx context.Context, s sessions.Session) ([]booking.Booking, error) {
	return g.desk.ListByPerson(ctx, s.Tenant, s.Person, g.clock.Now().Add(-g.cfg.MessagePeriod), time.Time{})
}
