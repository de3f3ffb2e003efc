package booking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Plan is what a change would do.
type Plan struct {
	Revision uint64  // of the catalogue that it was made against
	LeftOut  []Fault // what of a change that was read leniently is not sound beside what is there
	Ops      []Op    // nothing for an object that stays as it is
	Touched  []Touch
}

// A Decision is how a change is to be applied, and by whom.
type Decision struct {
	By string // who does it, as ExperimentState.By
	// Base is the revision of the plan that was looked at: the change is refused
	// when one of its objects was changed since. Nil: whatever is there.
	Base    *uint64
	Choices Choices
	Message string // what people whose bookings are moved or cancelled read
	// May says whether an op is allowed, given the catalogue before and after it;
	// nil allows everything. It runs inside the transaction and must only look.
	May func(before, after *Catalogue, ops []Op) error
}

// Applied is what a change did.
type Applied struct {
	Revision uint64 // of the catalogue from now on
	LeftOut  []Fault
	Ops      []Op
	Outcomes []Outcome
}

// An Outcome is what became of a touched booking.
type Outcome struct {
	Booking Booking // as it is from now on
	Because []Because
	Choice  Choice
	From    string // the experiment it was moved from
}

// Plan returns what a change would do, and changes nothing. Of d only By and May
// count.
func (d *Desk) Plan(ctx context.Context, t lodge.Tenant, ch Change, decision Decision) (Plan, error) {
	var plan Plan
	err := d.store.View(ctx, func(tx Tx) error {
		now := d.now()
		w, err := d.weigh(tx, t, ch, decision.By, now)
		if err != nil {
			return err
		}
		if err := decision.allows(w); err != nil {
			return err
		}
		plan = Plan{Revision: w.before.revision, LeftOut: w.leftOut, Ops: w.ops}
		plan.Touched, err = d.touched(tx, t, w, decision.Choices, now)
		return err
	})
	return plan, outward(err)
}

func (decision Decision) allows(w *weighed) error {
	if decision.May == nil || len(w.ops) == 0 {
		return nil
	}
	return decision.May(w.before.cat, w.after.cat, w.ops)
}

// ApplyChange carries out a change in one transaction, with what was chosen for
// the bookings it touches. It is refused when a touched booking has no choice, or
// one that cannot be (CodeRefused, the bookings in Details), and when one of its
// objects was changed since Decision.Base (CodeConflict). A change that changes
// nothing leaves the revision. For the answer when effects are late, see Book.
func (d *Desk) ApplyChange(ctx context.Context, t lodge.Tenant, ch Change, decision Decision) (Applied, error) {
	if err := decision.Choices.valid(); err != nil {
		return Applied{}, err
	}
	var done Applied
	var subjects []Subject
	err := d.update(ctx, func(tx Tx) error {
		a := application{desk: d, tx: tx, tenant: t, decision: decision, now: d.now()}
		err := a.run(ch)
		done, subjects = a.done, a.subjects
		return err
	})
	if err != nil {
		return Applied{}, outward(err)
	}
	return done, d.carryAll(ctx, subjects)
}

// An application is one run of the transaction of ApplyChange.
type application struct {
	desk     *Desk
	tx       Tx
	tenant   lodge.Tenant
	decision Decision
	now      time.Time

	done     Applied
	subjects []Subject
}

func (a *application) run(ch Change) error {
	w, err := a.desk.weigh(a.tx, a.tenant, ch, a.decision.By, a.now)
	if err != nil {
		return err
	}
	a.done = Applied{Revision: w.before.revision, LeftOut: w.leftOut, Ops: w.ops}
	if len(w.ops) == 0 {
		return nil
	}
	if err := a.unchanged(w); err != nil {
		return err
	}
	if err := a.decision.allows(w); err != nil {
		return err
	}
	touched, err := a.desk.touched(a.tx, a.tenant, w, a.decision.Choices, a.now)
	if err != nil {
		return err
	}
	if err := a.decision.Choices.settle(touched); err != nil {
		return err
	}
	for _, name := range sortedKeys(w.states) {
		if err := a.setState(w.states[name]); err != nil {
			return err
		}
	}
	for _, touch := range touched {
		if err := a.treat(w, touch); err != nil {
			return err
		}
	}
	// Last, so that no catalogue is read, and kept, that may not come to be.
	if len(w.put)+len(w.remove) > 0 {
		if err := a.tx.ChangeObjects(a.tenant, w.put, w.remove); err != nil {
			return err
		}
		a.done.Revision++
	}
	// What is on offer from now on may be what somebody waits for.
	if err := a.tx.StirWaits(a.tenant, nil, a.now); err != nil {
		return err
	}
	// Who may do what, and who hears what, may be another from now on.
	a.subjects = append(a.subjects, subjectOfCatalogue(a.tenant))
	kind := EffectCatalogue
	if w.before.revision == 0 {
		kind = EffectOffered
	}
	return a.tx.Enqueue(subjectOfCatalogue(a.tenant).Name, Effect{ID: newID(), Tenant: a.tenant, Kind: kind, At: a.now})
}

// unchanged refuses when an object of the change was changed since it was planned.
func (a *application) unchanged(w *weighed) error {
	base := a.decision.Base
	if base == nil || *base == w.before.revision {
		return nil
	}
	stored, err := a.tx.Objects(a.tenant)
	if err != nil {
		return err
	}
	gone, err := a.tx.RemovedSince(a.tenant, *base)
	if err != nil {
		return err
	}
	newer := map[ObjectID]bool{}
	for _, o := range append(stored, gone...) {
		newer[o.ID()] = o.Version > *base
	}
	var names []string
	for _, op := range w.ops {
		if newer[op.Object] {
			names = append(names, op.Object.String())
		}
	}
	if len(names) == 0 && *base < w.before.revision {
		return nil
	}
	e := lodge.E(lodge.CodeConflict, "Somebody else has changed the catalogue since you planned this; plan again and look.")
	e.Details = map[string]any{"revision": w.before.revision, "changed": append([]string{}, names...)}
	return e
}

// settle refuses touched bookings without a choice that can be.
func (c Choices) settle(touched []Touch) error {
	var open []Touch
	impossible := 0
	for _, touch := range touched {
		choice := c.choiceFor(touch)
		if !slices.Contains(touch.Can, choice) {
			open = append(open, touch)
			if choice != "" {
				impossible++
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	safe := fmt.Sprintf("%s; choose keep, move or cancel.", count(len(open), "booking is touched and has no choice", "bookings are touched and have no choice"))
	if impossible > 0 {
		safe = fmt.Sprintf("What was chosen cannot be for %s: nothing equivalent is free at that time, or the experiment goes. Choose otherwise for them.", count(impossible, "booking", "bookings"))
	}
	e := lodge.E(lodge.CodeRefused, safe)
	e.Details = map[string]any{"rule": "touched", "bookings": touchDetails(open)}
	return e
}

// maxTouchDetails bounds how many bookings a refusal lists.
const maxTouchDetails = 100

func touchDetails(list []Touch) []map[string]any {
	var out []map[string]any
	for _, touch := range list[:min(len(list), maxTouchDetails)] {
		out = append(out, map[string]any{"booking": touch.Booking.ID, "because": touch.Because, "can": touch.Can})
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (a *application) setState(s ExperimentState) error {
	if err := a.tx.SetExperimentState(a.tenant, s); err != nil {
		return err
	}
	subject := Subject{a.tenant, "experiment:" + s.Experiment}
	a.subjects = append(a.subjects, subject)
	kind := EffectOffline
	if s.Online {
		kind = EffectOnline
	}
	return a.tx.Enqueue(subject.Name, Effect{ID: newID(), Tenant: a.tenant, Kind: kind, Experiment: s.Experiment, Reason: s.Reason, At: a.now})
}

// treat does to a touched booking what was chosen for it.
func (a *application) treat(w *weighed, touch Touch) (err error) {
	b := touch.Booking
	out := Outcome{Because: touch.Because, Choice: a.decision.Choices.choiceFor(touch), Booking: b}
	switch out.Choice {
	case MoveIt:
		out.From = b.Experiment
		out.Booking, err = a.desk.reassignAfter(a.tx, w.after, w.before, b, a.reason("The laboratory moved your booking to an equivalent experiment."), a.now)
		if errors.Is(err, ErrNoPlace) {
			// One before it took the place, which the plan had counted on.
			return Choices{Bookings: map[string]Choice{b.ID: MoveIt}}.settle([]Touch{{Booking: b, Because: touch.Because, Can: []Choice{CancelIt}}})
		}
	case CancelIt:
		// It was made under the policy as it was.
		b.Charged = charge(b, w.before.cat.Policies[b.Policy], a.now)
		b.CancelledAt, b.CancelReason = a.now, a.reason("The laboratory cancelled your booking: what was booked is no longer offered.")
		err = a.desk.saveCancelled(a.tx, &b, a.now)
		out.Booking = b
	case Keep:
		if !w.otherStreams(b.Experiment) {
			break
		}
		// The codes that were given out open the streams as they are from now on.
		err = a.desk.follow(a.tx, Effect{
			ID: newID(), Tenant: a.tenant, Kind: EffectRenewed, Booking: b, Experiment: b.Experiment, Reason: a.decision.Message, At: a.now,
		})
	}
	if err != nil {
		return err
	}
	if out.Choice != Keep || w.otherStreams(b.Experiment) {
		a.subjects = append(a.subjects, bookingSubject(b))
	}
	out.Booking = a.desk.seen(out.Booking)
	a.done.Outcomes = append(a.done.Outcomes, out)
	return nil
}

func (a *application) reason(otherwise string) string {
	if said := strings.TrimSpace(a.decision.Message); said != "" {
		return said
	}
	return otherwise
}

// carryLanes is how many subjects of one change are carried side by side.
const carryLanes = 16

// carryAll is carry for several subjects.
func (d *Desk) carryAll(ctx context.Context, subjects []Subject) error {
	lanes := make(chan struct{}, carryLanes)
	errs := make([]error, len(subjects))
	var wg sync.WaitGroup
	for i, s := range subjects {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			errs[i] = d.carry(ctx, s)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
