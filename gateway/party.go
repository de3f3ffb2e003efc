package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// PartyRequest is the body of POST /api/v1/groups/{id}/bookings: a booking for
// each member, through a slot one after another, through a pool side by side.
type PartyRequest struct {
	Slot    string    `json:"slot,omitempty"`
	Pool    string    `json:"pool,omitempty"` // instead of a slot
	From    time.Time `json:"from,omitzero"`  // absent: now
	Until   time.Time `json:"until"`          // when the last must have ended
	Seconds int       `json:"seconds"`        // of each
	Members []string  `json:"members,omitempty"`
	Partial bool      `json:"partial,omitempty"` // book for those who can be
}

// PartyView answers it: what became of each member, in the order of their names.
type PartyView struct {
	Places []PlaceView `json:"places"`
}

// PlaceView is one member's booking, or why there is none.
type PlaceView struct {
	Person     string    `json:"person"`
	Name       string    `json:"name"`
	Booking    string    `json:"booking,omitempty"` // its id
	Experiment string    `json:"experiment,omitempty"`
	Slot       string    `json:"slot,omitempty"`
	Start      time.Time `json:"start,omitzero"`
	End        time.Time `json:"end,omitzero"`
	Rule       string    `json:"rule,omitempty"`   // that refuses
	Detail     string    `json:"detail,omitempty"` // in words
}

// bookParty books for a whole group, or for some of it, as its instructor.
func (g *Gateway) bookParty(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req PartyRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	places, err := g.party(r.Context(), s, chi.URLParam(r, "id"), req, key)
	if err != nil {
		return withPlaces(err, places)
	}
	return writeJSON(w, http.StatusCreated, PartyView{Places: places})
}

// withPlaces adds to the refusal of a party who it was about.
func withPlaces(err error, places []PlaceView) error {
	e, ok := errors.AsType[*lodge.Error](err)
	if !ok || len(places) == 0 {
		return err
	}
	told := *e
	told.Details = map[string]any{}
	for k, v := range e.Details {
		told.Details[k] = v
	}
	told.Details["places"] = slices.DeleteFunc(places, func(p PlaceView) bool { return p.Detail == "" })
	return &told
}

func (g *Gateway) party(ctx context.Context, s sessions.Session, group string, req PartyRequest, key string) ([]PlaceView, error) {
	if !teaches(s.Principal(), group) {
		return nil, lodge.E(lodge.CodeForbidden, "Only an instructor of the group may book for its members.")
	}
	if req.Seconds <= 0 || req.Seconds > longestBooking {
		return nil, lodge.E(lodge.CodeRefused, "Say how long each may use the experiment: a number of seconds above 0.")
	}
	members, err := g.membersOf(ctx, s.Tenant, group, req.Members)
	if err != nil {
		return nil, err
	}
	if len(req.Members) == 0 { // who books for the group is not of it
		members = slices.DeleteFunc(members, func(m booking.Member) bool { return m.Person == s.Person })
	}
	places, err := g.desk.BookParty(ctx, booking.PartyRequest{
		Tenant: s.Tenant, Group: group, Slot: req.Slot, Pool: req.Pool, Members: members, From: req.From, Until: req.Until,
		Length: time.Duration(req.Seconds) * time.Second, Partial: req.Partial, Key: key,
	})
	views := make([]PlaceView, 0, len(places))
	for _, p := range places {
		view := PlaceView{Person: string(p.Person), Name: p.Name}
		switch {
		case p.Refused != nil:
			view.Rule, _ = p.Refused.Details["rule"].(string)
			view.Detail = p.Refused.Safe
		case p.Booking.ID != "":
			b := p.Booking
			view.Booking, view.Experiment, view.Slot, view.Start, view.End = b.ID, b.Experiment, b.Slot, b.Start, b.End
			g.recordBy(ctx, s, audit.Book, "booking:"+b.ID, "slot "+b.Slot+" until "+b.End.Format(timeFormat)+", with "+strconv.Itoa(len(places)-1)+" others of group "+group)
		}
		views = append(views, view)
	}
	return views, err
}

// membersOf are the members of a group that are named, all when none is, in the
// order of the store. Somebody who is none is not there.
func (g *Gateway) membersOf(ctx context.Context, tenant lodge.Tenant, group string, named []string) ([]booking.Member, error) {
	people, err := g.persons.InGroup(ctx, tenant, group)
	if err != nil {
		return nil, err
	}
	var members []booking.Member
	for _, p := range people {
		if len(named) == 0 || slices.Contains(named, string(p.ID)) {
			members = append(members, booking.Member{Person: p.ID, Name: p.Name, Surname: p.FamilyName})
		}
	}
	if len(named) > 0 && len(members) != len(slices.Compact(slices.Sorted(slices.Values(named)))) {
		return nil, lodge.E(lodge.CodeNotFound, "Somebody named here is not in the group; reload the page.")
	}
	return members, nil
}
