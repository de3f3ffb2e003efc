package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Persons is the idp.Store in a database file.
type Persons struct{ db *DB }

var _ idp.Store = (*Persons)(nil)

// NewPersons returns the persons kept in db.
func NewPersons(db *DB) *Persons { return &Persons{db: db} }

// SignedIn implements idp.Store. Everything happens in one update, and there is
// one writer: of two first sign-ins the second finds what the first has made.
func (s *Persons) SignedIn(ctx context.Context, tenant lodge.Tenant, who idp.Identity) (idp.Person, error) {
	if who.Issuer == "" || who.Subject == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A sign-in needs an issuer and a subject.")
	}
	var p idp.Person
	err := s.db.Update(ctx, func(tx *Tx) error {
		subject, err := linked(tx, tenant, who.Issuer, who.Subject)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			id := idp.NewPersonID()
			subject.person, subject.counts = id, id
			if err := addPerson(tx, tenant, id, who.Name, who.FamilyName, who.Email, false); err != nil {
				return err
			}
			if err := addSubject(tx, tenant, who, id); err != nil {
				return err
			}
		case err != nil:
			return err
		case subject.disabled:
			return errDisabled()
		default:
			if _, err := tx.Exec(`UPDATE persons SET name = coalesce(nullif(?, ''), name),
				family_name = coalesce(nullif(?, ''), family_name), email = coalesce(nullif(?, ''), email)
				WHERE tenant = ? AND id = ?`, who.Name, who.FamilyName, who.Email, tenant, subject.person); err != nil {
				return err
			}
		}
		if err := errors.Join(setGroups(tx, tenant, subject.person, who), setGiven(tx, tenant, who)); err != nil {
			return err
		}
		p, err = person(tx, tenant, subject.counts)
		return err
	})
	return p, personsError(err)
}

func addPerson(tx *Tx, tenant lodge.Tenant, id lodge.PersonID, name, familyName, email string, guest bool) error {
	_, err := tx.Exec(`INSERT INTO persons (tenant, id, name, family_name, email, guest, disabled)
		VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`, tenant, id, name, familyName, email, guest)
	return err
}

// setGroups replaces what this subject brought before.
func setGroups(tx *Tx, tenant lodge.Tenant, id lodge.PersonID, who idp.Identity) error {
	if _, err := tx.Exec(`DELETE FROM person_groups WHERE tenant = ? AND issuer = ? AND subject = ?`,
		tenant, who.Issuer, who.Subject); err != nil {
		return err
	}
	for _, group := range who.Groups {
		if _, err := tx.Exec(`INSERT INTO person_groups (tenant, group_name, person, issuer, subject)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, tenant, group, id, who.Issuer, who.Subject); err != nil {
			return err
		}
	}
	return nil
}

// Get implements idp.Store.
func (s *Persons) Get(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) ([]idp.Person, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("sqlite: persons: %w", err)
	}
	found, err := s.query(ctx, tenant, selectPersons+` AND p.id IN (SELECT value FROM json_each(?))`, tenant, string(list))
	if err != nil {
		return nil, err
	}
	byID := make(map[lodge.PersonID]idp.Person, len(found))
	for _, p := range found {
		byID[p.ID] = p
	}
	persons := make([]idp.Person, 0, len(found))
	for _, id := range ids {
		if p, ok := byID[id]; ok {
			persons = append(persons, p)
		}
	}
	return persons, nil
}

// Find implements idp.Store.
func (s *Persons) Find(ctx context.Context, tenant lodge.Tenant, issuer, subject string) (idp.Person, error) {
	var p idp.Person
	err := s.db.View(ctx, func(tx *Tx) error {
		found, err := linked(tx, tenant, issuer, subject)
		if err != nil {
			return err
		}
		p, err = person(tx, tenant, found.counts)
		return err
	})
	return p, personsError(err)
}

// Guest implements idp.Store.
func (s *Persons) Guest(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, name, familyName string) (idp.Person, error) {
	if id == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A guest needs an id.")
	}
	var p idp.Person
	err := s.db.Update(ctx, func(tx *Tx) error {
		err := addPerson(tx, tenant, id, name, familyName, "", true)
		if err != nil {
			return err
		}
		p, err = person(tx, tenant, id)
		return err
	})
	return p, personsError(err)
}

// InGroup implements idp.Store.
func (s *Persons) InGroup(ctx context.Context, tenant lodge.Tenant, group string) ([]idp.Person, error) {
	persons, err := s.query(ctx, tenant, selectPersons+` AND p.disabled = 0 AND p.id IN
		(SELECT coalesce(nullif(m.merged_into, ''), m.id) FROM
			(SELECT tenant, person FROM person_groups WHERE tenant = ?2 AND group_name = ?3
				UNION SELECT tenant, person FROM group_members WHERE tenant = ?2 AND group_name = ?3) g
			JOIN persons m ON m.tenant = g.tenant AND m.id = g.person)`, tenant, tenant, group)
	slices.SortFunc(persons, func(a, b idp.Person) int {
		return cmp.Or(cmp.Compare(a.FamilyName, b.FamilyName), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return persons, err
}

// List implements idp.Store.
func (s *Persons) List(ctx context.Context, tenant lodge.Tenant, after lodge.PersonID, limit int) ([]idp.Person, error) {
	return s.query(ctx, tenant, selectPersons+` AND p.id > ? ORDER BY p.id LIMIT ?+0`, tenant, after, max(limit, 0))
}

// SetDisabled implements idp.Store.
func (s *Persons) SetDisabled(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, disabled bool) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		result, err := tx.Exec(`UPDATE persons SET disabled = ? WHERE tenant = ? AND id = ?`, disabled, tenant, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, sql.ErrNoRows)
		}
		return nil
	}))
}

// sameAs are the ids that count as p: none where p itself counts as another.
const sameAs = `(SELECT p.id WHERE p.merged_into = '' UNION ALL
	SELECT m.id FROM persons m WHERE m.tenant = p.tenant AND m.merged_into = p.id AND m.merged_into <> '')`

// selectPersons reads whole persons of one tenant; a condition may follow.
const selectPersons = `SELECT p.id, p.name, p.family_name, p.email, p.guest, p.disabled, p.merged_into,
	(SELECT json_group_array(json_object('Issuer', s.issuer, 'Subject', s.subject))
		FROM person_subjects s WHERE s.tenant = p.tenant AND s.person IN ` + sameAs + `),
	(SELECT json_group_array(group_name) FROM (
		SELECT g.group_name FROM person_groups g INDEXED BY person_groups_by_person WHERE g.tenant = p.tenant AND g.person IN ` + sameAs + `
		UNION SELECT g.group_name FROM group_members g INDEXED BY group_members_by_person WHERE g.tenant = p.tenant AND g.person IN ` + sameAs + `)),
	(SELECT json_group_array(json(b.value))
		FROM person_subjects s INDEXED BY person_subjects_by_person, json_each(s.bindings) b WHERE s.tenant = p.tenant AND s.person IN ` + sameAs + `)
	FROM persons p WHERE p.tenant = ?`

func person(tx *Tx, tenant lodge.Tenant, id lodge.PersonID) (idp.Person, error) {
	persons, err := queryPersons(tx, tenant, selectPersons+` AND p.id = ?`, tenant, id)
	if err != nil {
		return idp.Person{}, err
	}
	if len(persons) == 0 {
		return idp.Person{}, sql.ErrNoRows
	}
	return persons[0], nil
}

func (s *Persons) query(ctx context.Context, tenant lodge.Tenant, query string, args ...any) ([]idp.Person, error) {
	var persons []idp.Person
	err := s.db.View(ctx, func(tx *Tx) (err error) {
		persons, err = queryPersons(tx, tenant, query, args...)
		return err
	})
	return persons, personsError(err)
}

func queryPersons(tx *Tx, tenant lodge.Tenant, query string, args ...any) (persons []idp.Person, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		p := idp.Person{Tenant: tenant}
		var subjects, groups, bindings string
		if err := rows.Scan(&p.ID, &p.Name, &p.FamilyName, &p.Email, &p.Guest, &p.Disabled, &p.MergedInto, &subjects, &groups, &bindings); err != nil {
			return nil, err
		}
		if err := errors.Join(
			json.Unmarshal([]byte(subjects), &p.Subjects),
			json.Unmarshal([]byte(groups), &p.Groups),
			json.Unmarshal([]byte(bindings), &p.Bindings),
		); err != nil {
			return nil, err
		}
		slices.Sort(p.Groups)
		p.Bindings = idp.SortBindings(p.Bindings)
		slices.SortFunc(p.Subjects, func(a, b idp.Subject) int {
			return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
		})
		persons = append(persons, p)
	}
	return persons, rows.Err()
}

// personsError gives an error the code that idp.Store promises.
func personsError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*lodge.Error](err); ok {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return lodge.Wrap(lodge.CodeNotFound, "There is no such person.", idp.ErrUnknown)
	}
	return lodge.Wrap(lodge.CodeUnavailable, "The register of persons cannot be reached at the moment. Please try again.", err)
}
