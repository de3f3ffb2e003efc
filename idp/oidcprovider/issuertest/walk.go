package issuertest

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// maxSteps bounds a walk through the issuer's pages.
const maxSteps = 12

var (
	formPattern  = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	inputPattern = regexp.MustCompile(`<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// SignIn walks from an authorization address, as Lodge makes it, through the
// issuer's pages as an account: it signs in, agrees to what is asked, and returns
// where the issuer then sends the browser, without going there. A client that has
// signed in before may not be asked again.
func (is *Issuer) SignIn(client *http.Client, location, account string) string {
	is.t.Helper()
	return is.walk(client, location, url.Values{"login": {account}, "password": {"any"}})
}

// SignOut walks from a sign-out address likewise, and confirms. Where nobody asked
// to have the browser back, the issuer's last page is what it returns.
func (is *Issuer) SignOut(client *http.Client, location string) string {
	is.t.Helper()
	return is.walk(client, location, url.Values{"logout": {"yes"}})
}

// walk follows redirects and sends forms, filled in, until it is sent away from the
// issuer.
func (is *Issuer) walk(client *http.Client, location string, fill url.Values) string {
	is.t.Helper()
	// The caller's client may follow redirects; this one must not.
	browser := &http.Client{
		Jar: client.Jar, Transport: client.Transport, Timeout: limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var form url.Values
	for range maxSteps {
		if !strings.HasPrefix(location, is.url+"/") {
			return location
		}
		method, body := http.MethodGet, io.Reader(nil)
		if form != nil {
			method, body = http.MethodPost, strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(is.t.Context(), method, location, body)
		if err != nil {
			is.t.Fatal("issuertest: ", err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := browser.Do(req)
		if err != nil {
			is.t.Fatal("issuertest: ", err)
		}
		page, err := io.ReadAll(res.Body)
		if closed := res.Body.Close(); err != nil || closed != nil {
			is.t.Fatal("issuertest: ", err, closed)
		}
		if to, err := res.Location(); err == nil {
			location, form = to.String(), nil
			continue
		}
		action := formPattern.FindSubmatch(page)
		if res.StatusCode == http.StatusOK && action == nil && fill.Has("logout") {
			return location
		}
		if res.StatusCode != http.StatusOK || action == nil {
			is.t.Fatalf("issuertest: %s %s: status %d and no form: %s", method, location, res.StatusCode, page)
		}
		form = url.Values{}
		for _, input := range inputPattern.FindAllSubmatch(page, -1) {
			form.Set(html.UnescapeString(string(input[1])), html.UnescapeString(string(input[2])))
		}
		for name, values := range fill {
			form[name] = values
		}
		to, err := res.Request.URL.Parse(html.UnescapeString(string(action[1])))
		if err != nil {
			is.t.Fatal("issuertest: ", err)
		}
		location = to.String()
	}
	is.t.Fatalf("issuertest: %d pages, and no way out; the last is %s", maxSteps, location)
	return ""
}
