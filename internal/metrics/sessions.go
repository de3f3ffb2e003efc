package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// The operations of the session store.
const (
	opCheck   = "check" // one session is read: each use of a code or a cookie
	opRead    = "read"  // several are, by the lease poll and after hints
	opCreate  = "create"
	opUpdate  = "update"
	opList    = "list"
	opCollect = "collect"
	opJournal = "journal"
)

// store is a sessions.Store that is timed.
type store struct {
	sessions.Store
	m    *Metrics
	time map[string]prometheus.Observer // static
	errs map[string]prometheus.Counter  // static
}

// finder is one that finds single sessions by a shorter way.
type finder struct {
	store
	sessions.Finder
}

// Store returns a session store that is timed, and otherwise is the one it is
// given.
func (m *Metrics) Store(s sessions.Store) sessions.Store {
	timed := store{Store: s, m: m, time: map[string]prometheus.Observer{}, errs: map[string]prometheus.Counter{}}
	for _, op := range []string{opCheck, opRead, opCreate, opUpdate, opList, opCollect, opJournal} {
		timed.time[op], timed.errs[op] = m.storeTime.WithLabelValues(op), m.storeErrors.WithLabelValues(op)
	}
	if f, ok := s.(sessions.Finder); ok {
		return finder{timed, f}
	}
	return timed
}

// noted notes one call. What a store answers about a session is no failure of it.
func (s store) noted(op string, begun time.Time, err error) {
	s.time[op].Observe(time.Since(begun).Seconds())
	for _, answer := range []error{nil, sessions.ErrUnknown, sessions.ErrExists, sessions.ErrStale, sessions.ErrRevoked, context.Canceled} {
		if errors.Is(err, answer) {
			return
		}
	}
	s.errs[op].Inc()
}

// Find implements sessions.Finder.
func (f finder) Find(ctx context.Context, tenant lodge.Tenant, id sessions.ID) (*sessions.Session, error) {
	begun := time.Now()
	s, err := f.Finder.Find(ctx, tenant, id)
	f.noted(opCheck, begun, err)
	return s, err
}

// Get implements sessions.Store.
func (s store) Get(ctx context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	begun, op := time.Now(), opRead
	if len(ids) == 1 {
		op = opCheck
	}
	found, err := s.Store.Get(ctx, tenant, ids)
	s.noted(op, begun, err)
	return found, err
}

// Create implements sessions.Store.
func (s store) Create(ctx context.Context, one sessions.Session) error {
	begun := time.Now()
	err := s.Store.Create(ctx, one)
	s.noted(opCreate, begun, err)
	return err
}

// CreateCapped implements sessions.Store.
func (s store) CreateCapped(ctx context.Context, one sessions.Session, c sessions.Cap) ([]sessions.Session, error) {
	begun := time.Now()
	ended, err := s.Store.CreateCapped(ctx, one, c)
	s.noted(opCreate, begun, err)
	return ended, err
}

// Update implements sessions.Store.
func (s store) Update(ctx context.Context, one sessions.Session) error {
	begun := time.Now()
	err := s.Store.Update(ctx, one)
	s.noted(opUpdate, begun, err)
	return err
}

// List implements sessions.Store.
func (s store) List(ctx context.Context, tenant lodge.Tenant, f sessions.Filter) ([]sessions.Session, error) {
	begun := time.Now()
	list, err := s.Store.List(ctx, tenant, f)
	s.noted(opList, begun, err)
	return list, err
}

// Collect implements sessions.Store.
func (s store) Collect(ctx context.Context, before time.Time) (int, error) {
	begun := time.Now()
	n, err := s.Store.Collect(ctx, before)
	s.noted(opCollect, begun, err)
	return n, err
}

// journal is a sessions.Journal that counts.
type journal struct {
	sessions.Journal
	m *Metrics
}

// Journal returns a journal that counts what is revoked, and otherwise is the one
// it is given.
func (m *Metrics) Journal(j sessions.Journal) sessions.Journal { return journal{j, m} }

// Record implements sessions.Journal.
func (j journal) Record(ctx context.Context, rs ...sessions.Revocation) error {
	begun := time.Now()
	err := j.Journal.Record(ctx, rs...)
	j.m.storeTime.WithLabelValues(opJournal).Observe(time.Since(begun).Seconds())
	if err != nil {
		j.m.storeErrors.WithLabelValues(opJournal).Inc()
		return err
	}
	j.m.revocations.Add(float64(len(rs)))
	return nil
}
