package gateway

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// What other services ask Lodge with a service code: whether a code is good
// (RFC 7662, introspect.go) and to end one (RFC 7009, oauth2_revoke.go). What they
// have in common is here. Cookies play no part, and nothing is kept
// between two requests: each answer is of what the session store says now, for
// this tenant, this service's scopes and its audience.

// An oauthError answers as RFC 6749 section 5.2 says; its description is shown.
type oauthError struct {
	status      int
	code        string // error, as registered
	description string // what to do about it
	challenge   string // WWW-Authenticate of a 401 or a 403
	retry       time.Duration
	cause       error // for our log; nil when the caller is at fault
}

func (e *oauthError) Error() string { return "oauth2: " + e.code + ": " + e.description }
func (e *oauthError) Unwrap() error { return e.cause }

// errOAuthRequest is a request that cannot be read.
func errOAuthRequest(description string) error {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// errOAuthClient is a request that shows no good service code. The challenges are
// the two ways to show one.
func errOAuthClient(description string) error {
	return &oauthError{
		status: http.StatusUnauthorized, code: "invalid_client", description: description,
		challenge: `Bearer realm="lodge", Basic realm="lodge", charset="UTF-8"`,
	}
}

// asOAuth turns any error into one of RFC 6749's.
func asOAuth(err error) *oauthError {
	if e, ok := errors.AsType[*oauthError](err); ok {
		return e
	}
	f := explain(err)
	e := &oauthError{status: f.status, code: "invalid_request", description: f.detail, retry: f.retry, cause: err}
	if f.status == http.StatusTooManyRequests || f.status >= http.StatusInternalServerError {
		e.code = "temporarily_unavailable"
		setDefault(&e.retry, time.Second)
	}
	return e
}

// oauth answers errors as RFC 6749 section 5.2 says. A body that is refused is
// never repeated: it holds a code.
func (g *Gateway) oauth(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1 asks for both
		err := h(w, r)
		if err == nil {
			return
		}
		e := asOAuth(err)
		if e.status >= http.StatusInternalServerError && r.Context().Err() == nil {
			id, _ := r.Context().Value(keyRequestID).(string)
			g.log.ErrorContext(r.Context(), "request failed", "id", id, "path", r.URL.Path, "err", err)
		}
		if e.challenge != "" {
			w.Header().Set("WWW-Authenticate", e.challenge)
		}
		if e.retry > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retry.Seconds()))))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		_ = json.NewEncoder(w).Encode(OAuthError{Error: e.code, Description: e.description}) // the client has gone, or it has the answer
	}
}

// OAuthError is the body of a refusal at /oauth2 (RFC 6749 section 5.2).
type OAuthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// service is the session of the service code a request was made with, after its
// rate was counted: as Bearer (RFC 6750 section 2.1), or as HTTP Basic the way
// RFC 6749 section 2.3.1 has clients send it, where the client's identifier is
// the id of the code's session.
func (g *Gateway) service(r *http.Request) (sessions.Session, error) {
	ctx := r.Context()
	code, client, err := clientCode(r)
	if err != nil {
		g.record(ctx, tenantOf(ctx), "nobody", audit.Deny, r.Method+" "+r.URL.Path, asOAuth(err).description)
		return sessions.Session{}, err
	}
	s, err := g.sessions.Check(ctx, tenantOf(ctx), code)
	if err != nil && lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		return s, err
	}
	if err != nil || s.Kind != sessions.Service || client != "" && subtle.ConstantTimeCompare([]byte(client), []byte(s.ID)) != 1 {
		refusal := errOAuthClient("This takes a service code that is good; ask your laboratory's administrator for one.")
		actor := "nobody"
		if s.ID != "" {
			actor = actorOf(s)
		}
		g.record(ctx, tenantOf(ctx), actor, audit.Deny, r.Method+" "+r.URL.Path, asOAuth(refusal).description)
		return s, refusal
	}
	return s, g.services.allow(s.Tenant, string(s.ID))
}

// clientCode returns the code that a client authenticates with and, with HTTP
// Basic, the identifier it gives itself.
func clientCode(r *http.Request) (code, client string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", "", errOAuthRequest("Authenticate in one way: send one Authorization header.")
	}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(rest), "", nil
	case strings.EqualFold(scheme, "Basic"):
		user, password, ok := r.BasicAuth()
		if client, err = url.QueryUnescape(user); ok && err == nil && client != "" {
			if code, err = url.QueryUnescape(password); err == nil {
				return code, client, nil
			}
		}
		return "", "", errOAuthClient("In HTTP Basic, the user is the id of the service code and the password the code, both form-urlencoded.")
	default:
		return "", "", errOAuthClient("Send a service code as Authorization: Bearer, or by HTTP Basic.")
	}
}

// tokenIn reads the one parameter both endpoints take (RFC 7662 section 2.1, RFC
// 7009 section 2.1). The hint is a help to find a token, and none is needed here.
func (g *Gateway) tokenIn(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.URL.RawQuery != "" {
		return "", errOAuthRequest("Send the token in the body; addresses are written into logs.")
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return "", errOAuthRequest("Send the body as application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, g.cfg.MaxBody)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", err
		}
		return "", errOAuthRequest("The body is not a form that can be read.")
	}
	for _, values := range r.PostForm {
		if len(values) > 1 { // RFC 6749 section 3.1
			return "", errOAuthRequest("Send each parameter once.")
		}
	}
	token := r.PostForm.Get("token")
	if token == "" {
		return "", errOAuthRequest("Send the token to ask about as token=….")
	}
	return token, nil
}

// The scopes of service codes.
const (
	scopeIntrospect = "introspect" // alone: login, booking and experiment codes; with :KIND: of that kind
	scopeRevoke     = "revoke"     // alone: booking and experiment codes; with :KIND: of that kind
	scopeIdentity   = "identity"   // introspection names the person, with groups and roles
	// scopeSend sends messages to the service's audience.
	scopeSend = "messages:send"
	// scopeBook books through the groups of the service's audience, for others.
	scopeBook = "bookings:make"
	// scopeAudience begins what an audience is kept as: "audience:experiment:pend00".
	scopeAudience = "audience:"
)

// kindsOf are the kinds a scope without one stands for. What hardware and
// automation hold has to be named; and so has what ends a person's login.
var kindsOf = map[string][]sessions.Kind{
	scopeIntrospect: {sessions.Login, sessions.Booking, sessions.Experiment},
	scopeRevoke:     {sessions.Booking, sessions.Experiment},
}

// may reports whether a service's scopes and audience let it do something with a
// session of its tenant. A service with an audience reaches nothing but what
// belongs to an experiment of it.
func may(service *sessions.Session, verb string, s *sessions.Session) bool {
	if service.Tenant != s.Tenant {
		return false
	}
	if !slices.Contains(service.Scopes, verb+":"+string(s.Kind)) && !(slices.Contains(service.Scopes, verb) && slices.Contains(kindsOf[verb], s.Kind)) {
		return false
	}
	reach := audienceOf(service)
	return len(reach) == 0 || slices.Contains(reach, audienceAll) || s.Experiment != "" && slices.Contains(reach, "experiment:"+s.Experiment)
}

// mayAny reports whether a service has a scope for a verb at all.
func mayAny(service *sessions.Session, verb string) bool {
	return slices.ContainsFunc(service.Scopes, func(scope string) bool { return scope == verb || strings.HasPrefix(scope, verb+":") })
}

// audienceOf is what a service may ask about, experiments, and whom it may send
// to; none means all of the tenant, and nobody to send to.
func audienceOf(service *sessions.Session) []string {
	var out []string
	for _, scope := range service.Scopes {
		if one, ok := strings.CutPrefix(scope, scopeAudience); ok {
			out = append(out, one)
		}
	}
	return out
}

// grantedScopes are a session's scopes without what is kept among them.
func grantedScopes(s *sessions.Session) []string {
	return slices.DeleteFunc(slices.Clone(s.Scopes), func(scope string) bool {
		return strings.HasPrefix(scope, scopeAudience) || strings.HasPrefix(scope, scopeSize)
	})
}

// recordKept records that a service was told nothing, or refused, of a session.
func (g *Gateway) recordKept(ctx context.Context, service, s sessions.Session, verb string) {
	g.recordBy(ctx, service, audit.Deny, "session:"+string(s.ID), verb+": the "+string(s.Kind)+" code is outside of the service's scopes or audience")
}
