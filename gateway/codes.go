package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// maxServiceName bounds the name of a service, in runes.
const maxServiceName = 60

// CreateCode makes a host or service code. The command line calls it through
// the admin socket, or on the store itself when no server holds it.
func (g *Gateway) CreateCode(ctx context.Context, tenant lodge.Tenant, req CodeRequest) (CodeView, error) {
	cat, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return CodeView{}, err
	}
	n := sessions.New{Tenant: tenant, Experiment: req.Experiment}
	if req.Seconds < 0 || req.Seconds > int(hostLife/time.Second) {
		return CodeView{}, lodge.E(lodge.CodeRefused, "The life of a code is between a second and ten years.")
	}
	life := time.Duration(req.Seconds) * time.Second
	switch sessions.Kind(req.Kind) {
	case sessions.Host:
		experiment, ok := cat.Experiments[req.Experiment]
		if !ok {
			return CodeView{}, lodge.E(lodge.CodeRefused, "There is no experiment "+req.Experiment+" in the catalogue; name one that is.")
		}
		if len(req.Scopes) > 0 || len(req.Audience) > 0 || req.Name != "" {
			return CodeView{}, lodge.E(lodge.CodeRefused, "A host code opens its experiment's streams; scopes, audiences and names are for service codes.")
		}
		n.Kind = sessions.Host
		n.Scopes = hostScopes(experiment)
		setDefault(&life, hostLife)
	case sessions.Service:
		if n.Scopes, err = serviceScopes(cat, req.Scopes, req.Audience); err != nil {
			return CodeView{}, err
		}
		n.Kind, n.Name = sessions.Service, strings.TrimSpace(req.Name)
		if len([]rune(n.Name)) > maxServiceName {
			return CodeView{}, lodge.E(lodge.CodeRefused, "The name of a service has at most 60 characters.")
		}
		setDefault(&life, serviceLife)
	default:
		return CodeView{}, lodge.E(lodge.CodeRefused, "The kind of a code made here is host or service.")
	}
	n.ExpiresAt = g.clock.Now().Add(life)
	code, s, err := g.sessions.Create(ctx, n)
	if err != nil {
		return CodeView{}, err
	}
	g.record(ctx, tenant, actorIn(ctx), audit.CodeCreate, "session:"+string(s.ID), aboutCode(s)+" until "+s.ExpiresAt.Format(timeFormat))
	return CodeView{Code: code, Session: g.sessionView(s, "")}, nil
}
