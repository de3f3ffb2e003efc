package idp

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lodge-gateway/lodge"
)

// defaultTimeout keeps, with room to spare, the promise that a login at a dead
// issuer is answered within two seconds.
const defaultTimeout = 1500 * time.Millisecond

// complete fills in the defaults and reports what is out of bounds.
func (o Options) complete() (Options, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.MaxAnswer = cmp.Or(o.MaxAnswer, maxBody)
	o.Skew = cmp.Or(o.Skew, skew)
	o.Fresh = cmp.Or(o.Fresh, freshFor)
	o.Refetch = cmp.Or(o.Refetch, refetchPause)
	if o.Timeout < 0 || o.MaxAnswer < 0 || o.Skew < 0 || o.Skew > skew || o.Fresh < 0 || o.Refetch < 0 {
		return o, fmt.Errorf("idp: options %+v: limits are above zero, and the skew is at most %v", o, skew)
	}
	return o, nil
}

// A RelyingParty signs people in at the issuers of one tenant. It is safe for
// concurrent use, starts no goroutine and keeps no connection open.
type RelyingParty struct {
	clock   lodge.Clock   // static
	timeout time.Duration // static
	order   []Issuer      // static: as configured
	issuers map[string]*issuer
}

// issuer is one configured issuer with what is known of it so far. Keys and
// metadata belong to it alone: a key of one issuer never verifies for another.
type issuer struct {
	cfg      IssuerConfig
	limits   Options // complete
	client   *http.Client
	clock    lodge.Clock
	metadata *cached[metadata]
	keys     *keySet
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// New checks the configuration and returns a relying party. It contacts nobody:
// an issuer's metadata is fetched when somebody signs in there. All faults of the
// configuration are reported together.
func New(issuers []IssuerConfig, clock lodge.Clock, opts Options) (*RelyingParty, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	rp := &RelyingParty{clock: clock, timeout: opts.Timeout, issuers: map[string]*issuer{}}
	var faults []error
	for _, cfg := range issuers {
		if err := check(cfg); err != nil {
			faults = append(faults, fmt.Errorf("idp: issuer %q: %w", cfg.ID, err))
			continue
		}
		if rp.issuers[cfg.ID] != nil {
			faults = append(faults, fmt.Errorf("idp: issuer %q: configured twice; each needs an id of its own", cfg.ID))
			continue
		}
		if cfg.Name == "" {
			cfg.Name = cfg.ID
		}
		if cfg.GroupsClaim == "" {
			cfg.GroupsClaim = "groups"
		}
		if len(cfg.Scopes) == 0 {
			cfg.Scopes = []string{"profile", "email"}
		}
		is := &issuer{cfg: cfg, limits: opts, clock: clock, client: newClient(cfg, opts)}
		is.metadata = newCached(clock, opts.Fresh, is.discover)
		is.keys = newKeySet(clock, opts, is.fetchKeys)
		rp.issuers[cfg.ID] = is
		rp.order = append(rp.order, Issuer{ID: cfg.ID, Name: cfg.Name})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return rp, nil
}

func check(cfg IssuerConfig) error {
	var faults []error
	if !idPattern.MatchString(cfg.ID) {
		faults = append(faults, errors.New("the id must be 1 to 63 of a-z, 0-9, '-', '_' and begin with a letter or digit"))
	}
	if cfg.ClientID == "" {
		faults = append(faults, errors.New("the client id is missing; register Lodge at the issuer to get one"))
	}
	u, err := cfg.endpoint(cfg.URL)
	switch {
	case err != nil:
		faults = append(faults, fmt.Errorf("url: %w", err))
	case u.RawQuery != "":
		faults = append(faults, errors.New("url: an issuer identifier has no query"))
	case cfg.Insecure && !loopback(u.Hostname()):
		faults = append(faults, errors.New("insecure is allowed for an issuer on this machine only (localhost, 127.0.0.1, ::1); use https"))
	}
	if prompts := []string{"", "consent", "login", "select_account"}; !slices.Contains(prompts, cfg.Prompt) {
		faults = append(faults, fmt.Errorf("prompt: %q is none; use consent, login or select_account, or leave it out", cfg.Prompt))
	}
	for i, rule := range cfg.Rules {
		if err := rule.check(); err != nil {
			faults = append(faults, fmt.Errorf("rule %d (%s): %w", i+1, rule, err))
		}
	}
	return errors.Join(faults...)
}

// endpoint parses an address at which an issuer may be contacted.
func (cfg IssuerConfig) endpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	switch {
	case u.Scheme == "http" && cfg.Insecure && loopback(u.Hostname()):
	case u.Scheme != "https":
		return nil, errors.New("https is required; http needs insecure, and is for this machine only")
	}
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("must have a host, and neither user information nor a fragment")
	}
	return u, nil
}

// Issuers returns the configured issuers, in the order of the configuration.
func (rp *RelyingParty) Issuers() []Issuer { return slices.Clone(rp.order) }

func (rp *RelyingParty) issuer(id string) (*issuer, error) {
	is := rp.issuers[id]
	if is == nil {
		return nil, lodge.E(lodge.CodeNotFound, "There is no such sign-in here. Choose your institution from the sign-in page.")
	}
	return is, nil
}

// secret returns the client's secret as it is now; "" for a public client.
func (is *issuer) secret() (string, error) {
	if is.cfg.Secret == nil {
		return is.cfg.ClientSecret, nil
	}
	secret, err := is.cfg.Secret()
	if err != nil {
		return "", fmt.Errorf("the client's secret: %w", err)
	}
	return secret, nil
}

// oauth returns the client's side of the code flow with an issuer; the secret is
// needed at the token endpoint alone.
func (is *issuer) oauth(meta metadata, secret, redirectURI string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range is.cfg.Scopes {
		if s != oidc.ScopeOpenID {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{
		ClientID:     is.cfg.ClientID,
		ClientSecret: secret,
		RedirectURL:  redirectURI,
		Scopes:       scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:   meta.Authorization,
			TokenURL:  meta.Token,
			AuthStyle: authStyle(meta, secret),
		},
	}
}

// authStyle says how the client's secret travels. It is never found out by trial:
// a failed trial would spend the code.
func authStyle(meta metadata, secret string) oauth2.AuthStyle {
	if secret == "" {
		return oauth2.AuthStyleInParams
	}
	methods := meta.TokenAuthMethods
	if !slices.Contains(methods, "client_secret_basic") && slices.Contains(methods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default of OpenID Connect Discovery 1.0, section 3
}

// unavailable is the answer when the issuer cannot be reached or does not work.
func (is *issuer) unavailable(cause error) error {
	if e, ok := errors.AsType[*lodge.Error](cause); ok {
		return e
	}
	return &lodge.Error{
		Code:       lodge.CodeUnavailable,
		Safe:       "The sign-in of " + is.cfg.Name + " does not answer at the moment. Whoever is signed in stays signed in; please try again in a minute.",
		RetryAfter: retryAfter,
		Err:        fmt.Errorf("idp: issuer %s: %w", is.cfg.ID, cause),
	}
}
