package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Link implements idp.Links.
func (s *Persons) Link(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, who idp.Identity) (idp.Person, error) {
	if who.Issuer == "" || who.Subject == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A sign-in needs an issuer and a subject.")
	}
	var p idp.Person
	err := s.db.Update(ctx, func(tx *Tx) (err error) {
		if p, err = person(tx, tenant, id); err != nil {
			return err
		}
		switch {
		case p.Disabled:
			return errDisabled()
		case p.MergedInto != "":
			return errMerged()
		}
		subject, err := linked(tx, tenant, who.Issuer, who.Subject)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			subject.person = id
			err = addSubject(tx, tenant, who, id)
		case err == nil && subject.counts != id:
			return lodge.Wrap(lodge.CodeConflict, "That account signs in somebody else here already. If both are you, ask an administrator to merge the two.", idp.ErrLinked)
		case err == nil && subject.disabled:
			return errDisabled()
		}
		if err != nil {
			return err
		}
		if err := errors.Join(setGroups(tx, tenant, subject.person, who), setGiven(tx, tenant, who)); err != nil {
			return err
		}
		p, err = person(tx, tenant, id)
		return err
	})
	return p, personsError(err)
}

// Unlink implements idp.Links. Its groups and bindings go with the subject.
func (s *Persons) Unlink(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, subject idp.Subject) (idp.Person, error) {
	var p idp.Person
	err := s.db.Update(ctx, func(tx *Tx) error {
		owner, err := linked(tx, tenant, subject.Issuer, subject.Subject)
		if err != nil {
			return err
		}
		if owner.counts != id {
			return sql.ErrNoRows
		}
		if p, err = person(tx, tenant, id); err != nil {
			return err
		}
		if len(p.Subjects) < 2 {
			return lodge.Wrap(lodge.CodeRefused, "This is the only account you can sign in with; add another one first.", idp.ErrLastSubject)
		}
		if _, err := tx.Exec(`DELETE FROM person_subjects WHERE tenant = ? AND issuer = ? AND subject = ?`,
			tenant, subject.Issuer, subject.Subject); err != nil {
			return err
		}
		p, err = person(tx, tenant, id)
		return err
	})
	return p, personsError(err)
}

// A link is whom a subject belongs to.
type link struct {
	person   lodge.PersonID // to whom it was linked
	counts   lodge.PersonID // whom that person counts as
	disabled bool           // one of the two
}

// linked returns whom a subject belongs to, or sql.ErrNoRows.
func linked(tx *Tx, tenant lodge.Tenant, issuer, subject string) (l link, err error) {
	err = tx.Get(`SELECT p.id, c.id, p.disabled OR c.disabled FROM person_subjects s
		JOIN persons p ON p.tenant = s.tenant AND p.id = s.person
		JOIN persons c ON c.tenant = p.tenant AND c.id = coalesce(nullif(p.merged_into, ''), p.id)
		WHERE s.tenant = ? AND s.issuer = ? AND s.subject = ?`,
		[]any{tenant, issuer, subject}, &l.person, &l.counts, &l.disabled)
	return l, err
}

func addSubject(tx *Tx, tenant lodge.Tenant, who idp.Identity, id lodge.PersonID) error {
	_, err := tx.Exec(`INSERT INTO person_subjects (tenant, issuer, subject, person) VALUES (?, ?, ?, ?)`,
		tenant, who.Issuer, who.Subject, id)
	return err
}

func errDisabled() error {
	return lodge.Wrap(lodge.CodeForbidden, "This account has been disabled. Please ask Lodge's administrator.", idp.ErrDisabled)
}

func errMerged() error {
	return lodge.Wrap(lodge.CodeConflict, "This person was merged into another already.", idp.ErrMerged)
}
