package booking

import (
	"context"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// Reassign gives the bookings that were made for each person, and those that
// will be, to the owner named for them; a person as their own owner gets back
// what was made for them, and nothing else. All happens in one step. It may be
// repeated. Limits count by owner from then on, references stay. It returns the
// ids of the bookings that changed hands, sorted.
func (d *Desk) Reassign(ctx context.Context, t lodge.Tenant, owners map[lodge.PersonID]lodge.PersonID) ([]string, error) {
	var moved []string
	err := d.store.Update(ctx, func(tx Tx) error {
		moved = nil
		for _, person := range slices.Sorted(maps.Keys(owners)) {
			ids, err := tx.SetOwner(t, person, owners[person])
			if err != nil {
				return err
			}
			moved = append(moved, ids...)
		}
		return nil
	})
	slices.Sort(moved)
	return moved, outward(err)
}
