package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// WaitRequest is the body of POST /api/v1/waits.
type WaitRequest struct {
	Group   string    `json:"group"`
	Slot    string    `json:"slot,omitempty"`
	Pool    string    `json:"pool,omitempty"` // instead of a slot: any experiment of it
	From    time.Time `json:"from,omitzero"`  // absent: now
	Until   time.Time `json:"until,omitzero"` // absent: in 31 days
	Seconds int       `json:"seconds"`        // length of what is wanted
}

// WaitView is a place on a waiting list.
type WaitView struct {
	ID      string    `json:"id"`
	Group   string    `json:"group"`
	Slot    string    `json:"slot,omitempty"`
	Pool    string    `json:"pool,omitempty"`
	Title   string    `json:"title"` // of what is waited for
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Seconds int       `json:"seconds"`
	Since   time.Time `json:"since"`
	Place   int       `json:"place"` // from 1
	// Offer is what can be booked now; until then nobody else is told.
	Offer *WaitOffer `json:"offer,omitempty"`
}

// WaitOffer is what somebody who waited can book.
type WaitOffer struct {
	Slot  string    `json:"slot"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Until time.Time `json:"until"` // then it is somebody else's turn
}

// Freed is the data of a lodge.waiting event: it is one's turn.
type Freed struct {
	Wait  string `json:"wait"`
	Group string `json:"group"`
	Pool  string `json:"pool,omitempty"`
	Slot  string `json:"slot"`
	Title string `json:"title"` // of what was waited for
	Start string `json:"start"`
	End   string `json:"end"`
	Until string `json:"until"` // when it is the next one's turn
}

func (g *Gateway) listWaits(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	views, err := g.waitsOf(r.Context(), s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"waits": views})
}

func (g *Gateway) waitsOf(ctx context.Context, s sessions.Session) ([]WaitView, error) {
	waits, err := g.desk.Waiting(ctx, s.Tenant, s.Person)
	if err != nil {
		return nil, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	views := make([]WaitView, 0, len(waits))
	for _, one := range waits {
		views = append(views, g.waitView(cat, one))
	}
	return views, nil
}

func (g *Gateway) waitView(cat *booking.Catalogue, w booking.Wait) WaitView {
	view := WaitView{
		ID: w.ID, Group: w.Group, Slot: w.Slot, Pool: w.Pool, Title: waitTitle(cat, w), From: w.Within.Start, Until: w.Within.End,
		Seconds: int(w.Length / time.Second), Since: w.Since, Place: w.Place,
	}
	if w.Told(g.clock.Now()) {
		view.Offer = &WaitOffer{Slot: w.Offer.Slot, Start: w.Offer.Start, End: w.Offer.End, Until: w.TurnUntil}
	}
	return view
}

func waitTitle(cat *booking.Catalogue, w booking.Wait) string {
	if w.Pool != "" {
		return cat.Title(cat.Pools[w.Pool].Description, w.Pool)
	}
	return describe(cat, cat.Slots[w.Slot].Experiment).title
}

func (g *Gateway) joinWaits(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req WaitRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.wait(r.Context(), s, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) wait(ctx context.Context, s sessions.Session, req WaitRequest) (WaitView, error) {
	if req.Seconds <= 0 || req.Seconds > longestBooking {
		return WaitView{}, lodge.E(lodge.CodeRefused, "Say how long you want the experiment for: a number of seconds above 0.")
	}
	joined, err := g.desk.Join(ctx, booking.WaitRequest{
		Tenant: s.Tenant, Person: s.Person, Groups: s.Groups, Group: req.Group, Slot: req.Slot, Pool: req.Pool,
		From: req.From, Until: req.Until, Length: time.Duration(req.Seconds) * time.Second,
	})
	if err != nil {
		return WaitView{}, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	return g.waitView(cat, joined), err
}

func (g *Gateway) leaveWait(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err == nil {
		err = g.desk.Leave(r.Context(), s.Tenant, s.Person, chi.URLParam(r, "id"))
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// tellFreed tells somebody who waited that they can book. One who left meanwhile,
// or has booked, is told nothing.
func (g *Gateway) tellFreed(ctx context.Context, ef booking.Effect) error {
	w := ef.Wait
	if w.Person == "" || w.ToldAt.IsZero() {
		return nil
	}
	cat, err := g.desk.Catalogue(ctx, ef.Tenant)
	if err != nil {
		return err
	}
	return g.publish(ctx, ef.Tenant, "user:"+string(w.Person), messaging.TypeWaiting, effectID(ef), Freed{
		Wait: w.ID, Group: w.Group, Pool: w.Pool, Slot: w.Offer.Slot, Title: waitTitle(cat, w),
		Start: w.Offer.Start.Format(timeFormat), End: w.Offer.End.Format(timeFormat), Until: w.TurnUntil.Format(timeFormat),
	})
}
