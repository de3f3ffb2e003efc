// Package sessionstest holds what every session store must pass, and a store in
// memory for tests of what is built on one.
package sessionstest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// Memory is a sessions.Store and, through Journal, a sessions.Journal for tests.
// It keeps records as real stores do, so that nothing is shared with a caller.
type Memory struct {
	mu      sync.Mutex
	records map[name][]byte              // guarded by mu
	journal map[name]sessions.Revocation // guarded by mu
	broken  error                        // guarded by mu: what every call of the store returns
	gets    int                          // guarded by mu
	updates int                          // guarded by mu
}

type name struct {
	tenant lodge.Tenant
	id     sessions.ID
}

var _ sessions.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{records: map[name][]byte{}, journal: map[name]sessions.Revocation{}}
}

// Break makes every call of the store fail with err from now on; nil mends it.
// The journal goes on working.
func (m *Memory) Break(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

// Calls returns how many reads and how many changes the store has answered.
func (m *Memory) Calls() (gets, updates int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets, m.updates
}

// Put stores a session as it is, without a look at what was there: what a store
// that lost its last writes does.
func (m *Memory) Put(s sessions.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[name{s.Tenant, s.ID}] = sessions.AppendRecord(nil, &s)
}

// get parses the record of a name. m.mu is held.
func (m *Memory) get(n name) (sessions.Session, bool) {
	record, ok := m.records[n]
	if !ok {
		return sessions.Session{}, false
	}
	s, err := sessions.ParseRecord(record)
	if err != nil {
		panic(err) // written by AppendRecord here
	}
	return s, true
}

// Create implements sessions.Store.
func (m *Memory) Create(_ context.Context, s sessions.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	n := name{s.Tenant, s.ID}
	if _, taken := m.records[n]; taken {
		return sessions.ErrExists
	}
	m.updates++
	m.records[n] = sessions.AppendRecord(nil, &s)
	return nil
}

// CreateCapped implements sessions.Store.
func (m *Memory) CreateCapped(_ context.Context, s sessions.Session, c sessions.Cap) ([]sessions.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	if _, taken := m.records[name{s.Tenant, s.ID}]; taken {
		return nil, sessions.ErrExists
	}
	var list []sessions.Session
	for n := range m.records {
		if other, _ := m.get(n); n.tenant == s.Tenant && other.Person == s.Person && other.Kind == s.Kind {
			list = append(list, other)
		}
	}
	ended := c.Surplus(list)
	for i := range ended {
		c.Revoke(&ended[i])
		ended[i].Version++
		m.records[name{s.Tenant, ended[i].ID}] = sessions.AppendRecord(nil, &ended[i])
	}
	m.updates++
	m.records[name{s.Tenant, s.ID}] = sessions.AppendRecord(nil, &s)
	return ended, nil
}

// Get implements sessions.Store.
func (m *Memory) Get(_ context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	m.gets++
	found := map[sessions.ID]sessions.Session{}
	for _, id := range ids {
		if s, ok := m.get(name{tenant, id}); ok {
			found[id] = s
		}
	}
	return found, nil
}

// Update implements sessions.Store.
func (m *Memory) Update(_ context.Context, s sessions.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	n := name{s.Tenant, s.ID}
	stored, ok := m.get(n)
	switch {
	case !ok:
		return sessions.ErrUnknown
	case !stored.RevokedAt.IsZero() && s.RevokedAt.IsZero():
		return sessions.ErrRevoked
	case stored.Version != s.Version:
		return sessions.ErrStale
	}
	m.updates++
	s.Version++
	m.records[n] = sessions.AppendRecord(nil, &s)
	return nil
}

// List implements sessions.Store.
func (m *Memory) List(_ context.Context, tenant lodge.Tenant, f sessions.Filter) ([]sessions.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	var list []sessions.Session
	for n := range m.records {
		if s, _ := m.get(n); n.tenant == tenant && n.id > f.After && f.Matches(&s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b sessions.Session) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if f.Limit > 0 && len(list) > f.Limit {
		list = list[:f.Limit]
	}
	return list, nil
}

// Collect implements sessions.Store.
func (m *Memory) Collect(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return 0, m.broken
	}
	removed := 0
	for n := range m.records {
		if s, _ := m.get(n); s.End().Before(before) {
			delete(m.records, n)
			removed++
		}
	}
	return removed, nil
}

// Ping implements sessions.Store.
func (m *Memory) Ping(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// Journal returns the journal of the store.
func (m *Memory) Journal() sessions.Journal { return memoryJournal{m} }

type memoryJournal struct{ *Memory }

// Record implements sessions.Journal.
func (j memoryJournal) Record(_ context.Context, rs ...sessions.Revocation) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range rs {
		n := name{r.Tenant, r.ID}
		if old, ok := j.journal[n]; ok {
			if !r.At.Before(old.At) {
				r.At, r.Reason = old.At, old.Reason
			}
			if old.MessagesUntil.Before(r.MessagesUntil) {
				r.MessagesUntil = old.MessagesUntil
			}
			if old.End.After(r.End) {
				r.End = old.End
			}
		}
		j.journal[n] = r
	}
	return nil
}

// Standing implements sessions.Journal.
func (j memoryJournal) Standing(_ context.Context, tenant lodge.Tenant, at time.Time) ([]sessions.Revocation, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []sessions.Revocation
	for _, r := range j.journal {
		if (tenant == "" || r.Tenant == tenant) && !r.End.Before(at) {
			list = append(list, r)
		}
	}
	return list, nil
}

// Collect implements sessions.Journal.
func (j memoryJournal) Collect(_ context.Context, before time.Time) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	removed := 0
	for n, r := range j.journal {
		if r.End.Before(before) {
			delete(j.journal, n)
			removed++
		}
	}
	return removed, nil
}
