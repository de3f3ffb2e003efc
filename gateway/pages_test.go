package gateway_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/url"
	"strings"
	"testing"
)

// What a technician, an instructor and an administrator look at while somebody is
// in an experiment.
func TestPagesOfThoseInCharge(t *testing.T) {
	l := newLab(t)
	ada, linus, grace, root := l.signedIn("ada"), l.signedIn("linus"), l.signedIn("grace"), l.signedIn("root")
	booking := ada.book("pend00-everyone")
	ada.stream(ada.launch(booking), "data")
	ada.messages()

	rigs := linus.page(200, "/rigs")
	for _, want := range []string{"Ada Lovelace", `data-testid="peer"`, "pend00-data", `data-testid="dropped"`, `data-testid="take-offline"`} {
		if !strings.Contains(rigs, want) {
			t.Errorf("/rigs lacks %q:\n%s", want, rigs)
		}
	}
	if strings.Contains(rigs, "pend01") || strings.Contains(rigs, booking.Reference) {
		t.Error("/rigs shows an experiment of others, or a reference")
	}
	if got := linus.do("POST", "/rigs/pend00", url.Values{"online": {"false"}, "reason": {"New bearings."}}); got.status != 303 {
		t.Errorf("taken off-line: %d %s", got.status, got.body)
	}
	if rigs = linus.page(200, "/rigs"); !strings.Contains(rigs, "New bearings.") || !strings.Contains(rigs, "taken off-line") || !strings.Contains(rigs, `data-testid="test"`) {
		t.Errorf("off-line:\n%s", rigs)
	}

	l.eventually("Ada among those who are there", func() bool {
		return strings.Contains(grace.page(200, "/teach"), `data-testid="present-person"`)
	})
	if page := grace.page(200, "/teach"); !strings.Contains(page, `data-testid="group-physics-1"`) {
		t.Error("/teach does not lead to the groups")
	}

	if page := root.page(200, "/admin/providers"); !strings.Contains(page, "Development sign-in") && !strings.Contains(page, "dev") || !strings.Contains(page, "answers") {
		t.Errorf("/admin/providers:\n%s", page)
	}
	if page := root.page(200, "/admin/system"); !strings.Contains(page, `data-testid="ready"`) || !strings.Contains(page, "People here now") {
		t.Errorf("/admin/system:\n%s", page)
	}
	if page := root.page(404, "/admin/roles?person=nobody"); !strings.Contains(page, `value="nobody"`) || !strings.Contains(page, `data-testid="problem"`) {
		t.Errorf("nobody explained:\n%s", page)
	}
	for _, path := range []string{"/admin/providers", "/admin/system"} {
		for _, other := range []*browser{ada, grace, linus} {
			other.page(403, path)
		}
	}
}

// A page that holds a reference, a code or a link is never compressed; one that holds
// none is.
func TestPagesWithSecretsAreNotCompressed(t *testing.T) {
	l := newLab(t)
	ada, root := l.signedIn("ada"), l.signedIn("root")
	booking := ada.book("pend00-everyone")
	if got := root.do("POST", "/groups/physics-1/codes", url.Values{"days": {"7"}}); got.status != 303 {
		t.Fatalf("a join code: %d", got.status)
	}
	takes := pair{"Accept-Encoding", "gzip"}
	for path, by := range map[string]*browser{
		"/": ada, "/bookings/" + booking.ID: ada, "/launch/" + booking.ID: ada, "/bookings/" + booking.ID + "/partners": ada,
		"/groups/physics-1": root, "/api/v1/bookings": ada, "/api/v1/admin/groups/physics-1/codes": root, "/messages": ada,
	} {
		if got := by.do("GET", path, nil, takes); got.status != 200 || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d, %q", path, got.status, got.header.Get("Content-Encoding"))
		}
	}
	for path, by := range map[string]*browser{"/admin/system": root, "/book?group=everyone": ada, "/api/openapi.yaml": ada} {
		got := by.do("GET", path, nil, takes)
		if got.status != 200 || got.header.Get("Content-Encoding") != "gzip" || !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
			continue
		}
		zr, err := gzip.NewReader(bytes.NewReader(got.body))
		l.must(err)
		plain, err := io.ReadAll(zr)
		l.must(err)
		if bytes.Contains(plain, []byte(booking.Reference)) {
			t.Errorf("%s holds the reference", path)
		}
	}
}

// What the API refuses it explains in the language that is asked for.
func TestProblemsSpeakTheReadersLanguage(t *testing.T) {
	l := newLab(t)
	visitor := l.browser()
	german := visitor.refused(404, "POST", "/api/v1/bookings/lookup", map[string]string{"surname": "Byron", "reference": "BBBBBB"}, pair{"Accept-Language", "de-AT, en;q=0.5"})
	english := visitor.refused(404, "POST", "/api/v1/bookings/lookup", map[string]string{"surname": "Byron", "reference": "BBBBBB"})
	if german.Title != "Nicht gefunden" || !strings.Contains(german.Detail, "keine Buchung") || english.Title != "Not Found" || german.Code != english.Code {
		t.Errorf("%+v\n%+v", german, english)
	}
	got := visitor.do("GET", "/api/v1/me", nil, pair{"Accept-Language", "de"})
	if got.status != 401 || got.header.Get("Content-Language") != "de" || got.header.Get("Vary") != "Accept-Language" || !bytes.Contains(got.body, []byte("Nicht angemeldet")) {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
}
