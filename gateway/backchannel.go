package gateway

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// backchannelLogout takes an issuer's word that somebody has left it and ends the
// logins made with that (OpenID Connect Back-Channel Logout 1.0, section 2.5): 200
// when they are over on every node, 400 with a reason when the token is not to be
// believed or they could not be ended.
func (g *Gateway) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	err := g.backchannel(w, r)
	switch lodge.CodeOf(err) {
	case "":
		w.WriteHeader(http.StatusOK)
		return nil
	case lodge.CodeNotFound:
		return err
	case lodge.CodeInvalid, lodge.CodeTooLarge:
		// A refused token is how an attack shows, or a wrong registration.
		g.log.WarnContext(r.Context(), "logout token refused", "issuer", chi.URLParam(r, "idp"), "err", err)
		g.record(r.Context(), tenantOf(r.Context()), "nobody", audit.Deny, r.Method+" "+r.URL.Path, reasonOf(err))
		return logoutFailure(w, "invalid_request", err)
	default:
		g.logFailure(r, err)
		return logoutFailure(w, "temporarily_unavailable", err)
	}
}

// logoutFailure answers in OAuth's terms, and section 2.8's status, whatever went
// wrong.
func logoutFailure(w http.ResponseWriter, reason string, err error) error {
	return writeJSON(w, http.StatusBadRequest, map[string]string{"error": reason, "error_description": explain(err).detail})
}

func (g *Gateway) backchannel(w http.ResponseWriter, r *http.Request) error {
	ctx, tenant := r.Context(), tenantOf(r.Context())
	if err := g.readForm(w, r); err != nil {
		return err
	}
	given := r.PostForm["logout_token"]
	if len(given) != 1 {
		return lodge.E(lodge.CodeInvalid, "Send one logout_token in a form.")
	}
	token, err := g.idp.LogoutToken(ctx, chi.URLParam(r, "idp"), given[0])
	if err != nil {
		return err
	}
	used, err := g.logouts.LoggedOut(ctx, tenant, token.Issuer, token.ID)
	if err != nil {
		return err
	}
	if used {
		return lodge.E(lodge.CodeInvalid, "That logout token was carried out already.")
	}
	left, err := g.leaving(ctx, tenant, token)
	if err != nil {
		return err
	}
	for _, s := range left {
		if err := g.sessions.Revoke(ctx, tenant, s.ID, "You signed out at your institution."); err != nil {
			return err
		}
		g.record(ctx, tenant, "issuer:"+token.Issuer, audit.IssuerSignOut, "session:"+string(s.ID), "of person:"+string(s.Person))
	}
	// Only now: a token that was not carried out must be good for another try. Two
	// copies at once end the same sessions.
	if err := g.logouts.KeepLogout(ctx, tenant, token, g.clock.Now()); err != nil {
		return err
	}
	g.log.InfoContext(ctx, "signed out by the issuer", "tenant", tenant, "issuer", token.Issuer, "sessions", len(left))
	return nil
}

// leaving returns the logins that a logout token is about: of the issuer's session
// when it names one, else those made through that subject of the issuer, as far as
// they had begun when the token was made. A token that names both is about sessions
// that fit both. Logins of the same person through another subject go on.
func (g *Gateway) leaving(ctx context.Context, tenant lodge.Tenant, token idp.LogoutToken) ([]sessions.Session, error) {
	filter := sessions.Filter{Kind: sessions.Login, Issuer: token.Issuer, IdPSession: token.SessionID}
	ids := []lodge.PersonID{""} // anybody's
	if token.Subject != "" {
		person, err := g.persons.Find(ctx, tenant, token.Issuer, token.Subject)
		if lodge.CodeOf(err) == lodge.CodeNotFound {
			return nil, nil // never signed in here
		}
		if err != nil {
			return nil, err
		}
		merged, err := g.persons.Merged(ctx, tenant)
		if err != nil {
			return nil, err
		}
		ids = merged.All(person.ID) // of those merged something may still be ending
	}
	var found []sessions.Session
	for _, filter.Person = range ids {
		some, err := g.sessions.List(ctx, tenant, filter)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	now := g.clock.Now()
	var left []sessions.Session
	for _, s := range found {
		live := s.State(now) != sessions.Revoked || s.Messages(now)
		if live && through(s, token.Issuer, token.Subject) && (token.SessionID != "" || token.Covers(s.CreatedAt)) {
			left = append(left, s)
		}
	}
	return left, nil
}

// through reports whether a login was made through a subject of an issuer; "" is
// any. Of a login from before that was kept, the issuer decides.
func through(s sessions.Session, issuer, subject string) bool {
	return s.Kind == sessions.Login && s.Issuer == issuer && (subject == "" || s.Subject == "" || s.Subject == subject)
}
