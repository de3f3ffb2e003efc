package gateway_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// program is where a server is: Debian keeps some out of PATH.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

// nginx runs the sample inside of the http block that Debian's nginx.conf is to
// others.
func nginx(l *protectedLab, config string) *exec.Cmd {
	l.Helper()
	var temporary strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary.WriteString(what + "_temp_path " + filepath.Join(l.dir, what) + ";\n")
	}
	file := filepath.Join(l.dir, "nginx.conf")
	l.must(os.WriteFile(file, []byte("daemon off; master_process off; pid "+filepath.Join(l.dir, "pid")+"; error_log stderr;\nevents {}\nhttp {\n"+temporary.String()+config+"}\n"), 0o600))
	return exec.Command(program("nginx"), "-e", "stderr", "-p", l.dir, "-c", file)
}

// caddy runs the sample with what would reach for ports and directories of the
// machine's off.
func caddy(l *protectedLab, config string) *exec.Cmd {
	l.Helper()
	file := filepath.Join(l.dir, "Caddyfile")
	l.must(os.WriteFile(file, []byte("{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"+config), 0o600))
	cmd := exec.Command(program("caddy"), "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "XDG_DATA_HOME="+l.dir, "XDG_CONFIG_HOME="+l.dir)
	return cmd
}

// haproxy runs the sample with one certificate, in one process.
func haproxy(l *protectedLab, config string) *exec.Cmd {
	l.Helper()
	certs := filepath.Join(l.dir, "certs")
	l.must(os.Mkdir(certs, 0o700))
	var both []byte
	for _, name := range []string{"cert.pem", "key.pem"} {
		part, err := os.ReadFile(filepath.Join(l.dir, name))
		l.must(err)
		both = append(both, part...)
	}
	l.must(os.WriteFile(filepath.Join(certs, "lab.pem"), both, 0o600))
	config = strings.NewReplacer("bind :443", "bind "+l.proxy, "/etc/haproxy/certs/", certs+"/").Replace(config)
	file := filepath.Join(l.dir, "haproxy.cfg")
	l.must(os.WriteFile(file, []byte(config), 0o600))
	return exec.Command(program("haproxy"), "-db", "-f", file)
}

// proxies are the samples that are tried for real, with a service that they protect.
var proxies = map[string]struct {
	sample string
	start  func(*protectedLab, string) *exec.Cmd
}{
	"nginx": {"nginx.conf", nginx},
	"caddy": {"Caddyfile", caddy},
}

func eachProxy(t *testing.T, test func(t *testing.T, l *protectedLab)) {
	t.Helper()
	for name, proxy := range proxies {
		t.Run(name, func(t *testing.T) { test(t, behind(t, proxy.sample, proxy.start)) })
	}
}

// eachCarrier is eachProxy with those, too, that protect no other service.
func eachCarrier(t *testing.T, test func(t *testing.T, l *protectedLab)) {
	t.Helper()
	eachProxy(t, test)
	t.Run("haproxy", func(t *testing.T) { test(t, behind(t, "haproxy.cfg", haproxy)) })
}

// A protected service gets who it is, and nothing from somebody who is nobody.
func TestProxiesLetInWhoIsSignedIn(t *testing.T) {
	eachProxy(t, func(t *testing.T, l *protectedLab) {
		s, cookie := l.login("Søren Ó Briain")
		for _, method := range []string{"GET", "POST", "DELETE", "HEAD"} {
			got := l.ask(method, "/wiki/page?a=b", cookie, pair{"Cookie", "theme=dark"})
			seen := l.wiki.requests()
			if got.status != 200 || got.header.Get("X-From") != "wiki" || len(seen) != 1 {
				t.Fatalf("%s: %d %s, %d at the service", method, got.status, got.body, len(seen))
			}
			r := seen[0]
			if name, err := url.PathUnescape(r.Header.Get("X-Lodge-Name")); err != nil || name != s.Name || strings.ContainsFunc(r.Header.Get("X-Lodge-Name"), func(c rune) bool { return c > '~' }) {
				t.Errorf("the name is %q", r.Header.Get("X-Lodge-Name"))
			}
			if r.Header.Get("X-Lodge-Subject") != string(s.Person) || r.Header.Get("X-Lodge-Tenant") != "default" || r.Header.Get("X-Lodge-Groups") != "physics-1" || r.Header.Get("X-Lodge-Roles") != "instructor@group:physics-1" {
				t.Errorf("%v", r.Header)
			}
			if r.Method != method || r.URL.RequestURI() != "/wiki/page?a=b" || r.Host != labHost || r.Header.Get("X-Forwarded-Proto") != "https" || r.Header.Get("X-Forwarded-Host") != labHost || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("%s %s at %s, %v", r.Method, r.URL, r.Host, r.Header)
			}
			if sent := strings.Join(r.Header.Values("Cookie"), "; "); strings.Contains(sent, "lodge") || !strings.Contains(sent, "theme=dark") {
				t.Errorf("cookies at the service: %q", sent)
			}
		}
		l.echo("/wiki/live", cookie)
		l.wiki.requests()

		navigates := pair{"Sec-Fetch-Mode", "navigate"}
		nobody := l.ask("GET", "/wiki/a%20page", navigates)
		if at, err := url.Parse(nobody.header.Get("Location")); err != nil || nobody.status != 303 || at.Path != "/login" || at.Query().Get("return") != "/wiki/a page" {
			t.Errorf("a page is sent to %d %s", nobody.status, nobody.header.Get("Location"))
		}
		for _, headers := range [][]pair{
			nil,
			{{"Cookie", labLogin + "=x"}},
			{{"Cookie", labLogin + "=\"%00"}},
			{{"Cookie", labLogin + "=" + strings.Repeat("A", 4000)}},
			{{"Cookie", "="}},
			{{"Cookie", ";;;"}},
			{{"Cookie", cookie.value + "; " + labLogin + "=lodge_log_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
			{{"Authorization", strings.TrimPrefix(cookie.value, labLogin+"=")}},
			{{"X-Forwarded-Host", "other.lodge.test"}, {"Cookie", labLogin + "=x"}},
		} {
			if got := l.ask("GET", "/wiki/page", headers...); got.status != 401 {
				t.Errorf("%v: %d", headers, got.status)
			}
		}
		if conn, status := wstest.TryDial(t, l.client(), "wss://"+labHost+"/wiki/live", nil); conn != nil || status != 401 {
			t.Errorf("a websocket of nobody's: %d", status)
		}
		if seen := l.wiki.requests(); len(seen) > 0 {
			t.Errorf("%d requests of nobody's reached the service", len(seen))
		}
	})
}

// TestSec37: who a request comes from is what Lodge says, however it is claimed
// otherwise, and no way of writing a path leads past the question.
func TestSec37_ProxiesStripIdentityAndNormalisePaths(t *testing.T) {
	eachProxy(t, func(t *testing.T, l *protectedLab) {
		s, cookie := l.login("Ada Lovelace")
		var forged []string
		for _, field := range []string{"Subject", "Tenant", "Name", "Groups", "Roles"} {
			for _, name := range []string{"X-Lodge-" + field, "x-lodge-" + strings.ToLower(field), "X_Lodge_" + field, "X-Lodge_" + field, "X_LODGE-" + strings.ToUpper(field), "x_lodge_" + strings.ToLower(field)} {
				forged = append(forged, name+": forged", name+": forged again")
			}
		}
		if line := l.raw("/wiki/page", append(forged, "Cookie: "+cookie.value)...); !strings.Contains(line, " 200 ") {
			t.Fatalf("with forged headers: %s", line)
		}
		seen := l.wiki.requests()
		if len(seen) != 1 || seen[0].Header.Get("X-Lodge-Subject") != string(s.Person) {
			t.Fatalf("%d requests, %v", len(seen), seen)
		}
		for name, values := range seen[0].Header {
			if strings.Contains(strings.Join(values, ""), "forged") || strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "x-lodge-") && len(values) != 1 {
				t.Errorf("%s: %v reached the service", name, values)
			}
		}
		if line := l.raw("/wiki/page", forged...); !strings.Contains(line, " 401 ") {
			t.Errorf("nobody with forged headers: %s", line)
		}

		targets := []string{
			"/wiki/", "//wiki/", "/wiki//", "///wiki/admin", "/./wiki/", "/x/../wiki/", "/x/%2e%2e/wiki/", "/x/..%2fwiki/", "/x/.%2e/wiki/", "/%77iki/", "/wiki%2f",
			"/wiki/../wiki/", "/wiki/%2e%2e/wiki/admin", "/wiki/..%2f..%2fetc/passwd", "/static/../wiki/", "/static/%2e%2e/wiki/", "/login/..%2f/wiki/", "/wiki/;x", "/wiki;/",
			"/WIKI/", "/wiki/\\..\\", "/wiki/%00", "/auth/verify/../../wiki/", "/healthz/../wiki/", "/lodge-verify", "/wiki/?/../..", labURL + "/wiki/", "http://127.0.0.1/wiki/",
		}
		for _, target := range targets {
			line := l.raw(target, "Sec-Fetch-Mode: cors")
			if reached := l.wiki.requests(); len(reached) > 0 {
				t.Errorf("%s reaches the service unasked: %s", target, line)
			}
			l.raw(target, append(forged, "Cookie: "+cookie.value)...)
			for _, r := range l.wiki.requests() {
				if r.Header.Get("X-Lodge-Subject") != string(s.Person) {
					t.Errorf("%s reaches the service as %q", target, r.Header.Get("X-Lodge-Subject"))
				}
			}
		}
	})
}

// What was ended is refused at the next request, and when Lodge cannot be asked,
// nobody passes.
func TestProxiesFailClosed(t *testing.T) {
	eachProxy(t, func(t *testing.T, l *protectedLab) {
		s, cookie := l.login("Ada Lovelace")
		if got := l.ask("GET", "/wiki/", cookie); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		l.must(l.sessions.Revoke(t.Context(), s.Tenant, s.ID, "Over."))
		if got := l.ask("GET", "/wiki/", cookie); got.status != 401 {
			t.Errorf("after the revocation: %d", got.status)
		}
		_, cookie = l.login("Søren")
		l.wiki.requests()
		for name, cut := range map[string]http.HandlerFunc{
			"gone":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"unable to tell":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"broken":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
			"saying otherwise": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
		} {
			l.lodge.set(cut)
			got := l.ask("GET", "/wiki/", cookie)
			if got.status < 300 || name != "saying otherwise" && got.status < 500 || len(l.wiki.requests()) > 0 {
				t.Errorf("Lodge is %s: %d", name, got.status)
			}
			l.lodge.set(nil)
			if got := l.ask("GET", "/wiki/", cookie); got.status != 200 {
				t.Errorf("Lodge was %s: %d", name, got.status)
			}
			l.wiki.requests()
		}
	})
}

// Lodge itself works behind the samples: pages, forms, the message socket, event
// streams as they are sent, and the experiment pages on their own host.
func TestProxiesCarryLodge(t *testing.T) {
	eachCarrier(t, func(t *testing.T, l *protectedLab) {
		_, cookie := l.login("Ada Lovelace")
		if got := l.ask("GET", "/api/v1/me", cookie); got.status != 200 || !strings.Contains(string(got.body), "Ada Lovelace") {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got := l.ask("GET", "/sessions", cookie); got.status != 200 {
			t.Errorf("a page: %d", got.status)
		}
		if got := l.ask("POST", "/api/v1/me/sessions/revoke-others", cookie, pair{"Origin", "https://evil.example"}, pair{"Sec-Fetch-Site", "cross-site"}); got.status != 403 {
			t.Errorf("from another site: %d", got.status)
		}
		conn := wstest.Dial(t, l.client(), "wss://"+labHost+"/api/v1/messages/ws", http.Header{"Cookie": {cookie.value}, "Origin": {labURL}})
		if kind, _ := wstest.Read(t, conn); kind != websocket.MessageText {
			t.Errorf("the message socket begins with %v", kind)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, labURL+"/api/v1/messages/events", nil)
		l.must(err)
		req.Header.Set("Cookie", cookie.value)
		stream, err := l.client().Do(req)
		l.must(err)
		defer func() { _ = stream.Body.Close() }() // it does not end by itself
		if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || stream.StatusCode != 200 {
			t.Errorf("the event stream: %d %q %v", stream.StatusCode, line, err)
		}
		l.handsIn(3 << 20)
	})
}

// handsIn hands in a file of so many bytes, through the proxy.
func (l *protectedLab) handsIn(size int64) {
	l.Helper()
	_, grace := l.login("Grace Hopper")
	student, ada := l.login("Ada Lovelace")
	_, err := l.persons.Guest(l.Context(), lodge.DefaultTenant, student.Person, student.Name, "Lovelace")
	l.must(err)
	set, err := json.Marshal(gateway.HandInRequest{
		To: "group:physics-1", Title: "Report", Points: 20, Limits: gateway.HandInLimits{FileSize: 2 * size, Total: 2 * size, Types: []string{"jpg"}},
	})
	l.must(err)
	got := l.send("POST", "/api/v1/handins", string(set), grace, pair{"Content-Type", "application/json"})
	var one gateway.HandInView
	l.must(json.Unmarshal(got.body, &one))
	body, contentType := formOf(l.T, part{"file", "swing.jpg", jpeg + strings.Repeat("x", int(size))})
	if got := l.send("POST", "/api/v1/handins/"+one.ID+"/work", body, ada, pair{"Content-Type", contentType}, pair{"Idempotency-Key", "once"}); got.status != 201 {
		l.Errorf("%d bytes handed in: %d %s", size, got.status, got.body)
	}
}

// What Envoy and Traefik send, to the letter, is answered as what it is.
func TestVerifyAsEnvoyAndTraefikAsk(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	lodgeHost := strings.TrimPrefix(l.url, "http://")
	b := l.browser()
	b.client.Transport = http.DefaultTransport.(*http.Transport).Clone() // these are Envoy's own addresses, and no operations
	t.Cleanup(b.client.CloseIdleConnections)
	// Envoy: the method, the path behind path_prefix, Host, an empty body, and what
	// allowed_headers name.
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		for _, path := range []string{"/auth/verify/wiki/page?a=b", "/auth/verify/", "/auth/verify/../../admin", "/auth/verify/%2e%2e/%2e%2e/logout", "/auth/verify//x", "/auth/verify"} {
			headers := []pair{{"Host", lodgeHost}, {"Content-Length", "0"}, {"X-Envoy-Internal", "true"}, {"X-Forwarded-For", "203.0.113.9"}, {"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}}
			if got := b.do(method, path, nil, append(headers, ada.cookies())...); got.status != 200 || got.header.Get("X-Lodge-Subject") != ada.me().Person || len(got.body) > 0 {
				t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
			}
			if got := b.do(method, path, nil, headers...); got.status != 401 || got.header.Get("X-Lodge-Subject") != "" {
				t.Errorf("%s %s of nobody: %d", method, path, got.status)
			}
		}
	}
	if got := b.do("GET", "/auth/verifying", nil, ada.cookies()); got.status != 404 {
		t.Errorf("another address: %d", got.status)
	}
	if me := ada.me(); me.Person == "" {
		t.Error("something was done to the session")
	}
}

// TestSec36: the host name that Traefik names in X-Forwarded-Host counts from a
// listed proxy alone, and never against one of ours.
func TestSec36_VerifyUnderAForwardedHost(t *testing.T) {
	l := behindTraefik(t, "127.0.0.1/32")
	ada, cookie := l.login("Ada Lovelace")
	forwarded := func(host string) []pair {
		return []pair{
			{"Host", "127.0.0.1:8080"}, {"X-Forwarded-Method", "POST"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", host},
			{"X-Forwarded-Uri", "/wiki/page"}, {"X-Forwarded-For", "203.0.113.9"}, cookie,
		}
	}
	b := l.browser()
	if got := b.do("GET", "/auth/verify", nil, forwarded(labHost)...); got.status != 200 || got.header.Get("X-Lodge-Subject") != string(ada.Person) {
		t.Errorf("as Traefik asks: %d %v", got.status, got.header)
	}
	for name, headers := range map[string][]pair{
		"a host that is none of ours": forwarded("evil.example"),
		"two of them":                 append(forwarded(labHost), pair{"X-Forwarded-Host", labHost}),
		"a list":                      forwarded(labHost + ", " + otherHost),
	} {
		if got := b.do("GET", "/auth/verify", nil, headers...); got.status != 421 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	headers := forwarded(otherHost)
	if got := b.do("GET", "/auth/verify", nil, append(headers, pair{"Host", labHost})...); got.status != 200 || got.header.Get("X-Lodge-Tenant") != "default" {
		t.Errorf("a forwarded host against ours: %d %v", got.status, got.header)
	}
	if got := b.do("GET", "/api/v1/me", nil, forwarded(labHost)...); got.status != 421 {
		t.Errorf("another address: %d", got.status)
	}
	elsewhere := behindTraefik(t, "192.0.2.0/24")
	_, cookie = elsewhere.login("Ada Lovelace")
	if got := elsewhere.browser().do("GET", "/auth/verify", nil, forwarded(labHost)...); got.status != 421 {
		t.Errorf("from a proxy that is not listed: %d", got.status)
	}
}

// The samples that are not run are read, and say what the others and the router
// say.
func TestProxySamplesAgree(t *testing.T) {
	address := regexp.MustCompile(`127\.0\.0\.1:(8080|8081|3000)`)
	for _, name := range []string{"nginx.conf", "Caddyfile", "traefik.yml", "traefik-dynamic.yml", "envoy.yaml"} {
		body, err := os.ReadFile(filepath.Join("../deploy/proxies", name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if strings.HasSuffix(name, "ml") {
			var document map[string]any
			if err := yaml.Unmarshal(body, &document); err != nil || len(document) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if name == "traefik.yml" {
			continue
		}
		if name == "envoy.yaml" {
			text = regexp.MustCompile(`address: 127\.0\.0\.1, port_value: `).ReplaceAllString(text, "127.0.0.1:")
		}
		found := address.FindAllString(text, -1)
		slices.Sort(found)
		if found = slices.Compact(found); !slices.Equal(found, []string{"127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1:8081"}) {
			t.Errorf("%s has the addresses %v", name, found)
		}
		for _, part := range []string{"/auth/verify", "/wiki/", labHost, uisHost, "trusted_proxies: [127.0.0.1]", "public_url: " + labURL} {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not name %s", name, part)
			}
		}
	}
	for file, at := range map[string][]string{
		"traefik-dynamic.yml": {"http", "middlewares", "lodge-verify", "forwardAuth", "authResponseHeadersRegex"},
	} {
		body, err := os.ReadFile(filepath.Join("../deploy/proxies", file))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		for _, key := range at {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		text, _ := v.(string)
		pattern, err := regexp.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{"X-Lodge-Subject": true, "X_lodge_subject": true, "X-Lodge_roles": true, "X-Lodger": false, "Cookie": false} {
			if pattern.MatchString(name) != want {
				t.Errorf("%s: %q and the header %s", file, text, name)
			}
		}
	}
}
