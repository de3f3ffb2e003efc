package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

const joinColumns = `tenant, id, group_name, hash, sealed, made_by, created_at, expires_at, use_limit, uses, revoked_at`

func scanJoin(scan func(...any) error) (idp.JoinCode, error) {
	var c idp.JoinCode
	var created, expires, revoked int64
	err := scan(&c.Tenant, &c.ID, &c.Group, &c.Hash, &c.Sealed, &c.By, &created, &expires, &c.Limit, &c.Uses, &revoked)
	c.CreatedAt, c.ExpiresAt, c.RevokedAt = Time(created), Time(expires), Time(revoked)
	return c, err
}

// joinError gives an error the code that idp.JoinStore promises.
func joinError(err error) error {
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, idp.ErrNoJoinCode) {
		return idp.NoJoinCode()
	}
	return personsError(err)
}

// PutJoinCode implements idp.JoinStore.
func (s *Persons) PutJoinCode(ctx context.Context, c idp.JoinCode, replaces string) error {
	return joinError(s.db.Update(ctx, func(tx *Tx) error {
		if replaces != "" {
			done, err := tx.Exec(`UPDATE join_codes SET revoked_at = ? WHERE tenant = ? AND group_name = ? AND id = ? AND revoked_at = 0 AND sealed IS NOT NULL`,
				Micros(c.CreatedAt), c.Tenant, c.Group, replaces)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				return errors.Join(err, idp.ErrNoJoinCode)
			}
		}
		return putJoin(tx, c)
	}))
}

func putJoin(tx *Tx, c idp.JoinCode) error {
	_, err := tx.Exec(`INSERT INTO join_codes (`+joinColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)
		ON CONFLICT (tenant, hash) DO UPDATE SET group_name = excluded.group_name, expires_at = excluded.expires_at, use_limit = excluded.use_limit
			WHERE sealed IS NULL`,
		c.Tenant, c.ID, c.Group, c.Hash, c.Sealed, c.By, Micros(c.CreatedAt), Micros(c.ExpiresAt), c.Limit)
	return err
}

// JoinCodes implements idp.JoinStore.
func (s *Persons) JoinCodes(ctx context.Context, tenant lodge.Tenant, group string) (list []idp.JoinCode, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		return bookingTx{tx}.each(func(scan func(...any) error) error {
			c, err := scanJoin(scan)
			list = append(list, c)
			return err
		}, `SELECT `+joinColumns+` FROM join_codes WHERE tenant = ? AND group_name = ? AND sealed IS NOT NULL ORDER BY created_at DESC, id`, tenant, group)
	})
	return list, joinError(err)
}

// JoinCode implements idp.JoinStore.
func (s *Persons) JoinCode(ctx context.Context, tenant lodge.Tenant, hash []byte) (c idp.JoinCode, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		c, err = joinByHash(tx, tenant, hash)
		return err
	})
	return c, joinError(err)
}

func joinByHash(tx *Tx, tenant lodge.Tenant, hash []byte) (idp.JoinCode, error) {
	return scanJoin(func(dest ...any) error {
		return tx.Get(`SELECT `+joinColumns+` FROM join_codes WHERE tenant = ? AND hash = ?`, []any{tenant, hash}, dest...)
	})
}

// RevokeJoinCode implements idp.JoinStore.
func (s *Persons) RevokeJoinCode(ctx context.Context, tenant lodge.Tenant, group, id string, at time.Time) error {
	return joinError(s.db.Update(ctx, func(tx *Tx) error {
		done, err := tx.Exec(`UPDATE join_codes SET revoked_at = CASE revoked_at WHEN 0 THEN ? ELSE revoked_at END
			WHERE tenant = ? AND group_name = ? AND id = ? AND sealed IS NOT NULL`, Micros(at), tenant, group, id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, idp.ErrNoJoinCode)
		}
		return nil
	}))
}

// Redeem implements idp.JoinStore.
func (s *Persons) Redeem(ctx context.Context, c idp.JoinCode, who lodge.PersonID, at time.Time) (done idp.JoinCode, joined bool, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		if c.ID != "" { // a file's
			if err := putJoin(tx, c); err != nil {
				return err
			}
		}
		if done, err = joinByHash(tx, c.Tenant, c.Hash); err != nil {
			return err
		}
		if !done.RevokedAt.IsZero() || !done.ExpiresAt.IsZero() && !at.Before(done.ExpiresAt) {
			return idp.ErrNoJoinCode
		}
		if joined, err = addMember(tx, done, who, at); err != nil || !joined {
			return err
		}
		if !done.Good(at) { // used up, by others than this person
			return idp.ErrNoJoinCode
		}
		done.Uses++
		_, err = tx.Exec(`UPDATE join_codes SET uses = uses + 1 WHERE tenant = ? AND hash = ?`, c.Tenant, c.Hash)
		return err
	})
	return done, joined && err == nil, joinError(err)
}

func addMember(tx *Tx, c idp.JoinCode, who lodge.PersonID, at time.Time) (bool, error) {
	added, err := tx.Exec(`INSERT INTO group_members (tenant, group_name, person, joined_at, code)
		SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM group_members g JOIN persons m ON m.tenant = g.tenant AND m.id = g.person
			WHERE g.tenant = ?1 AND g.group_name = ?2 AND coalesce(nullif(m.merged_into, ''), m.id) = ?3)`,
		c.Tenant, c.Group, who, Micros(at), c.ID)
	if err != nil {
		return false, err
	}
	n, err := added.RowsAffected()
	return n > 0, err
}

// Leave implements idp.JoinStore.
func (s *Persons) Leave(ctx context.Context, tenant lodge.Tenant, group string, who lodge.PersonID) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		done, err := tx.Exec(`DELETE FROM group_members WHERE tenant = ? AND group_name = ? AND person IN
			(SELECT id FROM persons WHERE tenant = ? AND coalesce(nullif(merged_into, ''), id) = ?)`, tenant, group, tenant, who)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, sql.ErrNoRows)
		}
		return nil
	}))
}

// Members implements idp.JoinStore.
func (s *Persons) Members(ctx context.Context, tenant lodge.Tenant, group string) ([]idp.Membership, error) {
	return s.memberships(ctx, `g.tenant = ? AND g.group_name = ?`, tenant, group)
}

// Joined implements idp.JoinStore.
func (s *Persons) Joined(ctx context.Context, tenant lodge.Tenant, who lodge.PersonID) ([]idp.Membership, error) {
	return s.memberships(ctx, `g.tenant = ? AND coalesce(nullif(m.merged_into, ''), m.id) = ?`, tenant, who)
}

func (s *Persons) memberships(ctx context.Context, where string, args ...any) (list []idp.Membership, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		return bookingTx{tx}.each(func(scan func(...any) error) error {
			var one idp.Membership
			var at int64
			err := scan(&one.Tenant, &one.Group, &one.Person, &at, &one.Code)
			one.At = Time(at)
			list = append(list, one)
			return err
		}, `SELECT g.tenant, g.group_name, coalesce(nullif(m.merged_into, ''), m.id), g.joined_at, g.code
			FROM group_members g JOIN persons m ON m.tenant = g.tenant AND m.id = g.person WHERE `+where+` ORDER BY g.joined_at, g.group_name, g.person`, args...)
	})
	return list, personsError(err)
}
