package survey

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// People says who counts as whom in a tenant, now.
type People func(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error)

func nobodyMerged(context.Context, lodge.Tenant) (lodge.Merged, error) {
	return lodge.Merged{}, nil
}

// SetPeople sets who knows about merged persons; without it nobody is merged. It
// is for wiring, before the first call.
func (d *Desk) SetPeople(people People) { d.people = people }

// as returns the state with people as whom they count. Of the responses of those
// who are one the later counts, at the place of the first; of two at the same
// time that of who answered first later. What is in the log stays: when they are
// taken apart again, each has their own.
func (s *state) as(m lodge.Merged) *state {
	if len(m) == 0 {
		return s
	}
	one := *s
	one.By = m.Of(s.By)
	one.Responses, one.Counted = as(s.Responses, m), as(s.Counted, m)
	return &one
}

func as(all map[lodge.PersonID]*response, m lodge.Merged) map[lodge.PersonID]*response {
	merged := make(map[lodge.PersonID]*response, len(all))
	for _, r := range ordered(all) {
		counts := *r
		counts.Person, counts.by = m.Of(r.Person), r.Person
		if earlier := merged[counts.Person]; earlier != nil {
			if r.At.Before(earlier.At) {
				counts = *earlier
			}
			counts.Order = earlier.Order
		}
		merged[counts.Person] = &counts
	}
	return merged
}

// An Answered is a person's answer to a survey, as the log has it.
type Answered struct {
	Survey string
	Title  string
	Person lodge.PersonID // by the id with which they answered
	Rank   int            // of two persons' answers that are one's, the higher counts
}

// AnsweredBy returns what those of the given ids answered, survey by survey,
// newest first, each id by itself whoever is merged.
func (d *Desk) AnsweredBy(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) ([]Answered, error) {
	surveys, err := d.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []Answered
	for _, one := range surveys {
		err := d.with(ctx, tenant, one.ID, func(p *messaging.Projection[state]) error {
			return p.View(ctx, func(s *state) { all = append(all, s.answeredBy(people)...) })
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// answeredBy ranks answers as as decides between them.
func (s *state) answeredBy(people []lodge.PersonID) []Answered {
	var all []Answered
	for _, person := range people {
		r := s.Responses[person]
		if r == nil {
			continue
		}
		rank := 0
		for _, other := range s.Responses {
			if other.At.Before(r.At) || other.At.Equal(r.At) && other.Order < r.Order {
				rank++
			}
		}
		all = append(all, Answered{Survey: s.ID, Title: s.Title, Person: person, Rank: rank})
	}
	return all
}
