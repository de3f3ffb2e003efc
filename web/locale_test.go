package web

import (
	"encoding/json"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestEveryTextIsInEveryCatalogue(t *testing.T) {
	used, plural := usedTexts(t)
	l, err := loadLocales(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range l.tags[1:] {
		p := l.printers[tag.String()]
		var missing []string
		for key := range used {
			entry, ok := p.texts[key]
			if !ok {
				missing = append(missing, key)
				continue
			}
			if (len(entry) > 1) != plural[key] {
				t.Errorf("%s: %q has %d forms; whether it is counted: %v", tag, key, len(entry), plural[key])
			}
			for form, text := range entry {
				if got, want := holes(text), holes(key); !subset(got, want) || (!plural[key] && !subset(want, got)) {
					t.Errorf("%s: %q (%s) fills %v, not %v", tag, key, form, got, want)
				}
			}
		}
		slices.Sort(missing)
		for _, key := range missing {
			t.Errorf("locales/%s.json lacks %q", tag, key)
		}
		for key := range maps.Keys(p.texts) {
			if !used[key] {
				t.Errorf("locales/%s.json has %q, which nothing shows", tag, key)
			}
		}
	}
}

func holes(s string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	return names
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func TestCataloguesAreSortedAndComplete(t *testing.T) {
	names, err := fs.Glob(files, "locales/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no catalogue", err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		var keys []string
		for depth := 0; ; {
			tok, err := dec.Token()
			if err != nil {
				break
			}
			switch tok := tok.(type) {
			case json.Delim:
				if tok == '{' {
					depth++
				} else {
					depth--
				}
			case string:
				if depth != 1 {
					continue
				}
				keys = append(keys, tok)
				if !dec.More() {
					t.Fatalf("%s: %q has no text", name, tok)
				}
				var value any
				if err := dec.Decode(&value); err != nil {
					t.Fatal(err)
				}
				if value == "" {
					t.Errorf("%s: %q is empty", name, tok)
				}
			}
		}
		for i := 1; i < len(keys); i++ {
			if keys[i-1] >= keys[i] {
				t.Errorf("%s: %q stands before %q; sort the catalogue by its keys", name, keys[i-1], keys[i])
			}
		}
	}
}

func german(t *testing.T) *Printer {
	t.Helper()
	p := newPages(t).Choose("de", "")
	if p.Language() != "de" {
		t.Fatal("no German")
	}
	return p
}

func TestPrinterSays(t *testing.T) {
	de, en := german(t), (*Printer)(nil)
	for _, c := range []struct{ got, want string }{
		{de.T("Sent."), "Gesendet."},
		{en.T("Sent."), "Sent."},
		{de.T("Not in any catalogue {x}", "x", 1), "Not in any catalogue 1"},
		{de.N(1, "{n} person", "{n} people"), "1 Person"},
		{de.N(2, "{n} person", "{n} people"), "2 Personen"},
		{en.N(1, "{n} person", "{n} people"), "1 person"},
		{en.N(0, "{n} person", "{n} people"), "0 people"},
		{de.Tr("There is no such booking that you can see."), "Das gibt es nicht, oder Sie können es nicht sehen: Buchung."},
		{de.Tr("A booking may last 1 hour 30 minutes at most."), "Eine Buchung darf höchstens 1 Stunde 30 Minuten dauern."},
		{de.Tr("Somebody wrote this."), "Somebody wrote this."},
		{de.when(testNow), "Mi., 29. Juli 2026, 14:03 UTC"},
		{en.when(testNow), "Wed 29 Jul 2026, 14:03 UTC"},
		{de.span(5400), "1 Stunde 30 Minuten"},
		{de.device("Firefox on Linux"), "Firefox unter Linux"},
		{de.device("Unknown browser on Linux"), "Unbekannter Browser unter Linux"},
		{de.device("curl"), "curl"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	got, err := de.html("Reason: {reason}", "reason", "<b>")
	if err != nil || got != "Grund: &lt;b&gt;" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := de.html("Reason: {reason}", "because", "x"); err == nil {
		t.Error("a template may leave out what its text says")
	}
}

func TestLanguageIsChosenThenAskedFor(t *testing.T) {
	p := newPages(t)
	for _, c := range []struct{ chosen, accepted, want string }{
		{"", "", "en"}, {"", "de", "de"}, {"", "de-AT,de;q=0.9,en;q=0.8", "de"}, {"", "fr, de;q=0.5", "de"}, {"", "ja", "en"},
		{"", "en-GB,de", "en"}, {"en", "de", "en"}, {"de", "en", "de"}, {"xx", "de", "de"}, {"", ";;q=,,", "en"}, {"../de", "", "en"},
	} {
		if got := p.Choose(c.chosen, c.accepted).Language(); got != c.want {
			t.Errorf("chosen %q, accepted %q: %s, want %s", c.chosen, c.accepted, got, c.want)
		}
	}
}

// A third language is one file: here one with six plural forms, written from right
// to left.
func TestThirdLanguageIsOneFile(t *testing.T) {
	raw := `{"@language": "العربية", "Sent.": "أُرسل.", "{n} people": {"zero": "لا أحد", "one": "شخص", "two": "شخصان", "few": "{n} أشخاص", "many": "{n} شخصًا", "other": "{n} شخص"}}`
	l, err := loadLocales(fstest.MapFS{"locales/ar.json": {Data: []byte(raw)}})
	if err != nil {
		t.Fatal(err)
	}
	ar := l.printers["ar"]
	if ar.Direction() != "rtl" || ar.T("Sent.") != "أُرسل." || ar.T("Closed.") != "Closed." {
		t.Errorf("%s, %q, %q", ar.Direction(), ar.T("Sent."), ar.T("Closed."))
	}
	for n, want := range map[int]string{0: "لا أحد", 1: "شخص", 2: "شخصان", 3: "3 أشخاص", 11: "11 شخصًا", 100: "100 شخص"} {
		if got := ar.N(n, "{n} person", "{n} people"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for name, raw := range map[string]string{"no name": `{"Sent.": "x"}`, "no JSON": `{`, "no text": `{"@language": "x", "Sent.": 1}`} {
		if _, err := loadLocales(fstest.MapFS{"locales/ar.json": {Data: []byte(raw)}}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPagesRenderInEveryLanguageAndZone(t *testing.T) {
	p := newPages(t)
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	html := render(t, p, fixture{PageBooking, BookingPage{
		Layout:  Layout{Title: "T", Now: testNow, Say: german(t), Zone: zone},
		Booking: Booking{ID: "b", State: "booked", Start: testNow, End: testNow.Add(time.Hour)},
	}})
	for _, want := range []string{`<html lang="de" dir="ltr" data-shown-in="Europe/Berlin">`, "Mi., 29. Juli 2026, 16:03 CEST", "Ihre Zeit", `datetime="2026-07-29T14:03:00Z"`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, f := range fullViews("Words") {
		v := reflect.New(reflect.TypeOf(f.data)).Elem()
		v.Set(reflect.ValueOf(f.data))
		layout := v.FieldByName("Layout")
		l := layout.Interface().(Layout)
		l.Say = german(t)
		layout.Set(reflect.ValueOf(l))
		if html := render(t, p, fixture{f.page, v.Interface()}); !strings.Contains(html, `lang="de"`) {
			t.Errorf("%s: not in German", f.page)
		}
	}
}

func FuzzTr(f *testing.F) {
	p, err := New()
	if err != nil {
		f.Fatal(err)
	}
	de := p.Choose("de", "")
	f.Add("There is no such booking that you can see.")
	f.Add("The experiment is off-line: {1} Your booking stays; try again when it is back.")
	f.Fuzz(func(t *testing.T, s string) {
		if got := de.Tr(s); s != "" && got == "" {
			t.Errorf("nothing is left of %q", s)
		}
	})
}
