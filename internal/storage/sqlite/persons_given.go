package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// setGiven writes down what a sign-in gave beside groups, and why.
func setGiven(tx *Tx, tenant lodge.Tenant, who idp.Identity) error {
	bindings, err := json.Marshal(append([]lodge.Binding{}, who.Bindings...)) // [], not null
	if err != nil {
		return fmt.Errorf("sqlite: persons: %w", err)
	}
	reasons, err := json.Marshal(append([]idp.Reason{}, who.Reasons...))
	if err != nil {
		return fmt.Errorf("sqlite: persons: %w", err)
	}
	_, err = tx.Exec(`UPDATE person_subjects SET signed_in_at = ?, bindings = ?, reasons = ?
		WHERE tenant = ? AND issuer = ? AND subject = ?`,
		Micros(who.At), string(bindings), string(reasons), tenant, who.Issuer, who.Subject)
	return err
}

// SignIns implements idp.Store.
func (s *Persons) SignIns(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) ([]idp.SignIn, error) {
	var all []idp.SignIn
	err := s.db.View(ctx, func(tx *Tx) (err error) {
		if _, err := person(tx, tenant, id); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT s.issuer, s.subject, s.signed_in_at, s.bindings, s.reasons,
			(SELECT json_group_array(g.group_name ORDER BY g.group_name) FROM person_groups g
				WHERE g.tenant = s.tenant AND g.issuer = s.issuer AND g.subject = s.subject)
			FROM persons p, person_subjects s WHERE p.tenant = ? AND p.id = ? AND s.tenant = p.tenant AND s.person IN `+sameAs+`
			ORDER BY s.issuer, s.subject`, tenant, id)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var one idp.SignIn
			var at int64
			var bindings, reasons, groups string
			if err := rows.Scan(&one.Issuer, &one.Subject.Subject, &at, &bindings, &reasons, &groups); err != nil {
				return err
			}
			one.At = Time(at)
			if err := errors.Join(
				json.Unmarshal([]byte(bindings), &one.Bindings),
				json.Unmarshal([]byte(reasons), &one.Reasons),
				json.Unmarshal([]byte(groups), &one.Groups),
			); err != nil {
				return err
			}
			all = append(all, one)
		}
		return rows.Err()
	})
	return all, personsError(err)
}
