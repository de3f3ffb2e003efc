package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Merge implements idp.Merges.
func (s *Persons) Merge(ctx context.Context, m idp.Merge) (idp.Merge, error) {
	asked := m.Into
	_, err := s.change(ctx, func(tx persons) (idp.Person, error) {
		from, err := tx.person(m.Tenant, m.From)
		if err != nil {
			return from, err
		}
		into, err := tx.person(m.Tenant, asked)
		if err == nil && into.MergedInto != "" {
			into, err = tx.person(m.Tenant, into.MergedInto)
		}
		if err != nil {
			return from, err
		}
		switch {
		case from.MergedInto != "":
			return from, errMerged()
		case into.ID == from.ID:
			return from, lodge.Wrap(lodge.CodeRefused, "Both are one person already.", idp.ErrSamePerson)
		case into.Guest && !from.Guest:
			return from, lodge.Wrap(lodge.CodeRefused, "A guest cannot take in somebody who signs in; merge the guest into that person.", idp.ErrIntoGuest)
		case m.Claim && !from.Guest:
			return from, lodge.Wrap(lodge.CodeRefused, "Only a guest can be claimed.", idp.ErrNotGuest)
		case m.Claim && from.Disabled:
			return from, errDisabled()
		}
		m.Into, m.Undone = into.ID, time.Time{}
		if err := tx.exec(`INSERT INTO person_merges (tenant, person, into_person, claim, done_by, done_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			m.Tenant, m.From, m.Into, m.Claim, m.By, moment(m.At)); err != nil {
			return from, err
		}
		return into, tx.exec(`UPDATE persons SET merged_into = $1 WHERE tenant = $2 AND (id = $3 OR merged_into = $3)`, m.Into, m.Tenant, m.From)
	})
	return m, err
}

// Unmerge implements idp.Merges. Everybody whose way leads over the person counts
// as them again.
func (s *Persons) Unmerge(ctx context.Context, tenant lodge.Tenant, from, by lodge.PersonID, at time.Time) (idp.Merge, error) {
	var m idp.Merge
	_, err := s.change(ctx, func(tx persons) (idp.Person, error) {
		p, err := tx.person(tenant, from)
		if err != nil {
			return p, err
		}
		if p.MergedInto == "" {
			return p, lodge.Wrap(lodge.CodeConflict, "This person is not merged into another.", idp.ErrNotMerged)
		}
		// What did not reach the other stores yet is overtaken by this.
		if err := tx.exec(`UPDATE person_merges SET settled = true WHERE tenant = $1 AND person = $2`, tenant, from); err != nil {
			return p, err
		}
		if err := tx.exec(`UPDATE person_merges SET undone_by = $1, undone_at = $2, counted_as = $3, settled = false
			WHERE tenant = $4 AND person = $5 AND undone_at IS NULL`, by, moment(at), p.MergedInto, tenant, from); err != nil {
			return p, err
		}
		if err := tx.exec(`WITH RECURSIVE below (person) AS (
				SELECT $1::text COLLATE "C" UNION
				SELECT m.person FROM person_merges m JOIN below b ON m.into_person = b.person WHERE m.tenant = $2 AND m.undone_at IS NULL)
			UPDATE persons SET merged_into = CASE id WHEN $1 THEN '' ELSE $1 END
			WHERE tenant = $2 AND id IN (SELECT person FROM below)`, from, tenant); err != nil {
			return p, err
		}
		found, err := tx.merges(selectMerges+` WHERE tenant = $1 AND person = $2 ORDER BY seq DESC LIMIT 1`, tenant, from)
		if err == nil && len(found) == 0 {
			err = pgx.ErrNoRows
		}
		if err == nil {
			m = found[0]
		}
		return p, err
	})
	return m, err
}

// Merged implements idp.Merges.
func (s *Persons) Merged(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error) {
	merged := lodge.Merged{}
	err := s.db.each(ctx, func() { clear(merged) }, func(scan scanner) error {
		var from, into lodge.PersonID
		err := scan(&from, &into)
		merged[from] = into
		return err
	}, `SELECT id, merged_into FROM persons WHERE tenant = $1 AND merged_into <> ''`, tenant)
	return merged, personsError(err)
}

// Unsettled implements idp.Merges.
func (s *Persons) Unsettled(ctx context.Context) ([]idp.Merge, error) {
	var all []idp.Merge
	err := s.view(ctx, func(tx persons) (err error) {
		all, err = tx.merges(selectMerges + ` WHERE NOT settled ORDER BY seq`)
		return err
	})
	return all, err
}

// Settled implements idp.Merges.
func (s *Persons) Settled(ctx context.Context, m idp.Merge) error {
	_, err := s.db.exec(ctx, `UPDATE person_merges SET settled = true WHERE tenant = $1 AND person = $2
		AND done_at IS NOT DISTINCT FROM $3 AND undone_at IS NOT DISTINCT FROM $4`, m.Tenant, m.From, moment(m.At), moment(m.Undone))
	return personsError(err)
}

// selectMerges reads merges; of one that was undone, whom the person counted as
// then.
const selectMerges = `SELECT tenant, person, coalesce(nullif(counted_as, ''), into_person), claim, done_by, done_at, undone_at FROM person_merges`

func (p persons) merges(query string, args ...any) ([]idp.Merge, error) {
	var all []idp.Merge
	err := each(p.ctx, p.tx, func(scan scanner) error {
		var m idp.Merge
		err := scan(&m.Tenant, &m.From, &m.Into, &m.Claim, &m.By, (*moment)(&m.At), (*moment)(&m.Undone))
		all = append(all, m)
		return err
	}, query, args...)
	return all, err
}
