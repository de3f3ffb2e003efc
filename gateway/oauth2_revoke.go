package gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// codeNotAllowed is what RFC 6749 section 5.2 calls a client that may not do what
// it asks.
const codeNotAllowed = "unauthorized_client"

// revoke ends a code (RFC 7009): the service's own, or one that its scopes and
// audience let it end. One that is not known, or over, is as dead as was asked
// for.
func (g *Gateway) revoke(w http.ResponseWriter, r *http.Request) error {
	service, err := g.service(r)
	if err != nil {
		return err
	}
	token, err := g.tokenIn(w, r)
	if err != nil {
		return err
	}
	if strings.Count(token, ".") == 2 && strings.HasPrefix(token, "ey") {
		return &oauthError{
			status: http.StatusBadRequest, code: "unsupported_token_type",
			description: "Signed tokens are not ended here; deny their booking at /bids/deny, or end one at /session/{topic} with itself.",
		}
	}
	ctx := r.Context()
	s, err := g.sessions.Check(ctx, service.Tenant, token)
	switch {
	case errors.Is(err, sessions.ErrUnknown), errors.Is(err, sessions.ErrExpired), errors.Is(err, sessions.ErrRevoked):
		w.WriteHeader(http.StatusOK)
		return nil
	case err != nil && !errors.Is(err, sessions.ErrPending):
		return err
	}
	own := s.ID == service.ID
	if !own && !may(&service, scopeRevoke, &s) {
		g.recordKept(ctx, service, s, scopeRevoke)
		return &oauthError{
			status: http.StatusBadRequest, code: codeNotAllowed,
			description: "This service code may not end that one; it goes on being good. A scope such as revoke:" + string(s.Kind) + ", and the experiment in its audience, would let it.",
		}
	}
	reason := "A service that looks after the laboratory ended this session."
	if own {
		reason = "The service gave its code up."
	}
	if err := g.sessions.Revoke(ctx, s.Tenant, s.ID, reason); err != nil {
		return err
	}
	if s.Kind == sessions.Host || s.Kind == sessions.Service {
		g.recordBy(ctx, service, audit.CodeRevoke, "session:"+string(s.ID), aboutCode(s)+"; "+reason)
	} else {
		g.recordBy(ctx, service, audit.SessionEnd, "session:"+string(s.ID), string(s.Kind)+" of person:"+string(s.Person)+"; "+reason)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
