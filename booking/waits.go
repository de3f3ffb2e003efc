package booking

import (
	"time"

	"github.com/lodge-gateway/lodge"
)

// Waits keep the waiting lists.
type Waits interface {
	// PutWait adds a wait or replaces the one with its id.
	PutWait(Wait) error
	// Wait returns ErrUnknown when there is none.
	Wait(t lodge.Tenant, id string) (Wait, error)
	// WaitsOf returns a person's waits, the oldest first.
	WaitsOf(t lodge.Tenant, person lodge.PersonID) ([]Wait, error)
	// WaitsFor returns the waits for a target, the oldest first; at most limit.
	WaitsFor(t lodge.Tenant, target string, limit int) ([]Wait, error)
	DropWait(t lodge.Tenant, id string) error
	// StirWaits makes all waits for some targets due at a time, those for all
	// targets of the tenant when there are none.
	StirWaits(t lodge.Tenant, targets []string, at time.Time) error
	// DueWaits returns the targets, of all tenants, with a wait that is due.
	DueWaits(now time.Time, limit int) ([]Subject, error)
}

// A Wait is a place on a waiting list: for a slot, or for any experiment of a
// pool.
type Wait struct {
	ID     string
	Tenant lodge.Tenant
	Person lodge.PersonID
	Group  string // the group to book through
	Slot   string
	Pool   string        // instead of a slot
	Within Interval      // what is wanted lies in it; the wait ends with it
	Length time.Duration // of what is wanted
	Since  time.Time     // the place in the list

	// What the person was told that they can book, and until when nobody else is
	// told; zero while they wait.
	Offer     Opening
	ToldAt    time.Time
	TurnUntil time.Time

	DueAt time.Time // when the list is to be looked at for this wait
	Place int       // from 1; computed when read, never stored
}

// Told reports whether it is the person's turn at a time.
func (w Wait) Told(now time.Time) bool { return now.Before(w.TurnUntil) }

// Target names the list that the wait is on.
func (w Wait) Target() string {
	if w.Pool != "" {
		return "pool:" + w.Pool
	}
	return "slot:" + w.Slot
}

func waitSubject(w Wait) Subject { return Subject{w.Tenant, "wait:" + w.ID} }

// targetsOf returns the lists of those who wait for an experiment.
func (c *Catalogue) targetsOf(experiment string) []string {
	var targets []string
	for _, name := range sortedKeys(c.Slots) {
		if c.Slots[name].Experiment == experiment {
			targets = append(targets, "slot:"+name)
		}
	}
	for _, name := range sortedKeys(c.Pools) {
		for _, one := range c.Pools[name].Experiments {
			if one == experiment {
				targets = append(targets, "pool:"+name)
				break
			}
		}
	}
	return targets
}

// freed has the waiting lists looked at that an experiment is on: it may have
// become free.
func (d *Desk) freed(tx Tx, t lodge.Tenant, experiment string, now time.Time) error {
	snap, err := d.snapshot(tx, t)
	if err != nil {
		return err
	}
	if targets := snap.cat.targetsOf(experiment); len(targets) > 0 {
		return tx.StirWaits(t, targets, now)
	}
	return nil
}

// served takes somebody off the waiting lists for what they have booked.
func (d *Desk) served(tx Tx, snap *snapshot, b Booking) error {
	waits, err := tx.WaitsOf(b.Tenant, b.Owner)
	if err != nil {
		return err
	}
	for _, w := range waits {
		if !w.servedBy(snap.cat, b) {
			continue
		}
		if err := tx.DropWait(w.Tenant, w.ID); err != nil {
			return err
		}
	}
	return nil
}

// servedBy reports whether a booking is what a wait was for.
func (w Wait) servedBy(c *Catalogue, b Booking) bool {
	if !w.Within.Overlaps(b.Interval()) {
		return false
	}
	if w.Slot != "" {
		return w.Slot == b.Slot
	}
	for _, one := range c.Pools[w.Pool].Experiments {
		if one == b.Experiment {
			return true
		}
	}
	return false
}
