package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// persons is a transaction on the register.
type persons struct {
	ctx context.Context
	tx  pgx.Tx
}

func (p persons) exec(statement string, args ...any) error {
	_, err := p.tx.Exec(p.ctx, statement, args...)
	return err
}

func (p persons) add(tenant lodge.Tenant, id lodge.PersonID, name, familyName, email string, guest bool) error {
	return p.exec(`INSERT INTO persons (tenant, id, name, family_name, email, guest)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, tenant, id, cleaned(name), cleaned(familyName), cleaned(email), guest)
}

func (p persons) addSubject(tenant lodge.Tenant, who idp.Identity, id lodge.PersonID) error {
	return p.exec(`INSERT INTO person_subjects (tenant, issuer, subject, person) VALUES ($1, $2, $3, $4)`,
		tenant, escaped(who.Issuer), escaped(who.Subject), id)
}

// setGiven replaces what this subject brought before: groups, what else its
// sign-in gives, and why.
func (p persons) setGiven(tenant lodge.Tenant, id lodge.PersonID, who idp.Identity) error {
	issuer, subject := escaped(who.Issuer), escaped(who.Subject)
	var batch pgx.Batch
	batch.Queue(`DELETE FROM person_groups WHERE tenant = $1 AND issuer = $2 AND subject = $3`, tenant, issuer, subject)
	batch.Queue(`INSERT INTO person_groups (tenant, group_name, person, issuer, subject)
		SELECT $1, g, $3, $4, $5 FROM unnest($2::text[]) g ON CONFLICT DO NOTHING`,
		tenant, escapedAll(who.Groups), id, issuer, subject)
	batch.Queue(`UPDATE person_subjects SET signed_in_at = $1, bindings = $2, reasons = $3 WHERE tenant = $4 AND issuer = $5 AND subject = $6`,
		moment(who.At), append([]lodge.Binding{}, who.Bindings...), append([]idp.Reason{}, who.Reasons...), // [], not null
		tenant, issuer, subject)
	return p.tx.SendBatch(p.ctx, &batch).Close()
}

// A link is whom a subject belongs to.
type link struct {
	person   lodge.PersonID // to whom it was linked
	counts   lodge.PersonID // whom that person counts as
	disabled bool           // one of the two
}

// linked returns whom a subject belongs to, or pgx.ErrNoRows.
func (p persons) linked(tenant lodge.Tenant, issuer, subject string) (l link, err error) {
	err = p.tx.QueryRow(p.ctx, `SELECT p.id, c.id, p.disabled OR c.disabled FROM person_subjects s
		JOIN persons p ON p.tenant = s.tenant AND p.id = s.person
		JOIN persons c ON c.tenant = p.tenant AND c.id = coalesce(nullif(p.merged_into, ''), p.id)
		WHERE s.tenant = $1 AND s.issuer = $2 AND s.subject = $3`,
		tenant, escaped(issuer), escaped(subject)).Scan(&l.person, &l.counts, &l.disabled)
	return l, err
}

// sameAs are the ids that count as p: none where p itself counts as another.
const sameAs = `(SELECT p.id WHERE p.merged_into = '' UNION ALL
	SELECT m.id FROM persons m WHERE m.tenant = p.tenant AND m.merged_into = p.id AND m.merged_into <> '')`

// selectPersons reads whole persons of one tenant; a condition may follow.
const selectPersons = `SELECT p.id, p.name, p.family_name, p.email, p.guest, p.disabled, p.merged_into,
	(SELECT coalesce(json_agg(json_build_object('Issuer', s.issuer, 'Subject', s.subject)), '[]')
		FROM person_subjects s WHERE s.tenant = p.tenant AND s.person IN ` + sameAs + `),
	(SELECT coalesce(json_agg(g.group_name), '[]') FROM (
		SELECT group_name FROM person_groups WHERE tenant = p.tenant AND person IN ` + sameAs + `
		UNION SELECT group_name FROM group_members WHERE tenant = p.tenant AND person IN ` + sameAs + `) g),
	(SELECT coalesce(json_agg(b), '[]')
		FROM person_subjects s, json_array_elements(s.bindings) b WHERE s.tenant = p.tenant AND s.person IN ` + sameAs + `)
	FROM persons p WHERE p.tenant = $1`

// person returns a whole person, or pgx.ErrNoRows.
func (p persons) person(tenant lodge.Tenant, id lodge.PersonID) (idp.Person, error) {
	list, err := p.query(tenant, selectPersons+` AND p.id = $2`, tenant, id)
	if err == nil && len(list) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return idp.Person{}, err
	}
	return list[0], nil
}

func (p persons) query(tenant lodge.Tenant, query string, args ...any) ([]idp.Person, error) {
	var list []idp.Person
	err := each(p.ctx, p.tx, func(scan scanner) error {
		one := idp.Person{Tenant: tenant}
		if err := scan(&one.ID, &one.Name, &one.FamilyName, &one.Email, &one.Guest, &one.Disabled, &one.MergedInto,
			&one.Subjects, &one.Groups, &one.Bindings); err != nil {
			return err
		}
		for i, subject := range one.Subjects {
			one.Subjects[i] = idp.Subject{Issuer: unescaped(subject.Issuer), Subject: unescaped(subject.Subject)}
		}
		for i, group := range one.Groups {
			one.Groups[i] = unescaped(group)
		}
		slices.Sort(one.Groups)
		one.Bindings = idp.SortBindings(one.Bindings)
		slices.SortFunc(one.Subjects, func(a, b idp.Subject) int {
			return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
		})
		list = append(list, one)
		return nil
	}, query, args...)
	return list, err
}
