package idp

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
)

// LogoutOptions say who leaves and where they go.
type LogoutOptions struct {
	IDToken     string // Identity.IDToken of the login that ends; optional
	RedirectURI string // where the issuer sends the browser then, as registered there; optional
	State       string // comes back with RedirectURI; optional
}

// hostPattern keeps out what would be more than an origin in a policy's text.
var hostPattern = regexp.MustCompile(`^[a-zA-Z0-9.:\[\]-]+$`)

// Origins returns the origins that Logout may send a browser to: those of the
// issuers, and those of their sign-out pages as far as they are known by now.
func (rp *RelyingParty) Origins() []string {
	var origins []string
	add := func(address string) {
		if u, err := url.Parse(address); err == nil && hostPattern.MatchString(u.Host) && !slices.Contains(origins, u.Scheme+"://"+u.Host) {
			origins = append(origins, u.Scheme+"://"+u.Host)
		}
	}
	for _, one := range rp.order {
		is := rp.issuers[one.ID]
		add(is.cfg.URL)
		if meta, ok := is.metadata.known(); ok {
			add(meta.EndSession)
		}
	}
	return origins
}

// Logout returns where to send a browser so that the person leaves the issuer too
// (OpenID Connect RP-Initiated Logout 1.0, section 2), or "" when the issuer has
// no such place. The caller ends its own session first, in answer to a POST, and
// whatever comes of this. The errors are those of Start.
func (rp *RelyingParty) Logout(ctx context.Context, issuer string, opts LogoutOptions) (string, error) {
	is, err := rp.issuer(issuer)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, rp.timeout)
	defer cancel()
	meta, err := is.there(ctx)
	if err != nil {
		return "", is.unavailable(err)
	}
	if meta.EndSession == "" {
		return "", nil
	}
	u, err := url.Parse(meta.EndSession)
	if err != nil {
		return "", is.unavailable(fmt.Errorf("end_session_endpoint: %w", err))
	}
	q := u.Query()
	q.Set("client_id", is.cfg.ClientID)
	for name, value := range map[string]string{
		"id_token_hint":            opts.IDToken,
		"post_logout_redirect_uri": opts.RedirectURI,
		"state":                    opts.State,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
