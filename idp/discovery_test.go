package idp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func certificate(t *testing.T, w *world) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(w.issuer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	return conn.ConnectionState().PeerCertificates[0]
}

func start(w *world) error {
	_, _, err := w.rp.Start(w.Context(), "dev", StartOptions{RedirectURI: redirect})
	return err
}

func TestConfigurationIsCheckedAtOnce(t *testing.T) {
	good := IssuerConfig{ID: "uni", URL: "https://idp.example", ClientID: "lodge"}
	for name, test := range map[string]struct {
		change func(*IssuerConfig)
		says   string
	}{
		"no id":               {func(c *IssuerConfig) { c.ID = "" }, "id"},
		"id with a slash":     {func(c *IssuerConfig) { c.ID = "a/b" }, "id"},
		"id in capitals":      {func(c *IssuerConfig) { c.ID = "Uni" }, "id"},
		"no client":           {func(c *IssuerConfig) { c.ClientID = "" }, "register"},
		"no url":              {func(c *IssuerConfig) { c.URL = "" }, "https"},
		"not a url":           {func(c *IssuerConfig) { c.URL = "https://a b" }, "URL"},
		"http":                {func(c *IssuerConfig) { c.URL = "http://idp.example" }, "https"},
		"http on loopback":    {func(c *IssuerConfig) { c.URL = "http://127.0.0.1:8080" }, "insecure"},
		"ftp":                 {func(c *IssuerConfig) { c.URL = "ftp://idp.example" }, "https"},
		"insecure elsewhere":  {func(c *IssuerConfig) { c.Insecure = true }, "this machine only"},
		"insecure http there": {func(c *IssuerConfig) { c.URL, c.Insecure = "http://idp.example", true }, "https"},
		"insecure by prefix":  {func(c *IssuerConfig) { c.URL, c.Insecure = "http://localhost.example", true }, "https"},
		"user information":    {func(c *IssuerConfig) { c.URL = "https://u:p@idp.example" }, "user information"},
		"fragment":            {func(c *IssuerConfig) { c.URL = "https://idp.example#a" }, "fragment"},
		"query":               {func(c *IssuerConfig) { c.URL = "https://idp.example?a=b" }, "query"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			test.change(&cfg)
			if _, err := New([]IssuerConfig{cfg}, newClock(), Options{}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("New: %v, want an error that says %q", err, test.says)
			}
		})
	}
	for _, ok := range []string{"http://localhost:9", "http://127.0.0.1", "http://[::1]:9", "https://localhost", "http://idp.localhost:9"} {
		if _, err := New([]IssuerConfig{{ID: "dev", URL: ok, ClientID: "l", Insecure: true}}, newClock(), Options{}); err != nil {
			t.Errorf("%s, insecure: %v", ok, err)
		}
	}
	_, err := New([]IssuerConfig{good, good, {ID: "x", ClientID: "c"}}, newClock(), Options{})
	if err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("two faults: %v, want both", err)
	}
	second := IssuerConfig{ID: "b", Name: "Other", URL: "https://b.example", ClientID: "c"}
	rp, err := New([]IssuerConfig{good, second}, newClock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if is := rp.Issuers(); len(is) != 2 || is[0] != (Issuer{"uni", "uni"}) || is[1] != (Issuer{"b", "Other"}) {
		t.Errorf("Issuers = %v", is)
	}
}

func TestSec15_MetadataIsOfExactlyThisIssuer(t *testing.T) {
	for name, change := range map[string]func(string) any{
		"slash":    func(s string) any { return s + "/" },
		"another":  func(string) any { return "https://other.example" },
		"case":     func(s string) any { return strings.Replace(s, "https", "HTTPS", 1) },
		"absent":   func(string) any { return nil },
		"a number": func(string) any { return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { doc["issuer"] = change(doc["issuer"].(string)) }})
			wantRefused(t, start(w), lodge.CodeUnavailable)
		})
	}
}

func TestSec19_EndpointsAreHTTPS(t *testing.T) {
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"} {
		for _, url := range []string{"http://idp.example/x", "http://127.0.0.1/x", "javascript:alert(1)", "https://u:p@idp.example/x", "//idp.example/x", "/x"} {
			w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { doc[endpoint] = url }})
			if err := start(w); lodge.CodeOf(err) != lodge.CodeUnavailable {
				t.Errorf("%s at %s: %v", endpoint, url, err)
			}
		}
	}
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { delete(doc, endpoint) }})
		if err := start(w); lodge.CodeOf(err) != lodge.CodeUnavailable {
			t.Errorf("without %s: %v", endpoint, err)
		}
	}
}

// at returns faults that answer one path of the issuer with handler.
func at(path string, handler http.HandlerFunc) idptest.Faults {
	return idptest.Faults{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		handler(w, r)
		return true
	}}
}

const wellKnown = "/.well-known/openid-configuration"

func TestSec19_RedirectsAreNotFollowed(t *testing.T) {
	for _, path := range []string{wellKnown, "/token", "/jwks", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			var followed atomic.Bool
			faults := at(path, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			})
			redirecting := faults.Intercept
			faults.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/elsewhere" {
					followed.Store(true)
				}
				return redirecting(w, r)
			}
			faults.Claims = func(c map[string]any) { delete(c, "name") } // so that /userinfo is needed
			w := newWorld(t, faults)
			var err error
			if path == wellKnown {
				err = start(w)
			} else {
				_, err = w.signIn()
			}
			wantRefused(t, err, lodge.CodeUnavailable)
			if followed.Load() {
				t.Error("the redirect was followed")
			}
		})
	}
}

func TestSec19_AnswersAreBounded(t *testing.T) {
	for _, path := range []string{wellKnown, "/token", "/jwks", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			var sent atomic.Int64
			faults := at(path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				block := []byte(strings.Repeat(" ", 1<<16))
				for range 1 << 10 { // 64 MiB, if anybody reads that much
					n, err := w.Write(block)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
			faults.Claims = func(c map[string]any) { delete(c, "name") }
			w := newWorld(t, faults)
			var err error
			if path == wellKnown {
				err = start(w)
			} else {
				_, err = w.signIn()
			}
			wantRefused(t, err, lodge.CodeUnavailable)
			if n := sent.Load(); n > 32<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

func TestLimitedBodyCountsExactly(t *testing.T) {
	for size, good := range map[int]bool{maxBody - 1: true, maxBody: true, maxBody + 1: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("a", size-2) + `"`)) // an error is a reader that had enough
		}))
		var got string
		client := newClient(IssuerConfig{Insecure: true}, Options{Timeout: 10 * time.Second, MaxAnswer: maxBody})
		err := getJSON(t.Context(), client, server.URL, "", &got)
		if (err == nil) != good || err != nil && !errors.Is(err, errTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
		server.Close()
	}
}

func TestSec19_PrivateAddressesAreRefusedAtDial(t *testing.T) {
	public := IssuerConfig{}
	private := IssuerConfig{Private: true}
	insecure := IssuerConfig{Insecure: true}
	for address, want := range map[string][3]bool{ // allowed for: public, private, insecure
		"93.184.215.14:443":           {true, true, false},
		"[2606:2800:21f:cb07::1]:443": {true, true, false},
		"127.0.0.1:443":               {false, true, true},
		"127.9.9.9:80":                {false, true, true},
		"[::1]:443":                   {false, true, true},
		"[::ffff:127.0.0.1]:443":      {false, true, true},
		"10.0.0.1:443":                {false, true, false},
		"172.16.0.1:443":              {false, true, false},
		"192.168.1.1:443":             {false, true, false},
		"[::ffff:10.0.0.1]:443":       {false, true, false},
		"[fd00::1]:443":               {false, true, false},
		"169.254.169.254:80":          {false, false, false},
		"[fe80::1%eth0]:443":          {false, false, false},
		"0.0.0.0:443":                 {false, false, false},
		"[::]:443":                    {false, false, false},
		"100.64.0.1:443":              {false, false, false},
		"198.18.0.1:443":              {false, false, false},
		"224.0.0.1:443":               {false, false, false},
		"255.255.255.255:443":         {false, false, false},
		"240.0.0.1:443":               {false, false, false},
		"[64:ff9b::7f00:1]:443":       {false, false, false},
		"[2002:7f00:1::]:443":         {false, false, false},
		"[::7f00:1]:443":              {false, false, false},
		"[fec0::1]:443":               {false, false, false},
		"[ff02::1]:443":               {false, false, false},
		"[2001:db8::1]:443":           {false, false, false},
		"idp.example:443":             {false, false, false},
	} {
		for i, cfg := range []IssuerConfig{public, private, insecure} {
			if err := cfg.allow(address); (err == nil) != want[i] {
				t.Errorf("%s for %+v: %v", address, cfg, err)
			}
		}
	}
	t.Run("for real", func(t *testing.T) {
		var asked atomic.Bool
		w := newWorld(t, idptest.Faults{Intercept: func(http.ResponseWriter, *http.Request) bool { asked.Store(true); return false }},
			func(c *IssuerConfig, _ *idptest.Client) { c.Private = false })
		wantRefused(t, start(w), lodge.CodeUnavailable)
		if asked.Load() {
			t.Error("the issuer at a private address was asked")
		}
	})
}

// An answer that comes a byte at a time is bounded as a whole.
func TestSec19_AnswersThatTrickleAreGivenUp(t *testing.T) {
	w := newWorld(t, at(wellKnown, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush() // fails when the next Write does
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	w.rp = w.party(Options{Timeout: 300 * time.Millisecond})
	began := time.Now()
	wantRefused(t, start(w), lodge.CodeUnavailable)
	if took := time.Since(began); took > 10*time.Second { // it would have gone on for ever
		t.Errorf("took %v", took)
	}
}

// A proxy of the environment would see what is sent to issuers, and reach what is
// refused at dial.
func TestSec19_ProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	transport, ok := newClient(IssuerConfig{}, Options{}).Transport.(limited).next.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestUntrustedCertificateIsRefused(t *testing.T) {
	w := newWorld(t, idptest.Faults{})
	w.roots = x509.NewCertPool()
	w.rp = w.party(Options{})
	wantRefused(t, start(w), lodge.CodeUnavailable)
}

// The promise is two seconds; a hanging issuer takes up the whole of the limit.
func TestIssuerDownIsSaidWithinTwoSeconds(t *testing.T) {
	for _, path := range []string{wellKnown, "/token", "/jwks", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			faults := at(path, func(_ http.ResponseWriter, r *http.Request) { // accepts, and never answers
				select {
				case <-r.Context().Done():
				case <-gone:
				}
			})
			faults.Claims = func(c map[string]any) { delete(c, "name") }
			w := newWorld(t, faults)
			t.Cleanup(func() { close(gone) })
			var err error
			began := time.Now()
			if path == wellKnown {
				err = start(w)
			} else {
				flow, query := w.begin()
				began = time.Now()
				_, err = w.rp.Finish(t.Context(), "dev", flow, query, redirect)
			}
			if took := time.Since(began); took >= 2*time.Second {
				t.Errorf("took %v", took)
			}
			wantRefused(t, err, lodge.CodeUnavailable)
			if e, ok := errors.AsType[*lodge.Error](err); !ok || e.RetryAfter <= 0 || !strings.Contains(e.Safe, "Example University") {
				t.Errorf("error %+v does not name the institution and when to try again", err)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		rp, err := New([]IssuerConfig{{ID: "dev", Name: "Example University", URL: "http://" + address, ClientID: "c", Insecure: true}}, newClock(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = rp.Start(t.Context(), "dev", StartOptions{})
		wantRefused(t, err, lodge.CodeUnavailable)
	})
}

func TestTroubleAtTheIssuerIsUnavailable(t *testing.T) {
	for name, faults := range map[string]idptest.Faults{
		"token: 500": at("/token", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret inside", http.StatusInternalServerError)
		}),
		"token: invalid_client": at("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"secret inside"}`)) // to a test
		}),
		"token: no JSON": at("/token", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret inside")) }),
		"keys: 500": at("/jwks", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret inside", http.StatusInternalServerError)
		}),
		"keys: no JSON":        at("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret inside")) }),
		"keys: none":           at("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }),
		"userinfo: of another": {Claims: func(c map[string]any) { delete(c, "name") }, UserInfo: func(c map[string]any) { c["sub"] = "root" }},
		"userinfo: of nobody":  {Claims: func(c map[string]any) { delete(c, "name") }, UserInfo: func(c map[string]any) { delete(c, "sub") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, faults)
			_, err := w.signIn()
			wantRefused(t, err, lodge.CodeUnavailable, "secret inside", w.cfg.ClientSecret)
		})
	}
}

func TestRel12_NobodyIsSentToAnIssuerThatIsDown(t *testing.T) {
	var down atomic.Bool
	var asked atomic.Int32
	w := newWorld(t, idptest.Faults{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != wellKnown {
			return false
		}
		asked.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
		}
		return down.Load()
	}})
	step := func(name string, isDown bool, wait time.Duration, code lodge.Code, times int32) {
		t.Helper()
		down.Store(isDown)
		w.clock.add(wait)
		if err := start(w); lodge.CodeOf(err) != code {
			t.Errorf("%s: %v, want code %q", name, err, code)
		}
		if got := asked.Load(); got != times {
			t.Errorf("%s: asked %d times by now, want %d", name, got, times)
		}
	}
	step("down at first", true, 0, lodge.CodeUnavailable, 1)
	step("not asked again at once", true, firstPause/2, lodge.CodeUnavailable, 1)
	step("asked after the pause", true, firstPause, lodge.CodeUnavailable, 2)
	step("and then less often", true, firstPause, lodge.CodeUnavailable, 2)
	step("back", false, lastPause, "", 3)
	step("heard from just now", true, heardFrom, "", 3)
	step("nobody is sent to one that is down", true, time.Second, lodge.CodeUnavailable, 4)
	step("back again", false, firstPause, "", 5)
}

func TestManyAtOnceAskOnce(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	value := newCached(newClock(), freshFor, func(context.Context) (int, error) {
		asked.Add(1)
		<-release
		return 42, nil
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if v, err := value.get(t.Context()); v != 42 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestABrowserThatLeavesDoesNotSpoilTheFetch(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	value := newCached(newClock(), freshFor, func(ctx context.Context) (int, error) {
		leave()
		return 42, ctx.Err()
	})
	if v, err := value.get(ctx); v != 42 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
}

func TestWaitingEndsWithTheDeadline(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	value := newCached(newClock(), freshFor, func(context.Context) (int, error) {
		close(entered)
		<-release
		return 42, nil
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if v, err := value.get(t.Context()); v != 42 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := value.get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	close(release)
	wg.Wait()
}
