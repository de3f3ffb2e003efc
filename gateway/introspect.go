package gateway

import (
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
