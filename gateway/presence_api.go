package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// PresenceView answers GET /api/v1/presence: a page of who is there, by id.
type PresenceView struct {
	People []PersonPresence `json:"people"`
	After  string           `json:"after,omitempty"` // where the next page begins; absent on the last one
}

// getPresence says who is there at this moment, on whatever node: of those a topic
// reaches, of the members of a group, or of those in an experiment.
func (g *Gateway) getPresence(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	page, err := peoplePageOf(r)
	if err != nil {
		return err
	}
	to, inside, err := presenceOf(r)
	if err != nil {
		return err
	}
	if err := g.maySeePresence(r.Context(), s, to); err != nil {
		return err
	}
	people, err := g.presentNow(r.Context(), s.Tenant, to, inside)
	if err != nil {
		return err
	}
	from, end, after := page.cut(len(people), func(i int) string { return people[i].Person })
	return writeJSON(w, http.StatusOK, PresenceView{People: people[from:end], After: after})
}

// presenceOf reads of whom the presence is asked for: an audience, or who is inside
// of an experiment.
func presenceOf(r *http.Request) (to string, inside bool, err error) {
	q := r.URL.Query()
	topic, group, experiment := q.Get("topic"), q.Get("group"), q.Get("experiment")
	switch {
	case topic != "" && group == "" && experiment == "":
		return topic, false, nil
	case topic == "" && group != "" && experiment == "":
		return "group:" + group, false, nil
	case topic == "" && group == "" && experiment != "":
		return "experiment:" + experiment, true, nil
	}
	return "", false, lodge.E(lodge.CodeInvalid, "Name one of these: topic, group or experiment.")
}

// maySeePresence returns why somebody may not see who of an audience is there:
// whoever may send to it may.
func (g *Gateway) maySeePresence(ctx context.Context, s sessions.Session, to string) error {
	switch err := g.maySend(s.Principal(), to); {
	case lodge.CodeOf(err) == lodge.CodeForbidden:
		return lodge.E(lodge.CodeForbidden, "Who of "+to+" is there, its instructors and technicians see; ask one of them.")
	case err != nil:
		return lodge.E(lodge.CodeInvalid, "A topic is one of: all, group:…, experiment:…, booking:…, user:….")
	}
	err := g.exists(ctx, s.Tenant, to)
	if lodge.CodeOf(err) == lodge.CodeRefused {
		kind, _, _ := strings.Cut(to, ":")
		return errNotThere(kind)
	}
	return err
}

// presentNow returns who of an audience is there, by id; with inside set, who is in
// the experiment it names, whether or not it reaches them.
func (g *Gateway) presentNow(ctx context.Context, tenant lodge.Tenant, to string, inside bool) ([]PersonPresence, error) {
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return nil, err
	}
	online, err := g.hub.Online(ctx, tenant)
	if err != nil {
		return nil, err
	}
	there := whereabouts(online, merged)
	kind, experiment, _ := strings.Cut(to, ":")
	people := []PersonPresence{}
	if inside {
		for _, one := range there {
			if slices.Contains(one.Experiments, experiment) {
				people = append(people, one.in(experiment))
			}
		}
	} else {
		reached, err := g.recipients(ctx, tenant, to)
		if err != nil {
			return nil, err
		}
		for _, person := range reached {
			if one, ok := there[person.ID]; ok {
				one.Name = person.Name
				if kind == "experiment" {
					one = one.in(experiment)
				}
				people = append(people, one)
			}
		}
	}
	slices.SortFunc(people, func(a, b PersonPresence) int { return strings.Compare(a.Person, b.Person) })
	return people, nil
}

// whereabouts gathers where everybody is who is there, by whom they count as.
func whereabouts(online []messaging.Presence, merged lodge.Merged) map[lodge.PersonID]PersonPresence {
	there := make(map[lodge.PersonID]PersonPresence, len(online))
	for _, o := range online {
		person := merged.Of(o.Person)
		one := there[person]
		one.Person, one.Name = string(person), orElse(one.Name, o.Name)
		one.Messages = one.Messages || !o.Messages.IsZero()
		for _, experiment := range sortedKeys(o.Experiments) {
			if !slices.Contains(one.Experiments, experiment) {
				one.Experiments = append(one.Experiments, experiment)
			}
		}
		if one.Experiments == nil {
			one.Experiments = []string{}
		}
		slices.Sort(one.Experiments)
		there[person] = one
	}
	return there
}
