package gateway

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// about is what people read about an experiment.
type about struct{ title, short, image string }

func describe(cat *booking.Catalogue, experiment string) about {
	a := about{title: experiment}
	if d, ok := cat.Descriptions[cat.Experiments[experiment].Description]; ok {
		a = about{title: orElse(d.Title, experiment), short: d.Short, image: d.Image}
	}
	return a
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// maxSpan bounds what one availability call may ask for.
const maxSpan = 31 * 24 * time.Hour

// storable reports whether a time can be kept and written in RFC 3339: arithmetic
// on times near the ends of the calendar leaves it.
func storable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 2000 && year < 9000
}

// availability answers for a whole group in one call.
func (g *Gateway) availability(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	from, until := g.clock.Now(), time.Time{}
	for name, into := range map[string]*time.Time{"from": &from, "until": &until} {
		if value := q.Get(name); value != "" {
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return lodge.E(lodge.CodeInvalid, "The parameter "+name+" is not an RFC 3339 time such as 2026-05-04T09:00:00Z.")
			}
			*into = at.UTC()
		}
	}
	if until.IsZero() {
		until = from.Add(24 * time.Hour)
	}
	view, err := g.availabilityOf(r, q.Get("group"), from, until)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) availabilityOf(r *http.Request, group string, from, until time.Time) (AvailabilityView, error) {
	s, err := g.person(r)
	if err != nil {
		return AvailabilityView{}, err
	}
	if !slices.Contains(s.Groups, group) {
		return AvailabilityView{}, errNotThere("group")
	}
	if !storable(from) || !storable(until) {
		return AvailabilityView{}, lodge.E(lodge.CodeRefused, "That time is out of range; choose a date in this century.")
	}
	if !from.Before(until) || until.Sub(from) > maxSpan {
		return AvailabilityView{}, lodge.E(lodge.CodeRefused, "Ask for an interval that ends after it starts and is at most 31 days long.")
	}
	slots, err := g.desk.Availability(r.Context(), s.Tenant, group, from, until)
	if err != nil {
		return AvailabilityView{}, err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return AvailabilityView{}, err
	}
	view := AvailabilityView{Group: group, From: from, Until: until, Slots: []SlotView{}}
	for _, slot := range slots {
		a := describe(cat, slot.Experiment)
		sv := SlotView{
			Slot: slot.Slot, Policy: slot.Policy, Experiment: slot.Experiment, Title: a.title, Short: a.short, Image: a.image, Online: slot.Online,
			MinSeconds: int(slot.Min / time.Second), MaxSeconds: int(slot.Max / time.Second), Free: []IntervalView{},
		}
		for _, free := range slot.Free {
			sv.Free = append(sv.Free, IntervalView{Start: free.Start, End: free.End})
		}
		view.Slots = append(view.Slots, sv)
	}
	return view, nil
}
