package gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// Introspection answers POST /oauth2/introspect (RFC 7662 section 2.2). Of what is
// not active, or not this service's to see, it says nothing but that.
type Introspection struct {
	Active bool `json:"active"`

	Scope     string   `json:"scope,omitempty"`     // what the code opens: read:TOPIC, write:TOPIC
	ClientID  string   `json:"client_id,omitempty"` // host and service codes: the id of the code
	Subject   string   `json:"sub,omitempty"`       // the person; of a host or a service, the id of the code
	Audience  []string `json:"aud,omitempty"`       // experiment:ID; of a login, the gateway's origin
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"` // the session's id, which opens nothing
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"` // Unix seconds, as the two below
	Issued    int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`

	Kind       string `json:"lodge_kind,omitempty"`
	Tenant     string `json:"lodge_tenant,omitempty"`
	Booking    string `json:"lodge_booking,omitempty"`
	Experiment string `json:"lodge_experiment,omitempty"`

	// With the scope identity alone.
	Name   string   `json:"name,omitempty"`
	Groups []string `json:"groups,omitempty"`
	Roles  []string `json:"roles,omitempty"` // role@scope
}

// introspect says whether a code is good now, and for what.
func (g *Gateway) introspect(w http.ResponseWriter, r *http.Request) error {
	service, err := g.service(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if !mayAny(&service, scopeIntrospect) {
		g.recordBy(ctx, service, audit.Deny, r.Method+" "+r.URL.Path, "the service has no scope "+scopeIntrospect)
		return &oauthError{ // RFC 7662 section 2.3, RFC 6750 section 3.1
			status: http.StatusForbidden, code: "insufficient_scope", description: "This service code has no scope introspect; ask for one that has.",
			challenge: `Bearer realm="lodge", error="insufficient_scope", scope="introspect"`,
		}
	}
	token, err := g.tokenIn(w, r)
	if err != nil {
		return err
	}
	s, err := g.sessions.Check(ctx, service.Tenant, token)
	switch {
	case lodge.CodeOf(err) == lodge.CodeUnauthenticated:
		return writeJSON(w, http.StatusOK, Introspection{})
	case err != nil:
		return err // whoever cannot tell says so, and not that the code is dead
	case !may(&service, scopeIntrospect, &s):
		g.recordKept(ctx, service, s, scopeIntrospect)
		return writeJSON(w, http.StatusOK, Introspection{})
	case s.Idle(g.clock.Now()):
		return writeJSON(w, http.StatusOK, Introspection{}) // as /auth/verify: somebody is to continue first
	}
	return writeJSON(w, http.StatusOK, g.introspection(&service, &s, g.origin(r)))
}

// introspection is what a service is told of a session it may see.
func (g *Gateway) introspection(service, s *sessions.Session, origin string) Introspection {
	view := Introspection{
		Active: true, Scope: strings.Join(grantedScopes(s), " "), Subject: string(s.Person), Issuer: origin, ID: string(s.ID),
		// All of them are good in the hands of whoever has them (RFC 6750 section 1.2).
		TokenType: "Bearer",
		Expires:   s.ExpiresAt.Unix(), Issued: s.CreatedAt.Unix(), NotBefore: s.CreatedAt.Unix(),
		Kind: string(s.Kind), Tenant: string(s.Tenant), Booking: s.Booking, Experiment: s.Experiment,
	}
	if !s.NotBefore.IsZero() {
		view.NotBefore = s.NotBefore.Unix()
	}
	switch {
	case s.Experiment != "":
		view.Audience = []string{"experiment:" + s.Experiment}
	case s.Kind == sessions.Service:
		view.Audience = audienceOf(s)
	}
	if len(view.Audience) == 0 {
		view.Audience = []string{origin}
	}
	if s.Kind == sessions.Host || s.Kind == sessions.Service {
		view.Subject, view.ClientID = string(s.ID), string(s.ID)
	}
	for _, scope := range service.Scopes {
		if scope == scopeIdentity {
			view.Name, view.Groups = s.Name, s.Groups
			for _, b := range s.Bindings {
				view.Roles = append(view.Roles, string(b.Role)+"@"+string(b.Scope))
			}
		}
	}
	return view
}

// origin is where a tenant's people are: PublicURL, or the other host name the
// request came to, which is one that is answered for.
func (g *Gateway) origin(r *http.Request) string {
	scheme, _, _ := strings.Cut(g.cfg.PublicURL, "://")
	return scheme + "://" + strings.ToLower(r.Host)
}

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
			status: http.StatusBadRequest, code: "unauthorized_client",
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
