package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/idp/idptest"
)

// sendOff signs a browser out and returns where it is sent.
func (b *idBrowser) sendOff() *url.URL {
	b.Helper()
	res, body := b.do("POST", "/logout", url.Values{})
	to, err := res.Location()
	if res.StatusCode != http.StatusSeeOther || err != nil {
		b.Fatalf("POST /logout: %d %s", res.StatusCode, body)
	}
	b.wantStatus(b, "the browser that signed out", http.StatusUnauthorized)
	return to
}

func TestSec12_SignOutGoesOnToTheIssuer(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada, other := w.signedIn("ada"), w.signedIn("ada")
	home, page := ada.do("GET", "/", nil)
	if csp := home.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+w.issuer.URL) {
		t.Errorf("a browser will not follow the form to the issuer: %s", csp)
	}
	if strings.Contains(string(page), "eyJ") {
		t.Error("a page holds a token")
	}

	to := ada.sendOff()
	q := to.Query()
	if to.Scheme+"://"+to.Host != w.issuer.URL || to.Path != "/end_session" {
		t.Fatalf("sent to %s", to)
	}
	if q.Get("post_logout_redirect_uri") != w.url+"/signed-out" || q.Get("state") == "" || strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("client_id") != "lodge" {
		t.Errorf("query %v", q)
	}
	res, body := ada.do("GET", to.String(), nil) // the issuer checks the hint and the address
	back, err := res.Location()
	if err != nil {
		t.Fatalf("the issuer answers %d %s", res.StatusCode, body)
	}
	if back.Path != "/signed-out" || back.Query().Get("state") != q.Get("state") {
		t.Errorf("back at %s", back)
	}
	if res, _ := ada.do("GET", back.String(), nil); res.Header.Get("Location") != "/?done=signed-out" {
		t.Errorf("then at %q", res.Header.Get("Location"))
	}
	w.wantStatus(other, "her other browser", http.StatusOK)
	if status := ada.status("/"); status != http.StatusOK {
		t.Errorf("home: %d", status)
	}

	// The address alone, a second time or made up, says and does nothing.
	for _, address := range []string{back.String(), "/signed-out", "/signed-out?state=made-up"} {
		for _, b := range []*idBrowser{ada, other} {
			if res, _ := b.do("GET", address, nil); res.Header.Get("Location") != "/" {
				t.Errorf("%s leads to %q", address, res.Header.Get("Location"))
			}
		}
	}
	w.wantStatus(other, "her other browser", http.StatusOK)
}

func TestSec12_SignOutTakesAPost(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada := w.signedIn("ada")
	if status := ada.status("/logout"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET /logout: %d", status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := ada.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %d", res.StatusCode)
	}
	w.wantStatus(ada, "ada", http.StatusOK)
}

func TestSignOutWorksWithoutTheIssuer(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(*idptest.Config)
		down  bool
		want  string
	}{
		"no such place": {func(c *idptest.Config) {
			c.Faults.Discovery = func(doc map[string]any) { delete(doc, "end_session_endpoint") }
		}, false, "/?done=signed-out"},
		"issuer down": {func(*idptest.Config) {}, true, "/?done=signed-out-here"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newIDWorld(t, idOptions{provider: test.fault})
			ada := w.signedIn("ada")
			if test.down {
				w.issuer.Close()
				w.clock.add(2 * time.Hour) // what is known of it is too old; the login is idle, and can end
			}
			if to := ada.sendOff(); to.RequestURI() != test.want {
				t.Errorf("sent to %s", to)
			}
		})
	}
}
