package idp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lodge-gateway/lodge"
)

// FlowLife is how long a person may take to sign in at the issuer.
const FlowLife = 10 * time.Minute

// A Flow is one attempt to sign in. It holds secrets: the caller keeps it on the
// server, bound to the browser that started it, and takes it out exactly once,
// whatever comes of it.
type Flow struct {
	Issuer   string    `json:"i"` // the id of the issuer it was started at
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // PKCE, RFC 7636
	ReturnTo string    `json:"r"` // a SafeReturn
	Started  time.Time `json:"t"`
	Fresh    bool      `json:"f,omitempty"` // see StartOptions
}

// Marshal returns the flow as bytes for the browser's session on the server.
func (f Flow) Marshal() ([]byte, error) { return json.Marshal(f) }

// UnmarshalFlow reads what Marshal wrote. Anything else is CodeUnauthenticated:
// the attempt is lost, and the person starts again.
func UnmarshalFlow(data []byte) (Flow, error) {
	var f Flow
	if err := json.Unmarshal(data, &f); err != nil {
		return Flow{}, startAgain(errors.New("idp: flow cannot be read"))
	}
	return f, nil
}

// StartOptions say what a sign-in is for.
type StartOptions struct {
	RedirectURI string // Lodge's callback for this issuer, as registered there
	ReturnTo    string // where the person was going; passed through SafeReturn
	LoginHint   string // the account to suggest to the issuer; optional
	// Fresh asks for a person who proves anew who they are, instead of one whom the
	// issuer remembers, and refuses an answer whose signed "auth_time" does not say
	// so: what is only asked for (prompt, max_age), the browser may leave out.
	Fresh bool
}

// Start begins a sign-in: it returns where to send the browser and the flow to
// keep for Finish. The error is CodeNotFound for an unknown issuer and
// CodeUnavailable, within Options.Timeout, for one that cannot be reached.
func (rp *RelyingParty) Start(ctx context.Context, issuer string, opts StartOptions) (location string, flow Flow, err error) {
	is, err := rp.issuer(issuer)
	if err != nil {
		return "", Flow{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, rp.timeout)
	defer cancel()
	meta, err := is.there(ctx)
	if err != nil {
		return "", Flow{}, is.unavailable(err)
	}
	flow = Flow{
		Issuer:   issuer,
		State:    secret(),
		Nonce:    secret(),
		Verifier: oauth2.GenerateVerifier(),
		ReturnTo: SafeReturn(opts.ReturnTo),
		Started:  rp.clock.Now(),
		Fresh:    opts.Fresh,
	}
	params := []oauth2.AuthCodeOption{
		oidc.Nonce(flow.Nonce),
		oauth2.S256ChallengeOption(flow.Verifier),
	}
	if opts.LoginHint != "" {
		params = append(params, oauth2.SetAuthURLParam("login_hint", opts.LoginHint))
	}
	prompt := is.cfg.Prompt
	if opts.Fresh {
		params = append(params, oauth2.SetAuthURLParam("max_age", "0"))
		if prompt != "login" {
			prompt = strings.TrimSpace("login " + prompt)
		}
	}
	if prompt != "" {
		params = append(params, oauth2.SetAuthURLParam("prompt", prompt))
	}
	return is.oauth(meta, "", opts.RedirectURI).AuthCodeURL(flow.State, params...), flow, nil
}

// secret returns 256 random bits.
func secret() string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand.Read never returns an error
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// startAgain is the answer to whatever a new attempt may heal.
func startAgain(cause error) *lodge.Error {
	return lodge.Wrap(lodge.CodeUnauthenticated,
		"This sign-in could not be completed: it was started too long ago, in another browser, or was used already. Please sign in again.", cause)
}
