package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// logoutAge is how old a logout token may be, the issuer's clock being off by
	// skew at the most. Issuers send them at once and repeat them for a while.
	logoutAge = 5 * time.Minute
	// logoutEvent is the event that makes a token a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	maxTokenID  = 255 // bytes of "jti" and of "sid"
)

// logoutTypes are the "typ" of a logout token; it must have one, so that no other
// token that the issuer signs passes for it.
var logoutTypes = []string{"logout+jwt", "application/logout+jwt"}

// A LogoutToken is an issuer's word that somebody has left it (OpenID Connect
// Back-Channel Logout 1.0, section 2.4). Subject, SessionID or both are set.
type LogoutToken struct {
	Issuer    string // the configured id
	Subject   string
	SessionID string // as in Identity.SessionID
	ID        string // "jti": to be honoured once
	IssuedAt  time.Time
	// Ends is when Lodge takes the token no more, and its ID may be forgotten.
	Ends time.Time
}

// Covers reports whether a session that began at a time had begun when the
// person left. One that began later is another sign-in.
func (t LogoutToken) Covers(began time.Time) bool { return !began.After(t.IssuedAt.Add(skew)) }

// LogoutTokens remembers, for all nodes and over restarts, which logout tokens
// were carried out.
type LogoutTokens interface {
	// LoggedOut reports whether the issuer's token of that id was carried out.
	LoggedOut(ctx context.Context, tenant lodge.Tenant, issuer, id string) (bool, error)
	// KeepLogout writes down that t was carried out, until t.Ends, and forgets the
	// tenant's tokens that ended before now. It may be repeated.
	KeepLogout(ctx context.Context, tenant lodge.Tenant, t LogoutToken, now time.Time) error
}

// LogoutToken checks a logout token that came to the address of an issuer (section
// 2.6): what is checked of every token of that issuer, and type, event, age and
// id; a nonce must not be there. Whether the token was used before is for the
// caller to ask LogoutTokens. The error is CodeInvalid for one that is not to be
// believed, CodeNotFound for an unknown issuer and CodeUnavailable when its keys
// cannot be had.
func (rp *RelyingParty) LogoutToken(ctx context.Context, issuer, raw string) (LogoutToken, error) {
	is, err := rp.issuer(issuer)
	if err != nil {
		return LogoutToken{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, rp.timeout)
	defer cancel()
	token, err := is.logoutToken(ctx, raw)
	switch {
	case errors.Is(err, errToken):
		return LogoutToken{}, lodge.Wrap(lodge.CodeInvalid, "The logout token is not one of this issuer for Lodge, or not a new one.",
			fmt.Errorf("idp: issuer %s: logout: %w", issuer, err))
	case err != nil:
		return LogoutToken{}, is.unavailable(err)
	}
	return token, nil
}

func (is *issuer) logoutToken(ctx context.Context, raw string) (LogoutToken, error) {
	token, all, err := is.signed(ctx, raw, logoutTypes)
	if err != nil {
		return LogoutToken{}, err
	}
	out := LogoutToken{
		Issuer: is.cfg.ID, Subject: token.Subject, SessionID: all.text("sid"), ID: all.text("jti"), IssuedAt: token.IssuedAt,
		Ends: token.IssuedAt.Add(logoutAge + is.limits.Skew),
	}
	var events, event map[string]json.RawMessage
	_ = json.Unmarshal(all["events"], &events) // nil then, which is refused below
	_ = json.Unmarshal(events[logoutEvent], &event)
	switch {
	case event == nil: // the value must be an object, which may be empty
		return LogoutToken{}, refused("the event is not that of a logout")
	case all["nonce"] != nil:
		return LogoutToken{}, refused("a nonce is there: it could pass for an id token")
	case out.ID == "" || len(out.ID) > maxTokenID:
		return LogoutToken{}, refused("jti is absent or too long")
	case all["sid"] != nil && (out.SessionID == "" || len(out.SessionID) > maxTokenID):
		return LogoutToken{}, refused("sid is empty, too long or no text")
	case out.Subject == "" && out.SessionID == "":
		return LogoutToken{}, refused("it names neither a subject nor a session")
	case !is.clock.Now().Before(out.Ends):
		return LogoutToken{}, refused("iat is too long ago")
	}
	return out, nil
}
