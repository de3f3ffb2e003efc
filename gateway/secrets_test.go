package gateway_test

import (
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// addresses notes every address that is asked for and every one that is given.
type addresses struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (a *addresses) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := a.next.RoundTrip(req)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, req.URL.String())
	if err == nil && res.Header.Get("Location") != "" {
		a.seen = append(a.seen, res.Header.Get("Location"))
	}
	return res, err
}

// TestSec02: no code, ticket, cookie or reference of a whole journey is in a log or
// in the database, and none that lasts is in an address of ours.
func TestSec02_NoSecretIsKept(t *testing.T) {
	l := newLab(t)
	ada, grace := l.browser(), l.signedIn("grace")
	asked := &addresses{next: ada.client.Transport}
	ada.client.Transport = asked
	ada.signIn("ada")
	mine := ada.book("pend00-everyone")
	activity := ada.launch(mine)
	opened := l.lookUp(mine)
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	service := l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}})
	stream := call[gateway.TicketView](ada, 200, "POST", activity.Streams[0].URL, nil, authorization(code(activity)))
	conn := wstest.Dial(t, ada.client, stream.URI, nil)
	message := call[gateway.TicketView](ada, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
	ada.socket(message.URI, l.assets).caughtUp()
	ada.do("POST", "/session/pend00-data", nil, authorization(host))
	ada.do("GET", "/status", nil, authorization(service))
	secrets := map[string]string{
		"login":           ada.cookie("lodge-dev"),
		"booking session": opened.cookie("lodge-dev-booking"),
		"experiment code": code(activity),
		"host code":       host,
		"service code":    service,
		"reference":       mine.Reference,
	}
	lasting := map[string]string{}
	for name, secret := range secrets {
		lasting[name] = secret
	}
	_, secrets["stream ticket"], _ = strings.Cut(stream.URI, "code=")
	_, secrets["message ticket"], _ = strings.Cut(message.URI, "ticket=")
	// What goes wrong is logged too, and repeats nothing.
	ada.do("GET", "/api/v1/experiment?code="+url.QueryEscape("harmless"), nil, authorization(code(activity)+"x"))
	ada.do("POST", lookupPath, gateway.LookupRequest{Surname: "Babbage", Reference: mine.Reference})
	ada.do("POST", lookupPath, `{"surname":"Lovelace","reference":"`+mine.Reference+`"`)
	ada.do("GET", "/launch/"+mine.ID, nil)
	call[gateway.BookingView](ada, 200, "POST", mine.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 300})
	call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "booking:" + mine.ID, Text: "canary-in-a-message"})
	call[gateway.BookingView](grace, 200, "DELETE", mine.Links.Self, nil)
	wstest.Closed(t, conn, deadline)
	ada.do("POST", "/logout", url.Values{})

	kept := map[string]string{"the log": l.log.String()}
	l.must(filepath.WalkDir(l.dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		kept[strings.TrimPrefix(file, l.dir+"/")] = string(content)
		return err
	}))
	if len(kept["lodge.db"])+len(kept["lodge.db-wal"]) < 10_000 || !strings.Contains(kept["the log"], "/api/v1/bookings") {
		t.Fatal("there is nothing to search")
	}
	for name, secret := range secrets {
		bare := secret[strings.LastIndexByte(secret[:min(10, len(secret))], '_')+1:]
		if len(bare) < 6 {
			t.Fatalf("the %s is %q", name, secret)
		}
		for where, content := range kept {
			if strings.Contains(content, bare) || strings.Contains(content, strings.ToLower(bare)) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
	for where, content := range kept {
		if strings.Contains(content, "canary-in-a-message") {
			t.Errorf("a message is readable in %s", where)
		}
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	for _, address := range asked.seen {
		for name, secret := range lasting {
			if strings.Contains(address, secret) {
				t.Errorf("the %s is in the address %s", name, strings.ReplaceAll(address, secret, "…"))
			}
		}
	}
	if len(asked.seen) < 20 {
		t.Errorf("%d addresses were seen", len(asked.seen))
	}
}

// TestSec01: codes hold 256 bits and say by their prefix what they are.
func TestSec01_Codes(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	mine := ada.book("pend00-everyone")
	seen := map[string]bool{}
	for prefix, secret := range map[string]string{
		"lodge_log_": ada.cookie("lodge-dev"), "lodge_bkg_": l.lookUp(mine).cookie("lodge-dev-booking"),
		"lodge_exp_": code(ada.launch(mine)), "lodge_hst_": l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"}),
		"lodge_svc_": l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}}),
	} {
		bare, found := strings.CutPrefix(secret, prefix)
		if !found || len(bare) != 43 || seen[bare] {
			t.Errorf("%s…: %d characters after the prefix", secret[:10], len(bare))
		}
		seen[bare] = true
	}
}

// TestSec03: the cookies, on https and on loopback.
func TestSec03_Cookies(t *testing.T) {
	check := func(b *browser, got answer, name string, secure bool) {
		t.Helper()
		for _, line := range got.header.Values("Set-Cookie") {
			c, err := http.ParseSetCookie(line)
			b.must(err)
			if c.Name != name {
				continue
			}
			if c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(line) > 4096 {
				t.Errorf("%s", strings.ReplaceAll(line, c.Value, "…"))
			}
			return
		}
		t.Errorf("no cookie %s", name)
	}
	l := newLab(t)
	mine := l.signedIn("ada").book("pend00-everyone")
	lookup := gateway.LookupRequest{Surname: mine.Surname, Reference: mine.Reference}
	check(l.browser(), l.browser().do("POST", lookupPath, lookup), "lodge-dev-booking", false)
	check(l.browser(), l.browser().do("GET", "/login/dev", nil), "lodge-dev", false)

	// Behind a proxy that ends TLS.
	const public = "https://lab.example"
	s := newLab(t, func(c *gateway.Config) { c.PublicURL, c.Hosts["lab.example"] = public, "default" })
	person, err := s.persons.Find(t.Context(), "default", "dev", "ada")
	s.must(err)
	_, reference, err := s.desk.Book(t.Context(), booking.Request{
		Tenant: "default", Person: person.ID, Name: "Ada Lovelace", Surname: "Lovelace", Groups: []string{"everyone"},
		Group: "everyone", Slot: "pend00-everyone", Length: 5 * time.Minute,
	})
	s.must(err)
	b, host := s.browser(), pair{"Host", "lab.example"}
	got := b.do("POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: reference}, host)
	check(b, got, "__Host-lodge-booking", true)
	if got.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS on https")
	}
	check(b, b.do("GET", "/login/dev", nil, host), "__Host-lodge", true)
}
