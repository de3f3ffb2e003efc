package idp

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/lodge-gateway/lodge"
)

// A Grant is an issuer's leave to ask again what it says about somebody, for as
// long as they are signed in. It holds a secret: Grants keeps it sealed.
type Grant struct {
	Subject string `json:"s"`
	Nonce   string `json:"n"` // of the sign-in
	Token   string `json:"t"` // the refresh token
}

// ErrGrantOver is wrapped, with CodeUnauthenticated, when the issuer takes a grant
// no more: the person has left, or may not be here any longer.
var ErrGrantOver = errors.New("idp: the issuer has ended the grant")

// Refresh asks the issuer again about the person of a grant (OpenID Connect Core
// 1.0, section 12). The Identity's Grant replaces the one given, at once: many
// issuers take each only once. Any error but ErrGrantOver says nothing about the
// person; the grant may be tried again.
func (rp *RelyingParty) Refresh(ctx context.Context, issuer string, grant Grant) (Identity, error) {
	is, err := rp.issuer(issuer)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, rp.timeout)
	defer cancel()
	meta, err := is.metadata.get(ctx)
	if err != nil {
		return Identity{}, is.unavailable(err)
	}
	secret, err := is.secret()
	if err != nil {
		return Identity{}, is.unavailable(err)
	}
	inner := context.WithValue(ctx, oauth2.HTTPClient, is.client)
	token, err := is.oauth(meta, secret, "").TokenSource(inner, &oauth2.Token{RefreshToken: grant.Token}).Token()
	if err != nil {
		return Identity{}, is.notRefreshed(err)
	}
	who, err := is.again(ctx, meta, token, grant)
	if err != nil {
		err = is.unavailable(fmt.Errorf("refresh: %w", err))
	}
	// Also with an error: the old one may be spent.
	who.Grant = &Grant{Subject: grant.Subject, Nonce: grant.Nonce, Token: token.RefreshToken}
	return who, err
}

// notRefreshed explains why the token endpoint gave nothing, without what it said.
func (is *issuer) notRefreshed(err error) error {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return is.unavailable(fmt.Errorf("refresh: %w", err))
	}
	if e.ErrorCode == "invalid_grant" {
		return lodge.Wrap(lodge.CodeUnauthenticated, is.cfg.Name+" has ended your sign-in. Please sign in again.",
			fmt.Errorf("idp: issuer %s: %w", is.cfg.ID, ErrGrantOver))
	}
	return is.unavailable(fmt.Errorf("refresh: status %d, error %.40q", e.Response.StatusCode, e.ErrorCode))
}

// again reads what the issuer says now: in a new ID token when it sends one, else
// at the UserInfo endpoint. Claims that are absent now are gone.
func (is *issuer) again(ctx context.Context, meta metadata, token *oauth2.Token, grant Grant) (Identity, error) {
	said := claims{}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		if meta.UserInfo == "" {
			return Identity{}, errors.New("neither an ID token nor a UserInfo endpoint tells what is true now")
		}
		if err := getJSON(ctx, is.client, meta.UserInfo, token.AccessToken, &said); err != nil {
			return Identity{}, fmt.Errorf("userinfo: %w", err)
		}
	} else {
		var err error
		if said, err = is.verify(ctx, raw, token.AccessToken, grant.Nonce, true); err != nil {
			return Identity{}, err
		}
		if err := is.complete(ctx, meta, token, said); err != nil {
			return Identity{}, err
		}
	}
	if sub := said.text("sub"); sub != grant.Subject || sub == "" {
		return Identity{}, errors.New("sub is that of somebody else")
	}
	return is.identity(said, raw)
}
