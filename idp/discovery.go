package idp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// metadata is what an issuer says about itself (OpenID Connect Discovery 1.0,
// section 3; RFC 9207, section 3; RP-Initiated Logout 1.0, section 2.1).
type metadata struct {
	Issuer           string   `json:"issuer"`
	Authorization    string   `json:"authorization_endpoint"`
	Token            string   `json:"token_endpoint"`
	UserInfo         string   `json:"userinfo_endpoint"`
	JWKS             string   `json:"jwks_uri"`
	EndSession       string   `json:"end_session_endpoint"`
	TokenAuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer      bool     `json:"authorization_response_iss_parameter_supported"`
}

// heardFrom is how long an issuer that answered is taken to be there. Nobody is
// sent to one that was not heard from for longer before it was asked: a browser
// would show an error of its own, and nobody could say what to do.
const heardFrom = 10 * time.Second

// there returns the metadata of an issuer that answers.
func (is *issuer) there(ctx context.Context) (metadata, error) {
	return is.metadata.newer(ctx, min(heardFrom, is.limits.Fresh))
}

// discover reads the issuer's metadata. All addresses come from the configuration
// or from this document, never from a token or a request.
func (is *issuer) discover(ctx context.Context) (metadata, error) {
	var m metadata
	wellKnown := strings.TrimSuffix(is.cfg.URL, "/") + "/.well-known/openid-configuration"
	if err := getJSON(ctx, is.client, wellKnown, "", &m); err != nil {
		return metadata{}, fmt.Errorf("discovery: %w", err)
	}
	// Character by character: this is what ties keys and endpoints to the issuer
	// that the operator meant (Discovery 1.0, section 4.3).
	if m.Issuer != is.cfg.URL {
		return metadata{}, fmt.Errorf("discovery: the metadata is of issuer %q, configured is %q; they must be equal to the letter", m.Issuer, is.cfg.URL)
	}
	var faults []error
	for _, e := range []struct {
		name, url string
		required  bool
	}{
		{"authorization_endpoint", m.Authorization, true},
		{"token_endpoint", m.Token, true},
		{"jwks_uri", m.JWKS, true},
		{"userinfo_endpoint", m.UserInfo, false},
		{"end_session_endpoint", m.EndSession, false},
	} {
		if e.url == "" && !e.required {
			continue
		}
		if _, err := is.cfg.endpoint(e.url); err != nil {
			faults = append(faults, fmt.Errorf("discovery: %s: %w", e.name, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return metadata{}, err
	}
	return m, nil
}
