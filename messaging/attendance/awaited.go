package attendance

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// Awaited returns whether a person is in a register that is open at this moment, by
// whatever id of theirs: of nobody else need a sighting be told to Seen.
func (d *Desk) Awaited(ctx context.Context, tenant lodge.Tenant) (func(lodge.PersonID) bool, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	awaited := make(map[lodge.PersonID]struct{})
	err = d.book(tenant).View(ctx, func(s *state) {
		for _, r := range s.Registers {
			if !r.open() {
				continue
			}
			for id := range r.Members {
				awaited[merged.Of(id)] = struct{}{}
			}
		}
	})
	return func(person lodge.PersonID) bool {
		_, ok := awaited[merged.Of(person)]
		return ok
	}, err
}
