package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Merge implements idp.Merges.
func (s *Persons) Merge(ctx context.Context, m idp.Merge) (idp.Merge, error) {
	defer s.db.merged.change()()
	err := s.db.Update(ctx, func(tx *Tx) error {
		from, err := person(tx, m.Tenant, m.From)
		if err != nil {
			return err
		}
		into, err := person(tx, m.Tenant, m.Into)
		if err == nil && into.MergedInto != "" {
			into, err = person(tx, m.Tenant, into.MergedInto)
		}
		if err != nil {
			return err
		}
		switch {
		case from.MergedInto != "":
			return errMerged()
		case into.ID == from.ID:
			return lodge.Wrap(lodge.CodeRefused, "Both are one person already.", idp.ErrSamePerson)
		case into.Guest && !from.Guest:
			return lodge.Wrap(lodge.CodeRefused, "A guest cannot take in somebody who signs in; merge the guest into that person.", idp.ErrIntoGuest)
		case m.Claim && !from.Guest:
			return lodge.Wrap(lodge.CodeRefused, "Only a guest can be claimed.", idp.ErrNotGuest)
		case m.Claim && from.Disabled:
			return errDisabled()
		}
		m.Into, m.Undone = into.ID, time.Time{}
		if _, err := tx.Exec(`INSERT INTO person_merges (tenant, person, into_person, claim, done_by, done_at) VALUES (?, ?, ?, ?, ?, ?)`,
			m.Tenant, m.From, m.Into, m.Claim, m.By, Micros(m.At)); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE persons SET merged_into = ? WHERE tenant = ? AND (id = ? OR merged_into = ?)`, m.Into, m.Tenant, m.From, m.From)
		return err
	})
	return m, personsError(err)
}

// Unmerge implements idp.Merges. Everybody whose way leads over the person counts
// as them again.
func (s *Persons) Unmerge(ctx context.Context, tenant lodge.Tenant, from, by lodge.PersonID, at time.Time) (idp.Merge, error) {
	defer s.db.merged.change()()
	var m idp.Merge
	err := s.db.Update(ctx, func(tx *Tx) error {
		p, err := person(tx, tenant, from)
		if err != nil {
			return err
		}
		if p.MergedInto == "" {
			return lodge.Wrap(lodge.CodeConflict, "This person is not merged into another.", idp.ErrNotMerged)
		}
		// What did not reach the other stores yet is overtaken by this.
		if _, err := tx.Exec(`UPDATE person_merges SET settled = 1 WHERE tenant = ? AND person = ?`, tenant, from); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE person_merges SET undone_by = ?, undone_at = ?, counted_as = ?, settled = 0
			WHERE tenant = ? AND person = ? AND undone_at = 0`, by, Micros(at), p.MergedInto, tenant, from); err != nil {
			return err
		}
		if _, err := tx.Exec(`WITH RECURSIVE below (person) AS (
				SELECT ? UNION
				SELECT m.person FROM person_merges m JOIN below b ON m.into_person = b.person WHERE m.tenant = ? AND m.undone_at = 0)
			UPDATE persons SET merged_into = CASE id WHEN ? THEN '' ELSE ? END
			WHERE tenant = ? AND id IN (SELECT person FROM below)`, from, tenant, from, from, tenant); err != nil {
			return err
		}
		found, err := merges(tx, selectMerges+` WHERE tenant = ? AND person = ? ORDER BY seq DESC LIMIT 1`, tenant, from)
		if err == nil && len(found) == 0 {
			err = sql.ErrNoRows
		}
		if err == nil {
			m = found[0]
		}
		return err
	})
	return m, personsError(err)
}

// Merged implements idp.Merges. The file is this process' alone (Open locks it),
// so what was read holds until a merge of its own.
func (s *Persons) Merged(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error) {
	merged, round, known := s.db.merged.get(tenant)
	if known {
		return maps.Clone(merged), nil
	}
	merged = lodge.Merged{}
	err := s.db.View(ctx, func(tx *Tx) (err error) {
		rows, err := tx.Query(`SELECT id, merged_into FROM persons WHERE tenant = ? AND merged_into <> ''`, tenant)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var from, into lodge.PersonID
			if err := rows.Scan(&from, &into); err != nil {
				return err
			}
			merged[from] = into
		}
		return rows.Err()
	})
	if err != nil {
		return nil, personsError(err)
	}
	s.db.merged.put(tenant, round, merged)
	return maps.Clone(merged), nil
}

// A mergedCache is who counts as whom in each tenant. It is empty while that is
// being changed: what was committed is seen by others before the change returns,
// and they may rely on all of it.
type mergedCache struct {
	mu       sync.RWMutex
	round    int                           // of changes, begun and ended; guarded by mu
	changing int                           // how many are under way; guarded by mu
	known    map[lodge.Tenant]lodge.Merged // its maps never change; guarded by mu
}

func (c *mergedCache) get(tenant lodge.Tenant) (merged lodge.Merged, round int, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	merged, known = c.known[tenant]
	return merged, c.round, known
}

// put keeps what was read in a round, unless that is over or a change is under way.
func (c *mergedCache) put(tenant lodge.Tenant, round int, merged lodge.Merged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if round != c.round || c.changing > 0 {
		return
	}
	if c.known == nil {
		c.known = make(map[lodge.Tenant]lodge.Merged)
	}
	c.known[tenant] = merged
}

// change empties the cache until done is called.
func (c *mergedCache) change() (done func()) {
	step := func(by int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.round++
		c.changing += by
		c.known = nil
	}
	step(1)
	return func() { step(-1) }
}

// Unsettled implements idp.Merges.
func (s *Persons) Unsettled(ctx context.Context) ([]idp.Merge, error) {
	var all []idp.Merge
	err := s.db.View(ctx, func(tx *Tx) (err error) {
		all, err = merges(tx, selectMerges+` WHERE settled = 0 ORDER BY seq`)
		return err
	})
	return all, personsError(err)
}

// Settled implements idp.Merges.
func (s *Persons) Settled(ctx context.Context, m idp.Merge) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`UPDATE person_merges SET settled = 1 WHERE tenant = ? AND person = ? AND done_at = ? AND undone_at = ?`,
			m.Tenant, m.From, Micros(m.At), Micros(m.Undone))
		return err
	}))
}

// selectMerges reads merges; of one that was undone, whom the person counted as
// then.
const selectMerges = `SELECT tenant, person, coalesce(nullif(counted_as, ''), into_person), claim, done_by, done_at, undone_at FROM person_merges`

func merges(tx *Tx, query string, args ...any) (all []idp.Merge, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m idp.Merge
		var done, undone int64
		if err := rows.Scan(&m.Tenant, &m.From, &m.Into, &m.Claim, &m.By, &done, &undone); err != nil {
			return nil, err
		}
		m.At, m.Undone = Time(done), Time(undone)
		all = append(all, m)
	}
	return all, rows.Err()
}
