package gateway

import (
	"context"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// presentShown bounds how many of those who are there a page names.
const presentShown = 300

// webPresent are the people of an instructor's groups who are there at this moment,
// by name, with where they are.
func (g *Gateway) webPresent(ctx context.Context, s sessions.Session, cat *booking.Catalogue) ([]web.Present, error) {
	var reached []string
	if g.maySend(s.Principal(), audienceAll) == nil {
		reached = []string{audienceAll}
	} else {
		for _, group := range sortedKeys(cat.Groups) {
			if teaches(s.Principal(), group) {
				reached = append(reached, "group:"+group)
			}
		}
	}
	seen := map[string]bool{}
	var out []web.Present
	for _, to := range reached {
		people, err := g.presentNow(ctx, s.Tenant, to, false)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			if seen[p.Person] || lodge.PersonID(p.Person) == s.Person {
				continue
			}
			seen[p.Person] = true
			one := web.Present{Person: p.Person, Name: p.Name, Messages: p.Messages}
			for _, experiment := range p.Experiments {
				one.In = append(one.In, describe(cat, experiment).title)
			}
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b web.Present) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(len(out), presentShown)], nil
}
