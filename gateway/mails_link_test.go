package gateway_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// TestSec33: who is limited by others' guesses is offered another way, which tells
// nobody more.
func TestSec33_AMailedLinkInsteadOfALockOut(t *testing.T) {
	box := &postbox{}
	l := newLabWithMail(t, box, behindProxy, fast)
	ada := l.signedIn("ada")
	b := ada.book("pend00-everyone")
	for i := range 10 {
		l.browser().do("POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: "BCDFGH"}, from("198.51.100."+string(rune('1'+i%9))))
	}
	visitor := l.browser()
	limited := visitor.do("POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: b.Reference}, from("192.0.2.1"))
	if limited.status != 429 || !strings.Contains(string(limited.body), `"sign_in":"`+l.url+`/login"`) || !strings.Contains(string(limited.body), `"link":"`+l.url+lookupPath+`/link"`) {
		t.Fatalf("limited: %d %s", limited.status, limited.body)
	}
	page := visitor.do("POST", "/lookup", url.Values{"surname": {"Lovelace"}, "reference": {b.Reference}}, from("192.0.2.1"))
	if page.status != 429 || !strings.Contains(string(page.body), `action="/lookup/mail"`) || !strings.Contains(string(page.body), `href="/login"`) {
		t.Fatalf("the page offers nothing else: %d", page.status)
	}
	// A hit and a miss are answered alike.
	ask := func(surname, reference string) answer {
		got := l.browser().do("POST", lookupPath+"/link", gateway.LookupRequest{Surname: surname, Reference: reference}, from("192.0.2.1"))
		got.header.Del("Date")
		return got
	}
	hit, miss := ask("lovelace", b.Reference), ask("Nobody", b.Reference)
	if hit.status != 202 || miss.status != 202 || string(hit.body) != string(miss.body) || len(hit.header) != len(miss.header) {
		t.Errorf("a hit: %d %s; a miss: %d %s", hit.status, hit.body, miss.status, miss.body)
	}
	asked := visitor.do("POST", "/lookup/mail", url.Values{"surname": {"Lovelace"}, "reference": {b.Reference}}, from("192.0.2.1"))
	missed := visitor.do("POST", "/lookup/mail", url.Values{"surname": {"Babbage"}, "reference": {b.Reference}}, from("192.0.2.1"))
	if asked.status != 200 || string(asked.body) != string(missed.body) {
		t.Errorf("the page tells a hit from a miss: %d, %d", asked.status, missed.status)
	}
	l.settled(5) // the confirmation, two links, two that are for nobody
	var links []string
	for _, letter := range box.all() {
		if m := key.FindStringSubmatch(letter.Text); m != nil {
			links = append(links, m[1])
			if letter.To != "ada@example.org" || strings.Contains(letter.Text, b.Reference) {
				t.Errorf("letter %+v", letter)
			}
		}
	}
	if len(links) != 2 {
		t.Fatalf("%d links", len(links))
	}
	// What looks into mail first opens nothing.
	if got := l.browser().do("GET", "/lookup/link?key="+links[0], nil); got.status != 200 || got.header.Get("Referrer-Policy") != "no-referrer" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("the link's page: %d %v", got.status, got.header)
	}
	open := func(b *browser, key string) answer { return b.do("POST", "/lookup/link", url.Values{"key": {key}}) }
	if got := open(visitor, links[0]); got.status != 303 || got.header.Get("Location") != "/bookings/"+b.ID {
		t.Fatalf("the link: %d %s", got.status, got.header.Get("Location"))
	}
	if me := visitor.me(); me.Kind != "booking" || me.Booking != b.ID {
		t.Errorf("opened as %+v", me)
	}
	l.recorded(audit.Lookup, "session:"+visitor.me().Session.ID, "booking:"+b.ID)
	if got := open(l.browser(), links[0]); got.status != 404 {
		t.Errorf("a second time: %d", got.status)
	}
	l.clock.pass(30 * time.Minute)
	if got := open(l.browser(), links[1]); got.status != 404 {
		t.Errorf("half an hour later: %d", got.status)
	}
	if strings.Contains(l.log.String(), links[0]) || strings.Contains(l.log.String(), links[1]) {
		t.Error("the log tells a link")
	}
}
