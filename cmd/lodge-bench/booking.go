package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

// The figures of the booking register, in the order of the report.
const (
	figureBookP50   = "booking, one caller: p50 ms"
	figureBookP99   = "booking, one caller: p99 ms"
	figureBookOne   = "bookings/s, one caller"
	figureBookMany  = "bookings/s, all callers"
	figureBookCPU   = "CPU µs a booking, all callers"
	figureRig       = "availability/s of an experiment with 2,000 bookings"
	figureRigP99    = "availability of it: p99 ms"
	figureGroupP50  = "availability of a group of 71 slots: p50 ms"
	figureCatalogue = "plan and apply of 110 experiments under live bookings: ms"
	limitOne        = "bare limit: rows/s, one caller"
	limitMany       = "bare limit: rows/s, all callers"
	limitRig        = "bare limit: reads/s of 2,000 rows"
)

var bookingFigures = []string{
	figureBookP50, figureBookP99, figureBookOne, limitOne, figureBookMany, limitMany, figureBookCPU,
	figureRig, figureRigP99, limitRig, figureGroupP50, figureCatalogue,
}

// bookingBench measures the register: a booking.Desk on a store, with effects that
// are recorded and carried out but have nothing to do.
type bookingBench struct {
	dir      string
	postgres string
	callers  int
	period   time.Duration
	out      *slog.Logger
	report   bookingReport
}

type bookingReport struct {
	Callers int                          `json:"callers"`
	Runs    int                          `json:"runs"`
	Seconds float64                      `json:"seconds"`
	Figures map[string]map[string]spread `json:"figures"` // by back end and figure
	Ratios  map[string]map[string]spread `json:"ratios"`  // to the bare limit

	order  []string
	values map[string]map[string][]float64
}

func bookingCommand(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("booking", flag.ContinueOnError)
	b := &bookingBench{out: slog.New(slog.DiscardHandler)}
	runs := flags.Int("runs", 3, "runs of each, taking turns")
	file := flags.String("json", "", "file to write the figures to")
	flags.IntVar(&b.callers, "callers", 64, "callers, each with the next booking when the one before is answered")
	flags.DurationVar(&b.period, "for", 3*time.Second, "how long each figure is measured")
	flags.StringVar(&b.postgres, "postgres", "", "URL of an empty PostgreSQL database to measure in too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 || b.callers < 1 {
		return errors.New("runs and callers are at least 1")
	}
	if b.dir, err = os.MkdirTemp("", "lodge-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.report = bookingReport{Callers: b.callers, Runs: *runs, Seconds: b.period.Seconds(), order: []string{"sqlite"}, values: map[string]map[string][]float64{}}
	if b.postgres != "" {
		b.report.order = append(b.report.order, "postgres")
	}
	for run := range *runs {
		for _, name := range b.report.order {
			if err := b.measure(ctx, name, run); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return b.report.finish(os.Stdout, *file)
}

// A bookingStore is a back end that is measured: its store, and the bare limits of
// its mechanism.
type bookingStore struct {
	booking.Store
	insert func(ctx context.Context, rows int) error                  // one durable transaction with so many rows
	read   func(ctx context.Context, fill bool) (rows int, err error) // reads 2,000 rows of an index, or makes them
	close  func() error
	server bool // takes rows from many at a time
}

func (b *bookingBench) open(ctx context.Context, name string, run int) (*bookingStore, error) {
	if name == "postgres" {
		db, err := postgres.Open(ctx, b.postgres, postgres.Options{Logger: b.out})
		if err != nil {
			return nil, err
		}
		bare, err := newBarePostgres(ctx, b.postgres, b.callers)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return &bookingStore{postgres.NewBookings(db), bare.insert, bare.read, func() error { return errors.Join(bare.close(ctx), db.Close()) }, true}, nil
	}
	dir := filepath.Join(b.dir, fmt.Sprint(name, run))
	db, err := sqlite.Open(ctx, filepath.Join(dir, "lodge.db"))
	if err != nil {
		return nil, err
	}
	bare, err := newBareSQLite(ctx, filepath.Join(dir, "bare.db"))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &bookingStore{sqlite.NewBookings(db), bare.insert, bare.read, func() error { return errors.Join(bare.close(ctx), db.Close()) }, false}, nil
}

// measure gives a back end its turn, in a tenant of its own.
func (b *bookingBench) measure(ctx context.Context, name string, run int) (err error) {
	store, err := b.open(ctx, name, run)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	if b.report.values[name] == nil {
		b.report.values[name] = map[string][]float64{}
	}
	values := b.report.values[name]
	desk, err := booking.NewDesk(store, booking.Keys{PepperID: "1", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32)},
		lodge.SystemClock{}, booking.Options{Logger: b.out, EffectWait: 30 * time.Second})
	if err != nil {
		return err
	}
	t := &turn{bookingBench: b, desk: desk, store: store, tenant: lodge.Tenant(fmt.Sprint("bench-", time.Now().UnixNano())), note: func(figure string, v float64) {
		values[figure] = append(values[figure], v)
	}}
	for _, step := range []func(context.Context) error{t.apply, t.sequential, t.parallel, t.rig, t.group, t.again} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A turn is one run on one back end.
type turn struct {
	*bookingBench
	desk   *booking.Desk
	store  *bookingStore
	tenant lodge.Tenant
	note   func(figure string, v float64)
	booked atomic.Int64 // so that each booking is of another person and time
}

func (t *turn) apply(ctx context.Context) error {
	return t.desk.Apply(ctx, t.tenant, benchCatalogue())
}

// book makes the next booking: five minutes of one of a hundred experiments.
func (t *turn) book(ctx context.Context) error {
	n := int(t.booked.Add(1)) - 1
	start := benchDay().Add(time.Duration(n/100) * 5 * time.Minute)
	_, _, err := t.desk.Book(ctx, booking.Request{
		Tenant: t.tenant, Person: lodge.PersonID(fmt.Sprint("p", n)), Name: "Søren Ó Briain", Surname: "Ó Briain", Groups: []string{"g00"}, Group: "g00",
		Slot: benchSlot(0, n%100), Start: start, Length: 5 * time.Minute, Key: fmt.Sprint("k", n),
	})
	return err
}

// sequential books one after the other, and inserts bare rows likewise.
func (t *turn) sequential(ctx context.Context) error {
	var took []time.Duration
	for until := time.Now().Add(t.period); time.Now().Before(until); {
		began := time.Now()
		if err := t.book(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	l := latenciesOf(took)
	t.note(figureBookP50, l.P50)
	t.note(figureBookP99, l.P99)
	t.note(figureBookOne, float64(len(took))/t.period.Seconds())
	rows, err := t.repeat(1, func() (int, error) { return 1, t.store.insert(ctx, 1) })
	t.note(limitOne, rows)
	return err
}

// parallel has all callers book, and as many insert bare rows: for a file in the
// groups that would gather while half of them wait.
func (t *turn) parallel(ctx context.Context) error {
	before, err := cpu(os.Getpid())
	if err != nil {
		return err
	}
	bookings, err := t.repeat(t.callers, func() (int, error) { return 1, t.book(ctx) })
	if err != nil {
		return err
	}
	after, err := cpu(os.Getpid())
	if err != nil {
		return err
	}
	t.note(figureBookMany, bookings)
	t.note(figureBookCPU, float64((after-before).Microseconds())/(bookings*t.period.Seconds()))
	group := max(1, t.callers/2)
	lanes := 1
	if t.store.server {
		group, lanes = 1, t.callers
	}
	rows, err := t.repeat(lanes, func() (int, error) { return group, t.store.insert(ctx, group) })
	t.note(limitMany, rows)
	return err
}

// repeat has so many callers do something for the period, and returns how many a
// second came of it.
func (t *turn) repeat(callers int, fn func() (int, error)) (float64, error) {
	var done atomic.Int64
	until := time.Now().Add(t.period)
	err := each(callers, callers, func(int) error {
		for time.Now().Before(until) {
			n, err := fn()
			if err != nil {
				return err
			}
			done.Add(int64(n))
		}
		return nil
	})
	return float64(done.Load()) / t.period.Seconds(), err
}

// rig asks for what is free of one experiment with 2,000 bookings, a day of it
// at a time as pages do, and reads bare rows likewise.
func (t *turn) rig(ctx context.Context) error {
	const bookings = 2000
	first := benchDay().AddDate(0, 0, 60)
	err := each(bookings, 32, func(n int) error {
		_, _, err := t.desk.Book(ctx, booking.Request{
			Tenant: t.tenant, Person: lodge.PersonID(fmt.Sprint("r", n)), Name: "N", Surname: "N", Groups: []string{"rig"}, Group: "rig",
			Slot: "rig", Start: first.Add(time.Duration(n) * 10 * time.Minute), Length: 5 * time.Minute,
		})
		return err
	})
	if err != nil {
		return err
	}
	if _, err := t.store.read(ctx, true); err != nil {
		return err
	}
	const readers = 8
	var mu sync.Mutex
	var all []time.Duration // guarded by mu
	asked, err := t.repeat(readers, func() (int, error) {
		began := time.Now()
		day := first.AddDate(0, 0, rand.IntN(13))
		got, err := t.desk.Availability(ctx, booking.Look{Tenant: t.tenant, Group: "rig", From: day, Until: day.AddDate(0, 0, 1)})
		if err == nil && (len(got.Slots) != 1 || len(got.Slots[0].Free) < 100) {
			err = fmt.Errorf("free are %+v", got)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, time.Since(began))
		return 1, err
	})
	if err != nil {
		return err
	}
	t.note(figureRig, asked)
	t.note(figureRigP99, latenciesOf(all).P99)
	reads, err := t.repeat(readers, func() (int, error) { _, err := t.store.read(ctx, false); return 1, err })
	t.note(limitRig, reads)
	return err
}

// group asks for a whole group in one call.
func (t *turn) group(ctx context.Context) error {
	var took []time.Duration
	for until := time.Now().Add(t.period); time.Now().Before(until); {
		began := time.Now()
		got, err := t.desk.Availability(ctx, booking.Look{Tenant: t.tenant, Group: "wide", From: benchDay(), Until: benchDay().AddDate(0, 0, 1)})
		if err == nil && len(got.Slots) != 71 {
			err = fmt.Errorf("%d slots", len(got.Slots))
		}
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	t.note(figureGroupP50, latenciesOf(took).P50)
	return nil
}

// again plans and applies the whole catalogue anew, changed a little, while all
// those bookings live: none may be touched.
func (t *turn) again(ctx context.Context) error {
	changed := benchCatalogue()
	for name, d := range changed.Descriptions {
		d.Short = "changed"
		changed.Descriptions[name] = d
	}
	began := time.Now()
	plan, err := t.desk.Plan(ctx, t.tenant, booking.Change{Put: changed, Prune: true}, booking.Decision{By: "bench"})
	if err != nil {
		return err
	}
	if len(plan.Touched) > 0 || len(plan.Ops) == 0 {
		return fmt.Errorf("the plan has %d ops and touches %d bookings", len(plan.Ops), len(plan.Touched))
	}
	_, err = t.desk.ApplyChange(ctx, t.tenant, booking.Change{Put: changed, Prune: true}, booking.Decision{By: "bench", Base: &plan.Revision})
	t.note(figureCatalogue, ms(time.Since(began)))
	return err
}

// finish prints the figures and writes them to a file when one was asked for.
func (r *bookingReport) finish(out io.Writer, file string) error {
	r.Figures, r.Ratios = map[string]map[string]spread{}, map[string]map[string]spread{}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "booking: %d callers, %d runs of %g s\n\nback end\tfigure\tmedian (range)\n", r.Callers, r.Runs, r.Seconds)
	for _, name := range r.order {
		r.Figures[name], r.Ratios[name] = map[string]spread{}, map[string]spread{}
		for _, figure := range bookingFigures {
			r.Figures[name][figure] = spreadOf(r.values[name][figure])
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, figure, r.Figures[name][figure].text("%.4g"))
		}
		for figure, bare := range map[string]string{figureBookOne: limitOne, figureBookMany: limitMany, figureRig: limitRig} {
			r.Ratios[name][figure] = ratiosOf(r.values[name][figure], r.values[name][bare])
		}
		for _, figure := range []string{figureBookOne, figureBookMany, figureRig} {
			_, _ = fmt.Fprintf(w, "%s\t%s, to the bare limit\t%s\n", name, strings.SplitN(figure, " of ", 2)[0], r.Ratios[name][figure].text("%.2f"))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(file, r)
}
