package booking

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// Anonymise makes the bookings of people nobody's who could be found: experiment,
// times and policy stay, names and references do not, and no lookup finds them. It
// returns how many bookings that are, and may be repeated.
func (d *Desk) Anonymise(ctx context.Context, t lodge.Tenant, people ...lodge.PersonID) (int, error) {
	n := 0
	err := d.store.Update(ctx, func(tx Tx) error {
		n = 0
		for _, person := range people {
			more, err := tx.Anonymise(t, person)
			if err != nil {
				return err
			}
			n += more
		}
		return nil
	})
	return n, outward(err)
}
