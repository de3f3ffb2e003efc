package gateway

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

// registrar opens and closes registers whose time has come and tells their groups.
type registrar struct{ *Gateway }

// Run does what is due until ctx ends.
func (g registrar) Run(ctx context.Context) error {
	return dues{g.Gateway, "registers", g.register.Changed, g.round}.Run(ctx)
}

// round does what is due, and says when there is more to do.
func (g registrar) round(ctx context.Context, tenant lodge.Tenant) (ahead, error) {
	due, err := g.register.Due(ctx, tenant)
	if err != nil {
		return ahead{}, err
	}
	for _, planned := range due.Open {
		if err := g.openPlanned(ctx, tenant, planned); err != nil {
			return ahead{}, err
		}
	}
	for _, register := range due.Close {
		if err := g.closeDue(ctx, tenant, register.ID); err != nil {
			return ahead{}, err
		}
	}
	for _, register := range due.Tell {
		if err := g.tellRegister(ctx, tenant, register); err != nil {
			return ahead{}, err
		}
	}
	if len(due.Open)+len(due.Close)+len(due.Tell) > 0 {
		due, err = g.register.Due(ctx, tenant)
	}
	return ahead{next: due.Next}, err
}

// openPlanned opens a register in the name of whoever planned it, against what they
// may do and who is of the group now.
func (g registrar) openPlanned(ctx context.Context, tenant lodge.Tenant, planned attendance.Planned) error {
	s, err := g.senderNow(ctx, sessions.Session{Tenant: tenant, Kind: sessions.Login, Person: planned.By})
	if err == nil && !teaches(s.Principal(), planned.Group) {
		err = lodge.E(lodge.CodeForbidden, "Only an instructor of the group may open its register.")
	}
	if err == nil {
		_, err = g.beginRegister(ctx, s, planned.Draft())
	}
	if err == nil || !decided(err) {
		return err
	}
	g.record(ctx, tenant, "person:"+string(planned.By), audit.Deny, "group:"+planned.Group, "register "+planned.ID+", planned: "+reasonOf(err))
	return g.register.Refused(ctx, tenant, planned.ID, reasonOf(err))
}

// closeDue closes a register whose hour is over: who has not come is absent.
func (g registrar) closeDue(ctx context.Context, tenant lodge.Tenant, id string) error {
	register, err := g.register.Get(ctx, tenant, id)
	if err != nil || !register.Open {
		return err
	}
	if err := g.presence.catchUp(ctx, tenant, register); err != nil {
		return err
	}
	if register, err = g.register.Close(ctx, tenant, id, ""); err != nil {
		return err
	}
	return g.tellRegister(ctx, tenant, register)
}
