package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// audience is a `to` that a person may send to.
type audience struct {
	value string // all, group:G, experiment:X, user:P
	name  string // of the group, experiment or person; empty for everybody
	reach int    // people it reaches now; negative where that was not asked for
}

// audienceAll is everybody of the tenant.
const audienceAll = "all"

// listedPeople is how many people a choice of audiences lists; the others are found
// by their names.
const listedPeople = 100

// maxPeople bounds a listing of people; institutions beyond it page.
const maxPeople = 10_000

// audiences lists what a person may send to that holds what they look for, if they
// look for anything: of people as many as limit, by name, and whether there are more. A
// booking is reached through its experiment or its owner and is not listed. Counting
// whom each reaches reads them all.
func (g *Gateway) audiences(ctx context.Context, s sessions.Session, find string, limit int, count bool) (all []audience, more bool, err error) {
	p := s.Principal()
	if !p.Has(lodge.RoleInstructor) && !p.Has(lodge.RoleTechnician) {
		return nil, false, nil
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return nil, false, err
	}
	offer := func(value, name, id string) error {
		if g.maySend(p, value) != nil || !found(find, name, id) {
			return nil
		}
		one := audience{value: value, name: name, reach: -1}
		if count {
			people, err := g.recipients(ctx, s.Tenant, value)
			if err != nil {
				return err
			}
			one.reach = len(people)
		}
		all = append(all, one)
		return nil
	}
	var people []idp.Person
	if p.Can(lodge.RoleInstructor, lodge.ScopeTenant) {
		if people, err = g.recipients(ctx, s.Tenant, audienceAll); err != nil {
			return nil, false, err
		}
		if find == "" {
			all = append(all, audience{value: audienceAll, reach: len(people)})
		}
	}
	for _, group := range sortedKeys(cat.Groups) {
		if err := offer("group:"+group, cat.Title(cat.Groups[group].Description, group), group); err != nil {
			return nil, false, err
		}
	}
	for _, experiment := range sortedKeys(cat.Experiments) {
		if err := offer("experiment:"+experiment, describe(cat, experiment).title, experiment); err != nil {
			return nil, false, err
		}
	}
	people = slices.DeleteFunc(people, func(p idp.Person) bool { return !found(find, p.Name) })
	slices.SortFunc(people, func(a, b idp.Person) int {
		return cmp.Or(strings.Compare(a.FamilyName, b.FamilyName), strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	if more = len(people) > limit; more {
		people = people[:limit]
	}
	named := map[string]int{}
	for _, person := range people {
		named[person.Name]++
	}
	for _, person := range people {
		one := audience{value: "user:" + string(person.ID), name: person.Name, reach: 1}
		if named[person.Name] > 1 && len(person.Groups) > 0 { // which of them
			one.name += ", " + strings.Join(person.Groups, ", ")
		}
		all = append(all, one)
	}
	return all, more, nil
}

// found reports whether one of some names holds what somebody looks for, however it
// is written.
func found(query string, names ...string) bool {
	if matches(query, names...) {
		return true
	}
	folded := booking.Fold(query)
	return folded != "" && slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(booking.Folds(name), func(fold string) bool { return strings.Contains(fold, folded) })
	})
}

// findAudiences answers a picker in which somebody types.
func (g *Gateway) findAudiences(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if p := s.Principal(); !p.Has(lodge.RoleInstructor) && !p.Has(lodge.RoleTechnician) {
		return lodge.E(lodge.CodeForbidden, "Only who may send messages can look for whom they reach.")
	}
	all, more, err := g.audiences(r.Context(), s, strings.TrimSpace(r.URL.Query().Get("q")), listedPeople, true)
	if err != nil {
		return err
	}
	view := AudiencesView{Audiences: []AudienceView{}, More: more}
	for _, a := range all {
		view.Audiences = append(view.Audiences, AudienceView{To: a.value, Name: a.name, Reach: a.reach})
	}
	return writeJSON(w, http.StatusOK, view)
}

// maySend reports why a principal may not send to an audience, nil when they
// may: instructors of the tenant to anybody, those of a group to it, technicians
// to the users of their experiments.
func (g *Gateway) maySend(p lodge.Principal, to string) error {
	kind, id, named := strings.Cut(to, ":")
	switch {
	case to == audienceAll, named && id != "" && (kind == "group" || kind == "experiment" || kind == "booking" || kind == "user"):
	default:
		return lodge.E(lodge.CodeRefused, "Send to one of: all, group:…, experiment:…, booking:…, user:….")
	}
	if p.Can(lodge.RoleInstructor, lodge.ScopeTenant) ||
		(kind == "group" && p.Can(lodge.RoleInstructor, lodge.Scope(to))) ||
		(kind == "experiment" && p.Can(lodge.RoleTechnician, lodge.Scope(to))) {
		return nil
	}
	return lodge.E(lodge.CodeForbidden, "You may not send messages to "+to+"; an instructor of it may.")
}

// mayPost is maySend for whoever sends messages: a service may within the audience
// of its code.
func (g *Gateway) mayPost(s sessions.Session, to string) error {
	if s.Kind != sessions.Service {
		return g.maySend(s.Principal(), to)
	}
	reach := audienceOf(&s)
	if slices.Contains(s.Scopes, scopeSend) && (slices.Contains(reach, audienceAll) || slices.Contains(reach, to)) {
		return nil
	}
	return lodge.E(lodge.CodeForbidden, "This service code may not send messages to "+to+"; that is outside of its audience.")
}

// recipients are the persons an audience reaches now.
func (g *Gateway) recipients(ctx context.Context, tenant lodge.Tenant, to string) ([]idp.Person, error) {
	kind, id, _ := strings.Cut(to, ":")
	switch kind {
	case audienceAll:
		all, err := g.persons.List(ctx, tenant, "", maxPeople)
		return slices.DeleteFunc(all, func(p idp.Person) bool { return p.MergedInto != "" }), err
	case "group":
		return g.persons.InGroup(ctx, tenant, id)
	case "user":
		merged, err := g.persons.Merged(ctx, tenant)
		if err != nil {
			return nil, err
		}
		return g.persons.Get(ctx, tenant, merged.Of(lodge.PersonID(id)))
	case "booking":
		b, err := g.desk.Get(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		return g.persons.Get(ctx, tenant, b.Owner)
	case "experiment":
		owners, err := g.usersOf(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		return g.persons.Get(ctx, tenant, owners...)
	case instructorsOf:
		return g.instructors(ctx, tenant, id)
	}
	return nil, nil
}

// usersOf are those whose booking of an experiment has begun and whose right to
// its messages lasts.
func (g *Gateway) usersOf(ctx context.Context, tenant lodge.Tenant, experiment string) ([]lodge.PersonID, error) {
	now := g.clock.Now()
	seen := map[lodge.PersonID]bool{}
	var owners []lodge.PersonID
	// The desk answers with so many at a time, by start.
	for from := now.Add(-g.cfg.MessagePeriod); ; {
		bookings, err := g.desk.ListByExperiment(ctx, tenant, experiment, from, now.Add(time.Nanosecond))
		if err != nil || len(bookings) == 0 {
			return owners, err
		}
		for _, b := range bookings {
			if seen[b.Owner] || (!b.CancelledAt.IsZero() && !b.CancelledAt.After(b.Start)) {
				continue
			}
			seen[b.Owner] = true
			owners = append(owners, b.Owner)
		}
		last := bookings[len(bookings)-1].Start
		if !last.After(from) {
			return owners, nil
		}
		from = last
	}
}

// exists reports whether an audience names something that is there.
func (g *Gateway) exists(ctx context.Context, tenant lodge.Tenant, to string) error {
	cat, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return err
	}
	return g.existsIn(ctx, tenant, cat, to)
}

func (g *Gateway) existsIn(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue, to string) error {
	kind, id, _ := strings.Cut(to, ":")
	found := kind == audienceAll
	switch kind {
	case "group":
		_, found = cat.Groups[id]
	case "experiment":
		_, found = cat.Experiments[id]
	case "booking", "user":
		people, err := g.recipients(ctx, tenant, to)
		if err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
			return err
		}
		found = len(people) > 0
	}
	if !found {
		return lodge.E(lodge.CodeRefused, "There is no "+to+" to send to.")
	}
	return nil
}
