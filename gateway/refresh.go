package gateway

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// refreshHold is how long a grant that was taken up is left to its node, and
	// how long after a failure, or without activity, it is looked at again.
	refreshHold = time.Minute
	// refreshBatch is how many grants are taken up at once, refreshWidth how many
	// issuers' answers are waited for side by side.
	refreshBatch = 64
	refreshWidth = 4
)

// refresher asks issuers again about the people who are signed in, so that a group
// or a role that the institution takes away is gone here too. It works behind the
// requests, and for logins in use only.
type refresher struct{ *Gateway }

// keep notes what an issuer lets us ask again with.
func (r refresher) keep(ctx context.Context, s sessions.Session, grant *idp.Grant) {
	if r.grants == nil || grant == nil {
		return
	}
	now := r.clock.Now()
	k := idp.KeptGrant{Tenant: s.Tenant, Session: string(s.ID), Issuer: s.Issuer, Checked: now, Due: now.Add(r.cfg.RefreshEvery)}
	if err := r.grants.Keep(ctx, k, *grant); err != nil {
		r.log.WarnContext(ctx, "grant not kept; claims stay as they are until the next sign-in", "err", err)
	}
}

// Run takes up what is due until ctx ends.
func (r refresher) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.RefreshPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.round(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "refresh", "err", err)
		}
	}
}

// round takes up everything that is due now.
func (r refresher) round(ctx context.Context) error {
	for {
		now := r.clock.Now()
		due, err := r.grants.DueGrants(ctx, now, now.Add(refreshHold), refreshBatch)
		if err != nil {
			return err
		}
		var group errgroup.Group
		group.SetLimit(refreshWidth)
		for _, k := range due {
			group.Go(func() error {
				if err := r.one(ctx, k); err != nil && ctx.Err() == nil {
					r.log.WarnContext(ctx, "claims not refreshed; trying again", "issuer", k.Issuer, "session", k.Session, "err", err)
				}
				return nil
			})
		}
		_ = group.Wait() // no one's failure is another's
		if len(due) < refreshBatch || ctx.Err() != nil {
			return nil
		}
	}
}

// one asks about one login. A login that is over is forgotten; one that was not
// used since it was last asked about is left until it is.
func (r refresher) one(ctx context.Context, k idp.KeptGrant) error {
	s, err := r.sessions.Get(ctx, k.Tenant, sessions.ID(k.Session))
	switch {
	case lodge.CodeOf(err) == lodge.CodeNotFound || err == nil && s.State(r.clock.Now()) != sessions.Active:
		return r.grants.DropGrant(ctx, k.Tenant, k.Session)
	case err != nil:
		return err
	case !s.SeenAt.After(k.Checked):
		return nil
	}
	grant, err := r.grants.Open(k)
	if err != nil {
		return errors.Join(err, r.grants.DropGrant(ctx, k.Tenant, k.Session))
	}
	asked := r.clock.Now()
	who, err := r.idp.Refresh(ctx, k.Issuer, grant)
	if errors.Is(err, idp.ErrGrantOver) {
		return r.over(ctx, k)
	}
	if who.Grant != nil {
		// At once: the old one may be spent, and what follows may fail.
		k.Due = asked.Add(refreshHold)
		err = errors.Join(err, r.grants.Keep(context.WithoutCancel(ctx), k, *who.Grant))
	}
	if err != nil {
		return err
	}
	if err := r.follow(ctx, s, who); err != nil {
		return err
	}
	k.Checked, k.Due = asked, asked.Add(r.cfg.RefreshEvery)
	return r.grants.Keep(ctx, k, *who.Grant)
}

// over ends a login that the issuer has ended.
func (r refresher) over(ctx context.Context, k idp.KeptGrant) error {
	err := r.sessions.Revoke(ctx, k.Tenant, sessions.ID(k.Session), "Your institution ended your sign-in.")
	if err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
		return err
	}
	if err == nil {
		r.record(ctx, k.Tenant, "issuer:"+k.Issuer, audit.IssuerSignOut, "session:"+k.Session, "the issuer ended the sign-in")
	}
	r.log.InfoContext(ctx, "ended by the issuer", "tenant", k.Tenant, "issuer", k.Issuer, "session", k.Session)
	return r.grants.DropGrant(ctx, k.Tenant, k.Session)
}

// follow brings what the issuer says now to all logins of the person.
func (r refresher) follow(ctx context.Context, s sessions.Session, who idp.Identity) error {
	who, err := r.noteClaims(ctx, s.Tenant, who)
	if err != nil {
		return err
	}
	person, err := r.persons.SignedIn(ctx, s.Tenant, who)
	if errors.Is(err, idp.ErrDisabled) {
		n, err := r.sessions.RevokePerson(ctx, s.Tenant, s.Person, errBarred().Safe)
		r.recordEnded(withIssuer(ctx, s.Issuer), s.Tenant, "person:"+string(s.Person), n, "the account is disabled", err)
		return err
	}
	if err != nil {
		return err
	}
	bindings, err := r.bindings(ctx, person)
	if err != nil {
		return err
	}
	if err := r.sessions.Refresh(ctx, s.Tenant, person.ID, person.Groups, bindings); err != nil {
		return err
	}
	before, now := rights(s), rights(sessions.Session{Groups: person.Groups, Bindings: bindings})
	r.recordRoleChange(ctx, s.Tenant, "issuer:"+s.Issuer, person.ID, before, now)
	if before == now {
		return nil
	}
	cat, err := r.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	return r.endTests(ctx, s.Tenant, cat)
}
