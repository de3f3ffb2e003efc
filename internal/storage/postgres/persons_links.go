package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Link implements idp.Links.
func (s *Persons) Link(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, who idp.Identity) (idp.Person, error) {
	if who.Issuer == "" || who.Subject == "" {
		return idp.Person{}, lodge.E(lodge.CodeInvalid, "A sign-in needs an issuer and a subject.")
	}
	return s.change(ctx, func(tx persons) (idp.Person, error) {
		p, err := tx.person(tenant, id)
		switch {
		case err != nil:
			return p, err
		case p.Disabled:
			return p, errDisabled()
		case p.MergedInto != "":
			return p, errMerged()
		}
		subject, err := tx.linked(tenant, who.Issuer, who.Subject)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			subject.person = id
			err = tx.addSubject(tenant, who, id)
		case err == nil && subject.counts != id:
			return p, lodge.Wrap(lodge.CodeConflict, "That account signs in somebody else here already. If both are you, ask an administrator to merge the two.", idp.ErrLinked)
		case err == nil && subject.disabled:
			return p, errDisabled()
		}
		if err != nil {
			return p, err
		}
		if err := tx.setGiven(tenant, subject.person, who); err != nil {
			return p, err
		}
		return tx.person(tenant, id)
	})
}

// Unlink implements idp.Links. Its groups and bindings go with the subject.
func (s *Persons) Unlink(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, subject idp.Subject) (idp.Person, error) {
	return s.change(ctx, func(tx persons) (idp.Person, error) {
		owner, err := tx.linked(tenant, subject.Issuer, subject.Subject)
		if err == nil && owner.counts != id {
			err = pgx.ErrNoRows
		}
		if err != nil {
			return idp.Person{}, err
		}
		p, err := tx.person(tenant, id)
		if err != nil {
			return p, err
		}
		if len(p.Subjects) < 2 {
			return p, lodge.Wrap(lodge.CodeRefused, "This is the only account you can sign in with; add another one first.", idp.ErrLastSubject)
		}
		if err := tx.exec(`DELETE FROM person_subjects WHERE tenant = $1 AND issuer = $2 AND subject = $3`,
			tenant, escaped(subject.Issuer), escaped(subject.Subject)); err != nil {
			return p, err
		}
		return tx.person(tenant, id)
	})
}

// SignIns implements idp.Store.
func (s *Persons) SignIns(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) ([]idp.SignIn, error) {
	var all []idp.SignIn
	err := s.view(ctx, func(tx persons) error {
		all = nil
		if _, err := tx.person(tenant, id); err != nil {
			return err
		}
		return each(tx.ctx, tx.tx, func(scan scanner) error {
			var one idp.SignIn
			err := scan(&one.Issuer, &one.Subject.Subject, (*moment)(&one.At), &one.Bindings, &one.Reasons, &one.Groups)
			one.Issuer, one.Subject.Subject = unescaped(one.Issuer), unescaped(one.Subject.Subject)
			for i, group := range one.Groups {
				one.Groups[i] = unescaped(group)
			}
			all = append(all, one)
			return err
		}, `SELECT s.issuer, s.subject, s.signed_in_at, s.bindings, s.reasons,
			(SELECT coalesce(json_agg(g.group_name ORDER BY g.group_name), '[]') FROM person_groups g
				WHERE g.tenant = s.tenant AND g.issuer = s.issuer AND g.subject = s.subject)
			FROM persons p, person_subjects s WHERE p.tenant = $1 AND p.id = $2 AND s.tenant = p.tenant AND s.person IN `+sameAs+`
			ORDER BY s.issuer, s.subject`, tenant, id)
	})
	return all, err
}

func errDisabled() error {
	return lodge.Wrap(lodge.CodeForbidden, "This account has been disabled. Please ask Lodge's administrator.", idp.ErrDisabled)
}

func errMerged() error {
	return lodge.Wrap(lodge.CodeConflict, "This person was merged into another already.", idp.ErrMerged)
}
