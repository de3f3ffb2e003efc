// Package idp signs people in through their institutions and knows them
// afterwards.
//
// Lodge is an OpenID Connect relying party (OpenID Connect Core 1.0, code flow
// with PKCE). A RelyingParty holds the issuers of one tenant. Start sends a
// browser to one of them with a Flow, the secrets of this attempt; Finish takes
// the browser back, redeems the code and turns what the issuer says into an
// Identity. A Store then makes a Person of it: somebody is known by the pair
// (issuer, subject) and by nothing else, least of all by an e-mail address.
//
// What a browser brings back is not believed until everything fits: the state,
// the issuer (RFC 9207), the age of the flow, the signature by a key of this very
// issuer, audience, nonce, access token hash and times. go-oidc checks some of
// these; token.go and finish.go check the rest.
//
// The boundaries: keeping a Flow in the browser's session, taking it out exactly
// once and opening a session belong to the gateway and package sessions; what a
// group may do belongs to package booking. Nothing here is contacted before
// somebody wants to sign in, so an issuer that is down harms nobody who is in.
package idp

import (
	"crypto/x509"
	"time"

	"github.com/lodge-gateway/lodge"
)

// An IssuerConfig is one institution's sign-in as the operator configures it.
type IssuerConfig struct {
	// ID names the issuer in addresses (/login/{id}) and in the subjects of role
	// bindings ("dev:grace"): lower-case letters, digits, '-', '_'. People are
	// linked to it, so an id is never given to another institution.
	ID string
	// Name is what people read on the chooser, such as "University of Edinburgh".
	Name string
	// URL is the issuer identifier, exactly as its metadata gives it.
	URL string
	// ClientID and ClientSecret are Lodge's registration at the issuer. Without a
	// secret Lodge is a public client, which PKCE protects all the same.
	ClientID, ClientSecret string
	// Secret, when it is set, is asked for the client's secret each time one is
	// needed, instead of ClientSecret, so that it can be changed while people are
	// signed in. An error makes the sign-in fail as if the issuer were down.
	Secret func() (string, error)
	// Scopes are asked for besides "openid"; none means "profile" and "email".
	Scopes []string
	// Prompt is sent as the parameter of that name. Issuers that hold to the letter
	// of OpenID Connect Core 1.0, section 11, give offline_access for "consent" only.
	Prompt string
	// GroupsClaim is the claim that holds a person's groups; default "groups".
	GroupsClaim string
	// TrustEmail takes the addresses of an issuer that never says whether it has
	// verified them for verified. One that says no is believed.
	TrustEmail bool
	// Rules give further groups, and roles, by what any claim says. New reports
	// their faults.
	Rules []Rule
	// Private lets the issuer live in a private network (RFC 1918, RFC 4193 and
	// loopback addresses). https stays required.
	Private bool
	// Insecure allows http, and loopback addresses, for an issuer on this very
	// machine. It is refused for any other.
	Insecure bool
}

// Options adjust a RelyingParty. The zero value is right for production.
type Options struct {
	// Timeout bounds the whole of one Start, Finish or Logout, with everything
	// asked of the issuer within it; default 1.5 s, so that a person learns within
	// two seconds that an issuer is down.
	Timeout time.Duration
	// MaxAnswer bounds each answer of an issuer, in bytes; default 1 MiB.
	MaxAnswer int64
	// Skew is how far an issuer's clock may be off; default, and at most, 60 s.
	Skew time.Duration
	// Fresh is how long an issuer's metadata and keys are used before they are read
	// again, and so how long a key that it withdrew may count; default 1 h.
	Fresh time.Duration
	// Refetch is the shortest time between two readings of an issuer's keys because
	// a token names an unknown one; default 10 s.
	Refetch time.Duration
	// RootCAs are trusted instead of the system's, for an institution with its own
	// certificate authority.
	RootCAs *x509.CertPool
}

// An Issuer is what a chooser page shows.
type Issuer struct{ ID, Name string }

// An Identity is what an issuer says about a person at one sign-in. Nothing in it
// but Issuer and Subject identifies anybody.
type Identity struct {
	Issuer     string // the configured id, not the URL
	Subject    string // the issuer's "sub"
	Name       string // display name; may be empty
	FamilyName string // the "family_name" claim or empty, never guessed from Name
	Email      string // for display only; not verified, not unique
	// EmailVerified says that the issuer vouches for Email: mail may go there.
	EmailVerified bool
	At            time.Time // when it said so
	// AuthenticatedAt is when the person last proved to the issuer who they are
	// ("auth_time" of the signed token); zero when it does not say.
	AuthenticatedAt time.Time
	Groups          []string        // of the groups claim and of rules, sorted, without repetition
	Bindings        []lodge.Binding // of rules, likewise
	Reasons         []Reason        // why each of them
	SessionID       string          // the issuer's "sid", for back-channel logout; may be empty
	Grant           *Grant          // to ask again with; nil when the issuer gave none
	IDToken         string          // the raw token, a hint for Logout; never logged

	said claims // everything that the issuer says; see Noting
}
