package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Persons is the idp.Store in a database.
type Persons struct{ db *DB }

var _ idp.Store = (*Persons)(nil)

// NewPersons returns the persons kept in db.
func NewPersons(db *DB) *Persons { return &Persons{db: db} }

// SignedIn implements idp.Store. Of two first sign-ins that race, on whatever
// nodes, one is run again and finds what the other has made.
func (s *Persons) SignedIn(ctx context.Context, tenant lodge.Tenant, who idp.Identity) (idp.Person, error) {
	if who.Issuer == "" || who.Subject == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A sign-in needs an issuer and a subject.")
	}
	return s.change(ctx, func(tx persons) (idp.Person, error) {
		subject, err := tx.linked(tenant, who.Issuer, who.Subject)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			id := idp.NewPersonID()
			subject.person, subject.counts = id, id
			if err := tx.add(tenant, id, who.Name, who.FamilyName, who.Email, false); err != nil {
				return idp.Person{}, err
			}
			if err := tx.addSubject(tenant, who, id); err != nil {
				return idp.Person{}, err
			}
		case err != nil:
			return idp.Person{}, err
		case subject.disabled:
			return idp.Person{}, errDisabled()
		default:
			if err := tx.exec(`UPDATE persons SET name = coalesce(nullif($1, ''), name),
				family_name = coalesce(nullif($2, ''), family_name), email = coalesce(nullif($3, ''), email)
				WHERE tenant = $4 AND id = $5`, cleaned(who.Name), cleaned(who.FamilyName), cleaned(who.Email), tenant, subject.person); err != nil {
				return idp.Person{}, err
			}
		}
		if err := tx.setGiven(tenant, subject.person, who); err != nil {
			return idp.Person{}, err
		}
		return tx.person(tenant, subject.counts)
	})
}

// Get implements idp.Store.
func (s *Persons) Get(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) ([]idp.Person, error) {
	found, err := s.query(ctx, tenant, selectPersons+` AND p.id = ANY($2)`, tenant, append([]lodge.PersonID{}, ids...))
	if err != nil {
		return nil, err
	}
	byID := make(map[lodge.PersonID]idp.Person, len(found))
	for _, p := range found {
		byID[p.ID] = p
	}
	list := make([]idp.Person, 0, len(found))
	for _, id := range ids {
		if p, ok := byID[id]; ok {
			list = append(list, p)
		}
	}
	return list, nil
}

// Find implements idp.Store.
func (s *Persons) Find(ctx context.Context, tenant lodge.Tenant, issuer, subject string) (idp.Person, error) {
	var p idp.Person
	err := s.view(ctx, func(tx persons) error {
		found, err := tx.linked(tenant, issuer, subject)
		if err != nil {
			return err
		}
		p, err = tx.person(tenant, found.counts)
		return err
	})
	return p, err
}

// Guest implements idp.Store.
func (s *Persons) Guest(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, name, familyName string) (idp.Person, error) {
	if id == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A guest needs an id.")
	}
	return s.change(ctx, func(tx persons) (idp.Person, error) {
		if err := tx.add(tenant, id, name, familyName, "", true); err != nil {
			return idp.Person{}, err
		}
		return tx.person(tenant, id)
	})
}

// InGroup implements idp.Store.
func (s *Persons) InGroup(ctx context.Context, tenant lodge.Tenant, group string) ([]idp.Person, error) {
	list, err := s.query(ctx, tenant, selectPersons+` AND NOT p.disabled AND p.id IN
		(SELECT coalesce(nullif(m.merged_into, ''), m.id) FROM
			(SELECT tenant, person FROM person_groups WHERE tenant = $1 AND group_name = $2
				UNION SELECT tenant, person FROM group_members WHERE tenant = $1 AND group_name = $2) g
			JOIN persons m ON m.tenant = g.tenant AND m.id = g.person)`, tenant, escaped(group))
	slices.SortFunc(list, func(a, b idp.Person) int {
		return cmp.Or(cmp.Compare(a.FamilyName, b.FamilyName), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// List implements idp.Store.
func (s *Persons) List(ctx context.Context, tenant lodge.Tenant, after lodge.PersonID, limit int) ([]idp.Person, error) {
	return s.query(ctx, tenant, selectPersons+` AND p.id > $2 ORDER BY p.id LIMIT $3`, tenant, after, max(limit, 0))
}

// SetDisabled implements idp.Store.
func (s *Persons) SetDisabled(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, disabled bool) error {
	n, err := s.db.exec(ctx, `UPDATE persons SET disabled = $1 WHERE tenant = $2 AND id = $3`, disabled, tenant, id)
	if err == nil && n == 0 {
		err = pgx.ErrNoRows
	}
	return personsError(err)
}

// change runs fn in a transaction that nobody else's comes between.
func (s *Persons) change(ctx context.Context, fn func(tx persons) (idp.Person, error)) (idp.Person, error) {
	var p idp.Person
	err := s.db.Update(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		p, err = fn(persons{ctx, tx})
		return err
	})
	return p, personsError(err)
}

func (s *Persons) view(ctx context.Context, fn func(tx persons) error) error {
	return personsError(s.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(persons{ctx, tx}) }))
}

func (s *Persons) query(ctx context.Context, tenant lodge.Tenant, query string, args ...any) ([]idp.Person, error) {
	var list []idp.Person
	err := s.view(ctx, func(tx persons) (err error) {
		list, err = tx.query(tenant, query, args...)
		return err
	})
	return list, err
}

// personsError gives an error the code that idp.Store promises.
func personsError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*lodge.Error](err); ok {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return lodge.Wrap(lodge.CodeNotFound, "There is no such person.", idp.ErrUnknown)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "22021" { // text that is no UTF-8, or has a zero byte
		return lodge.Wrap(lodge.CodeInvalid, "The id of a person holds characters that are not text.", err)
	}
	return lodge.Wrap(lodge.CodeUnavailable, "The register of persons cannot be reached at the moment. Please try again.", err)
}
