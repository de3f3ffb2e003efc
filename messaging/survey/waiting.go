package survey

import (
	"context"
	"errors"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Waiting counts the open surveys that a person has neither answered nor taken
// their ballot for, of those that asks says are put to them. No other survey is
// read, and nobody's answers are opened.
func (d *Desk) Waiting(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, asks func(Survey) (bool, error)) (int, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return 0, err
	}
	var listed []Survey
	if err := d.index(tenant).View(ctx, func(x *index) {
		for _, s := range x.Surveys {
			if s.open() {
				one := s.survey()
				one.By = merged.Of(s.By)
				listed = append(listed, one)
			}
		}
	}); err != nil {
		return 0, err
	}
	n := 0
	for _, one := range listed {
		if put, err := asks(one); err != nil {
			return 0, err
		} else if !put {
			continue
		}
		err := d.with(ctx, tenant, one.ID, func(p *messaging.Projection[state]) error {
			return p.View(ctx, func(s *state) {
				if s.takes(d.clock.Now()) && s.issued(merged, person) == nil && !s.answered(merged, person) {
					n++
				}
			})
		})
		if err != nil && !errors.Is(err, errUnknown) { // it is being dropped
			return 0, err
		}
	}
	return n, nil
}

// answered reports whether a person did, by whichever id of theirs.
func (s *state) answered(merged lodge.Merged, person lodge.PersonID) bool {
	for _, p := range merged.All(person) {
		if s.Responses[p] != nil {
			return true
		}
	}
	return false
}
