package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
)

// maxSpan bounds what one availability call may ask for.
const maxSpan = 31 * 24 * time.Hour

// AvailabilityView answers GET /api/v1/availability?group=&from=&until=&after=&limit=.
type AvailabilityView struct {
	Group string     `json:"group"`
	From  time.Time  `json:"from"`
	Until time.Time  `json:"until"`
	Slots []SlotView `json:"slots"`
	After string     `json:"after,omitempty"` // where the next page begins; absent on the last one
}

// SlotView is one slot of a group with the intervals that can still be booked.
type SlotView struct {
	Slot        string           `json:"slot"`
	Policy      string           `json:"policy"`
	Experiment  string           `json:"experiment"`
	Title       string           `json:"title"`
	Short       string           `json:"short,omitempty"`
	Image       string           `json:"image,omitempty"`
	Online      bool             `json:"online"`
	MinSeconds  int              `json:"min_seconds,omitempty"`
	MaxSeconds  int              `json:"max_seconds,omitempty"`
	Free        []IntervalView   `json:"free"`
	KnownUntil  time.Time        `json:"known_until,omitzero"` // nothing is said of later times
	Suggestions []SuggestionView `json:"suggestions,omitempty"`
}

// SuggestionView is what a display guide of the slot's policy suggests: starts of
// bookings of one length.
type SuggestionView struct {
	Guide   string      `json:"guide"`
	Label   string      `json:"label,omitempty"`
	Seconds int         `json:"seconds"`
	Starts  []time.Time `json:"starts"`
}

// IntervalView is a half-open interval.
type IntervalView struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// storable reports whether a time can be kept and written in RFC 3339: arithmetic
// on times near the ends of the calendar leaves it.
func storable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 2000 && year < 9000
}

// availability answers for a whole group, many slots in one call.
func (g *Gateway) availability(w http.ResponseWriter, r *http.Request) error {
	s, err := g.booker(r)
	if err != nil {
		return err
	}
	look, err := g.lookOf(r)
	if err != nil {
		return err
	}
	view, err := g.availabilityOf(r.Context(), s, look)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// lookOf reads what a request asks about.
func (g *Gateway) lookOf(r *http.Request) (booking.Look, error) {
	q := r.URL.Query()
	look := booking.Look{Group: q.Get("group"), From: g.clock.Now(), After: q.Get("after"), Limit: booking.MaxSlots}
	for name, into := range map[string]*time.Time{"from": &look.From, "until": &look.Until} {
		if value := q.Get(name); value != "" {
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return look, lodge.E(lodge.CodeInvalid, "The parameter "+name+" is not an RFC 3339 time such as 2026-05-04T09:00:00Z.")
			}
			*into = at.UTC()
		}
	}
	if look.Until.IsZero() {
		look.Until = look.From.Add(24 * time.Hour)
	}
	if v := q.Get("limit"); v != "" {
		var err error
		if look.Limit, err = strconv.Atoi(v); err != nil || look.Limit < 1 || look.Limit > booking.MaxSlots {
			return look, lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(booking.MaxSlots)+".")
		}
	}
	return look, nil
}

// availabilityOf is a page of what a signed-in person can book through a group of
// theirs, or a service through one of its audience.
func (g *Gateway) availabilityOf(ctx context.Context, s sessions.Session, look booking.Look) (AvailabilityView, error) {
	look.Tenant = s.Tenant
	switch {
	case booksThrough(s, look.Group):
		look.Service = s.Name
	case slices.Contains(s.Groups, look.Group):
		look.Person = s.Person
	default:
		return AvailabilityView{}, errNotThere("group")
	}
	if !storable(look.From) || !storable(look.Until) {
		return AvailabilityView{}, lodge.E(lodge.CodeRefused, "That time is out of range; choose a date in this century.")
	}
	if !look.From.Before(look.Until) || look.Until.Sub(look.From) > maxSpan {
		return AvailabilityView{}, lodge.E(lodge.CodeRefused, "Ask for an interval that ends after it starts and is at most 31 days long.")
	}
	page, err := g.desk.Availability(ctx, look)
	if err != nil {
		return AvailabilityView{}, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return AvailabilityView{}, err
	}
	view := AvailabilityView{Group: look.Group, From: look.From, Until: look.Until, Slots: make([]SlotView, 0, len(page.Slots))}
	for _, slot := range page.Slots {
		view.Slots = append(view.Slots, slotView(cat, slot))
	}
	if page.More {
		view.After = view.Slots[len(view.Slots)-1].Slot
	}
	return view, nil
}

func slotView(cat *booking.Catalogue, slot booking.SlotAvailability) SlotView {
	a := describe(cat, slot.Experiment)
	view := SlotView{
		Slot: slot.Slot, Policy: slot.Policy, Experiment: slot.Experiment, Title: a.title, Short: a.short, Image: a.image, Online: slot.Online,
		MinSeconds: int(slot.Min / time.Second), MaxSeconds: int(slot.Max / time.Second), Free: []IntervalView{}, KnownUntil: slot.KnownUntil,
	}
	for _, free := range slot.Free {
		view.Free = append(view.Free, IntervalView{Start: free.Start, End: free.End})
	}
	for _, s := range slot.Suggestions {
		starts := s.Starts
		if starts == nil {
			starts = []time.Time{}
		}
		view.Suggestions = append(view.Suggestions, SuggestionView{Guide: s.Guide, Label: s.Label, Seconds: int(s.Length / time.Second), Starts: starts})
	}
	return view
}
