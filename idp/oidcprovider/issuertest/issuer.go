// Package issuertest runs oidc-provider, an OpenID Connect issuer that others
// wrote and that is certified, in one of two configurations that have little in
// common, and walks through its pages as somebody who signs in or out would. It is
// a process of Node's of its own, on a free loopback port, that ends with the test.
package issuertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/idp"
)

// limit bounds every wait for the process.
const limit = 30 * time.Second

// A Profile is one of the configurations in server.mjs.
type Profile string

// The profiles. Strict has elliptic curves, the client's secret in a header,
// refresh tokens that are good once and asked for with consent, claims at the
// UserInfo endpoint alone, and both ways of signing out, with logout tokens that
// name the session. Plain has RSA-PSS, the secret in the form, pairwise subjects,
// claims in the ID token, no UserInfo endpoint, no refresh, no sign-out page, and
// logout tokens that name the subject alone.
const (
	Strict Profile = "strict"
	Plain  Profile = "plain"
)

// A Client is where the issuer knows Lodge to be.
type Client struct{ RedirectURI, SignedOutURI, BackchannelURI string }

// secret is the client's. It has what HTTP Basic must encode.
const secret = "s3cret: & % + of the client"

// An Issuer is a running oidc-provider with one client.
type Issuer struct {
	t        testing.TB
	profile  Profile
	client   Client
	url      string
	accounts map[string]map[string]any // restored by Restart

	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan answer   // closed when the process ends
	gone    chan struct{} // closed when it was waited for
	errors  *lockedBuffer
}

// answer is a line of the process.
type answer struct {
	URL   string `json:"url"`
	Error string `json:"error"`
}

// Start runs an issuer until the test ends. The test fails, with the line that
// installs what is missing, when there is no Node or oidc-provider.
func Start(t testing.TB, profile Profile, client Client) *Issuer {
	t.Helper()
	is := &Issuer{t: t, profile: profile, client: client, accounts: map[string]map[string]any{}, errors: &lockedBuffer{}}
	t.Cleanup(func() {
		is.Kill()
		if t.Failed() {
			t.Logf("oidc-provider, %s, said:\n%s", profile, is.errors)
		}
	})
	is.run(0)
	return is
}

// URL is the issuer's identifier.
func (is *Issuer) URL() string { return is.url }

// Config is what an operator configures for it.
func (is *Issuer) Config(id string) idp.IssuerConfig {
	cfg := idp.IssuerConfig{
		ID: id, Name: "Institution " + string(is.profile), URL: is.url, ClientID: "lodge", ClientSecret: secret,
		Scopes: []string{"profile", "email", "eduperson"}, Insecure: true,
	}
	if is.profile == Strict {
		cfg.Scopes = append(cfg.Scopes, "offline_access")
		cfg.Prompt = "consent"
	}
	return cfg
}

// Account makes an account, which signs in by its name and any password, or
// changes what the issuer says about it.
func (is *Issuer) Account(name string, claims map[string]any) {
	is.t.Helper()
	is.accounts[name] = maps.Clone(claims)
	is.must(map[string]any{"do": "account", "account": name, "claims": claims})
}

// Rotate makes the issuer sign with new keys and publish the old ones no more.
func (is *Issuer) Rotate() {
	is.t.Helper()
	is.must(map[string]any{"do": "rotate"})
}

// Logout tells the client that an account, or the one session of it, has left. An
// answer of the client's that is no success is an error.
func (is *Issuer) Logout(account, session string) error {
	is.t.Helper()
	return is.wish(map[string]any{"do": "logout", "account": account, "session": session})
}

// Kill ends the process at once, as a crash would. It may be called again.
func (is *Issuer) Kill() {
	if is.cmd == nil {
		return
	}
	_ = is.cmd.Process.Kill() // fails only when it has ended already
	<-is.gone
	is.cmd = nil
}

// Restart runs the issuer again, after Kill, at the same address, with its accounts
// and new keys; what it knew of sessions and grants is lost.
func (is *Issuer) Restart() {
	is.t.Helper()
	u, err := url.Parse(is.url)
	if err != nil {
		is.t.Fatal("issuertest: ", err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		is.t.Fatal("issuertest: ", err)
	}
	is.run(port)
	for name, claims := range is.accounts {
		is.Account(name, claims)
	}
}

// run starts the process and waits for the line that says where it listens.
func (is *Issuer) run(port int) {
	is.t.Helper()
	dir := directory(is.t)
	node, err := exec.LookPath("node")
	if err != nil {
		is.t.Fatal("issuertest: there is no Node; run deploy/test-setup.sh")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); errors.Is(err, fs.ErrNotExist) {
		is.t.Fatal("issuertest: oidc-provider is not installed; run: npm ci --prefix " + dir)
	}
	cmd := exec.Command(node, filepath.Join(dir, "server.mjs"))
	cmd.Stderr = is.errors
	in, err := cmd.StdinPipe()
	if err != nil {
		is.t.Fatal("issuertest: ", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		is.t.Fatal("issuertest: ", err)
	}
	if err := cmd.Start(); err != nil {
		is.t.Fatal("issuertest: ", err)
	}
	// One line answers each that is sent, and an ask that gives up fails the test: the
	// reader never waits for room.
	answers, gone := make(chan answer, 16), make(chan struct{})
	go func() {
		defer close(gone)
		defer close(answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var a answer
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				a.Error = fmt.Sprintf("%q is no answer", lines.Text())
			}
			answers <- a
		}
		_ = cmd.Wait() // killed, or ended by itself: either way it is gone
	}()
	is.cmd, is.in, is.answers, is.gone = cmd, in, answers, gone
	client := map[string]any{"client_id": "lodge", "client_secret": secret, "redirect_uris": []string{is.client.RedirectURI}}
	if is.client.BackchannelURI != "" {
		client["backchannel_logout_uri"] = is.client.BackchannelURI
	}
	if is.client.SignedOutURI != "" && is.profile == Strict {
		client["post_logout_redirect_uris"] = []string{is.client.SignedOutURI}
	}
	a, err := is.ask(map[string]any{"profile": is.profile, "port": port, "client": client})
	if err != nil {
		is.t.Fatalf("issuertest: oidc-provider did not start: %v\n%s", err, is.errors)
	}
	is.url = a.URL
}

// directory is where server.mjs is, from any package of the module.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal("issuertest: ", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "idp", "oidcprovider")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("issuertest: the tests do not run inside the module")
		}
		dir = parent
	}
}

func (is *Issuer) must(line map[string]any) {
	is.t.Helper()
	if err := is.wish(line); err != nil {
		is.t.Fatalf("issuertest: %v\n%s", err, is.errors)
	}
}

func (is *Issuer) wish(line map[string]any) error {
	_, err := is.ask(line)
	return err
}

// ask sends a line and waits for its answer.
func (is *Issuer) ask(line map[string]any) (answer, error) {
	raw, err := json.Marshal(line)
	if err != nil {
		return answer{}, err
	}
	if _, err := is.in.Write(append(raw, '\n')); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a, ok := <-is.answers:
		switch {
		case !ok:
			return answer{}, errors.New("the process has ended")
		case a.Error != "":
			return answer{}, errors.New(a.Error)
		}
		return a, nil
	case <-timer.C:
		return answer{}, fmt.Errorf("no answer within %v", limit)
	}
}

// lockedBuffer is what a process writes while others read.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
