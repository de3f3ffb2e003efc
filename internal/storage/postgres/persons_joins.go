package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

const joinColumns = `tenant, id, group_name, hash, sealed, made_by, created_at, expires_at, use_limit, uses, revoked_at`

func scanJoin(scan scanner) (idp.JoinCode, error) {
	var c idp.JoinCode
	err := scan(&c.Tenant, &c.ID, &c.Group, &c.Hash, &c.Sealed, &c.By, (*moment)(&c.CreatedAt), (*moment)(&c.ExpiresAt), &c.Limit, &c.Uses, (*moment)(&c.RevokedAt))
	c.Group = unescaped(c.Group)
	return c, err
}

// joinError gives an error the code that idp.JoinStore promises.
func joinError(err error) error {
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, idp.ErrNoJoinCode) {
		return idp.NoJoinCode()
	}
	return personsError(err)
}

// joins runs fn in a transaction on join codes that nobody else's comes between.
func (s *Persons) joins(ctx context.Context, fn func(tx persons) error) error {
	return joinError(s.db.Update(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(persons{ctx, tx}) }))
}

// changed runs a statement, and returns none when it changed nothing.
func (p persons) changed(none error, statement string, args ...any) error {
	done, err := p.tx.Exec(p.ctx, statement, args...)
	if err == nil && done.RowsAffected() == 0 {
		err = none
	}
	return err
}

// PutJoinCode implements idp.JoinStore.
func (s *Persons) PutJoinCode(ctx context.Context, c idp.JoinCode, replaces string) error {
	return s.joins(ctx, func(tx persons) error {
		if replaces != "" {
			err := tx.changed(idp.ErrNoJoinCode, `UPDATE join_codes SET revoked_at = $1 WHERE tenant = $2 AND group_name = $3 AND id = $4 AND revoked_at IS NULL AND sealed IS NOT NULL`,
				moment(c.CreatedAt), c.Tenant, escaped(c.Group), replaces)
			if err != nil {
				return err
			}
		}
		return tx.putJoin(c)
	})
}

func (p persons) putJoin(c idp.JoinCode) error {
	return p.exec(`INSERT INTO join_codes AS j (`+joinColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, NULL)
		ON CONFLICT (tenant, hash) DO UPDATE SET group_name = excluded.group_name, expires_at = excluded.expires_at, use_limit = excluded.use_limit
			WHERE j.sealed IS NULL`,
		c.Tenant, c.ID, escaped(c.Group), c.Hash, c.Sealed, c.By, moment(c.CreatedAt), moment(c.ExpiresAt), c.Limit)
}

// JoinCodes implements idp.JoinStore.
func (s *Persons) JoinCodes(ctx context.Context, tenant lodge.Tenant, group string) (list []idp.JoinCode, err error) {
	err = s.db.each(ctx, func() { list = nil }, func(scan scanner) error {
		c, err := scanJoin(scan)
		list = append(list, c)
		return err
	}, `SELECT `+joinColumns+` FROM join_codes WHERE tenant = $1 AND group_name = $2 AND sealed IS NOT NULL ORDER BY created_at DESC, id`, tenant, escaped(group))
	return list, joinError(err)
}

// JoinCode implements idp.JoinStore.
func (s *Persons) JoinCode(ctx context.Context, tenant lodge.Tenant, hash []byte) (c idp.JoinCode, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		c, err = persons{ctx, tx}.joinByHash(tenant, hash)
		return err
	})
	return c, joinError(err)
}

func (p persons) joinByHash(tenant lodge.Tenant, hash []byte) (idp.JoinCode, error) {
	return scanJoin(p.tx.QueryRow(p.ctx, `SELECT `+joinColumns+` FROM join_codes WHERE tenant = $1 AND hash = $2`, tenant, hash).Scan)
}

// RevokeJoinCode implements idp.JoinStore.
func (s *Persons) RevokeJoinCode(ctx context.Context, tenant lodge.Tenant, group, id string, at time.Time) error {
	return s.joins(ctx, func(tx persons) error {
		return tx.changed(idp.ErrNoJoinCode, `UPDATE join_codes SET revoked_at = coalesce(revoked_at, $1)
			WHERE tenant = $2 AND group_name = $3 AND id = $4 AND sealed IS NOT NULL`, moment(at), tenant, escaped(group), escaped(id))
	})
}

// Redeem implements idp.JoinStore.
func (s *Persons) Redeem(ctx context.Context, c idp.JoinCode, who lodge.PersonID, at time.Time) (done idp.JoinCode, joined bool, err error) {
	err = s.joins(ctx, func(tx persons) error {
		if c.ID != "" { // a file's
			if err := tx.putJoin(c); err != nil {
				return err
			}
		}
		if done, err = tx.joinByHash(c.Tenant, c.Hash); err != nil {
			return err
		}
		if !done.RevokedAt.IsZero() || !done.ExpiresAt.IsZero() && !at.Before(done.ExpiresAt) {
			return idp.ErrNoJoinCode
		}
		if joined, err = tx.addMember(done, who, at); err != nil || !joined {
			return err
		}
		if !done.Good(at) { // used up, by others than this person
			return idp.ErrNoJoinCode
		}
		done.Uses++
		return tx.exec(`UPDATE join_codes SET uses = uses + 1 WHERE tenant = $1 AND hash = $2`, c.Tenant, c.Hash)
	})
	return done, joined && err == nil, err
}

func (p persons) addMember(c idp.JoinCode, who lodge.PersonID, at time.Time) (bool, error) {
	err := p.changed(errNone, `INSERT INTO group_members (tenant, group_name, person, joined_at, code)
		SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM group_members g JOIN persons m ON m.tenant = g.tenant AND m.id = g.person
			WHERE g.tenant = $1 AND g.group_name = $2 AND coalesce(nullif(m.merged_into, ''), m.id) = $3)`,
		c.Tenant, escaped(c.Group), who, moment(at), c.ID)
	if errors.Is(err, errNone) {
		return false, nil
	}
	return err == nil, err
}

// errNone means that a statement changed nothing, where that is no fault.
var errNone = errors.New("postgres: nothing changed")

// Leave implements idp.JoinStore.
func (s *Persons) Leave(ctx context.Context, tenant lodge.Tenant, group string, who lodge.PersonID) error {
	return personsError(s.db.Update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return persons{ctx, tx}.changed(pgx.ErrNoRows, `DELETE FROM group_members WHERE tenant = $1 AND group_name = $2 AND person IN
			(SELECT id FROM persons WHERE tenant = $1 AND coalesce(nullif(merged_into, ''), id) = $3)`, tenant, escaped(group), who)
	}))
}

// Members implements idp.JoinStore.
func (s *Persons) Members(ctx context.Context, tenant lodge.Tenant, group string) ([]idp.Membership, error) {
	return s.memberships(ctx, `g.tenant = $1 AND g.group_name = $2`, tenant, escaped(group))
}

// Joined implements idp.JoinStore.
func (s *Persons) Joined(ctx context.Context, tenant lodge.Tenant, who lodge.PersonID) ([]idp.Membership, error) {
	return s.memberships(ctx, `g.tenant = $1 AND coalesce(nullif(m.merged_into, ''), m.id) = $2`, tenant, who)
}

func (s *Persons) memberships(ctx context.Context, where string, args ...any) (list []idp.Membership, err error) {
	err = s.db.each(ctx, func() { list = nil }, func(scan scanner) error {
		var one idp.Membership
		err := scan(&one.Tenant, &one.Group, &one.Person, (*moment)(&one.At), &one.Code)
		one.Group = unescaped(one.Group)
		list = append(list, one)
		return err
	}, `SELECT g.tenant, g.group_name, coalesce(nullif(m.merged_into, ''), m.id), g.joined_at, g.code
		FROM group_members g JOIN persons m ON m.tenant = g.tenant AND m.id = g.person WHERE `+where+` ORDER BY g.joined_at, g.group_name, g.person`, args...)
	return list, personsError(err)
}
