package idp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/lodge-gateway/lodge"
)

// Finish ends a sign-in at an issuer's callback. issuer is the callback's own, so
// each issuer has one; flow is what Start returned, taken out of the same
// browser's session exactly once; query is what the browser came back with;
// redirectURI is the one given to Start.
//
// The error is CodeUnauthenticated when the person should start again, CodeForbidden
// when they or the issuer declined, CodeUnavailable, within Options.Timeout, when
// the issuer cannot be reached or does not work. No code, token or secret is in
// any of them.
func (rp *RelyingParty) Finish(ctx context.Context, issuer string, flow Flow, query url.Values, redirectURI string) (Identity, error) {
	is, err := rp.issuer(issuer)
	if err != nil {
		return Identity{}, err
	}
	if err := rp.ours(issuer, flow, query); err != nil {
		return Identity{}, startAgain(fmt.Errorf("idp: issuer %s: %w", issuer, err))
	}
	ctx, cancel := context.WithTimeout(ctx, rp.timeout)
	defer cancel()
	meta, err := is.metadata.get(ctx)
	if err != nil {
		return Identity{}, is.unavailable(err)
	}
	code, err := is.code(meta, query)
	if err != nil {
		return Identity{}, err
	}
	token, err := is.redeem(ctx, meta, code, flow.Verifier, redirectURI)
	if err != nil {
		return Identity{}, err
	}
	return is.known(ctx, meta, token, flow)
}

// ours checks that an answer belongs to this flow: RFC 9700, sections 2.1 and 4.7.
func (rp *RelyingParty) ours(issuer string, flow Flow, query url.Values) error {
	for name, values := range query {
		if len(values) > 1 { // RFC 6749, section 3.1
			return fmt.Errorf("parameter %.20q is repeated", name)
		}
	}
	age := rp.clock.Now().Sub(flow.Started)
	switch {
	case flow.Issuer != issuer:
		return errors.New("the flow was started at another issuer")
	case flow.State == "" || flow.Nonce == "" || flow.Verifier == "":
		return errors.New("the flow is empty")
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(flow.State)) != 1:
		return errors.New("state is not that of this flow")
	case age > FlowLife || age < -skew:
		return fmt.Errorf("the flow was started %v ago", age)
	}
	return nil
}

// code returns the authorization code of an answer that comes from this issuer.
func (is *issuer) code(meta metadata, query url.Values) (string, error) {
	// RFC 9207, section 2.4: also for errors, and before anything is sent anywhere.
	if from, present := query.Get("iss"), query.Has("iss"); (meta.SendsIssuer || present) && from != is.cfg.URL {
		return "", startAgain(fmt.Errorf("idp: issuer %s: the answer is from %q", is.cfg.ID, from))
	}
	switch reason := query.Get("error"); reason {
	case "":
	case "server_error", "temporarily_unavailable":
		return "", is.unavailable(fmt.Errorf("authorization: %s", reason))
	case "access_denied":
		return "", lodge.Wrap(lodge.CodeForbidden, is.cfg.Name+" did not let you sign in, or you chose not to. You can try again, or with another account.",
			fmt.Errorf("idp: issuer %s: authorization: access_denied", is.cfg.ID))
	default:
		return "", startAgain(fmt.Errorf("idp: issuer %s: authorization: %.40q", is.cfg.ID, reason))
	}
	code := query.Get("code")
	if code == "" {
		return "", startAgain(fmt.Errorf("idp: issuer %s: the answer holds no code", is.cfg.ID))
	}
	return code, nil
}

// redeem exchanges the code for tokens.
func (is *issuer) redeem(ctx context.Context, meta metadata, code, verifier, redirectURI string) (*oauth2.Token, error) {
	secret, err := is.secret()
	if err != nil {
		return nil, is.unavailable(err)
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, is.client)
	token, err := is.oauth(meta, secret, redirectURI).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err == nil {
		return token, nil
	}
	// A RetrieveError prints the issuer's answer, which may repeat our secrets.
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		reason := fmt.Errorf("token endpoint: status %d, error %.40q", e.Response.StatusCode, e.ErrorCode)
		if e.ErrorCode == "invalid_grant" {
			return nil, startAgain(fmt.Errorf("idp: issuer %s: %w", is.cfg.ID, reason))
		}
		return nil, is.unavailable(reason)
	}
	return nil, is.unavailable(fmt.Errorf("token endpoint: %w", err))
}

// known turns the tokens into an identity.
func (is *issuer) known(ctx context.Context, meta metadata, token *oauth2.Token, flow Flow) (Identity, error) {
	raw, _ := token.Extra("id_token").(string)
	said, err := is.verify(ctx, raw, token.AccessToken, flow.Nonce, false)
	switch {
	case errors.Is(err, errToken):
		return Identity{}, lodge.Wrap(lodge.CodeUnauthenticated,
			"The answer of "+is.cfg.Name+" could not be verified. Please sign in again; if it happens again, tell Lodge's administrator.",
			fmt.Errorf("idp: issuer %s: %w", is.cfg.ID, err))
	case err != nil:
		return Identity{}, is.unavailable(err)
	}
	at, err := is.authenticatedAt(said, flow)
	if err != nil {
		return Identity{}, err
	}
	if err := is.complete(ctx, meta, token, said); err != nil {
		return Identity{}, is.unavailable(err)
	}
	who, err := is.identity(said, raw)
	who.AuthenticatedAt = at
	if err == nil && token.RefreshToken != "" {
		who.Grant = &Grant{Subject: who.Subject, Nonce: flow.Nonce, Token: token.RefreshToken}
	}
	return who, err
}

// authenticatedAt returns when the person proved to the issuer who they are, as
// its signed token says, zero when it does not (OpenID Connect Core 1.0, section
// 2). A flow that asked for it to be done anew is refused unless it was: section
// 3.1.2.1 wants auth_time in the answer then.
func (is *issuer) authenticatedAt(said claims, flow Flow) (time.Time, error) {
	var at time.Time
	if said["auth_time"] != nil {
		at = said.time("auth_time")
	}
	switch {
	case at.After(is.clock.Now().Add(is.limits.Skew)): // or no time at all
		return time.Time{}, startAgain(fmt.Errorf("idp: issuer %s: auth_time is in the future", is.cfg.ID))
	case !flow.Fresh:
		return at, nil
	case at.IsZero():
		return time.Time{}, lodge.Wrap(lodge.CodeForbidden, is.cfg.Name+
			" does not say when you proved who you are, so this could not be confirmed. Please tell Lodge’s administrator, who can change the setting admin_fresh.",
			fmt.Errorf("idp: issuer %s: no auth_time though max_age was asked for", is.cfg.ID))
	case at.Before(flow.Started.Add(-is.limits.Skew)):
		return time.Time{}, startAgain(fmt.Errorf("idp: issuer %s: auth_time is from before the flow", is.cfg.ID))
	}
	return at, nil
}

// complete adds what the ID token leaves out: in the code flow many issuers give
// a person's claims at the UserInfo endpoint only (OpenID Connect Core 1.0,
// section 5.4). What the signed token says wins.
func (is *issuer) complete(ctx context.Context, meta metadata, token *oauth2.Token, said claims) error {
	if meta.UserInfo == "" || is.cfg.satisfied(said) {
		return nil
	}
	var more claims
	if err := getJSON(ctx, is.client, meta.UserInfo, token.AccessToken, &more); err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	if more.text("sub") != said.text("sub") { // section 5.3.2: else it is about somebody else
		return errors.New("userinfo: sub is not that of the id token")
	}
	for name, value := range more {
		if said[name] == nil {
			said[name] = value
		}
	}
	return nil
}

// satisfied reports whether claims lack none of those that are looked at.
func (cfg IssuerConfig) satisfied(said claims) bool {
	if said["name"] == nil || said["family_name"] == nil || said[cfg.GroupsClaim] == nil {
		return false
	}
	return !slices.ContainsFunc(cfg.Rules, func(r Rule) bool { return len(said.values(r.Claim)) == 0 })
}
