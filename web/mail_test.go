package web

import (
	"strings"
	"testing"
	"time"
)

// Every kind of letter says in both forms what it is about, in every language, and
// nothing that somebody typed becomes markup or a line of a header.
func TestLetters(t *testing.T) {
	p := newPages(t)
	english := map[string]string{}
	for _, language := range p.Languages() {
		say := p.Choose(language.Tag, "")
		for _, kind := range []string{"booked", "moved", "extended", "cancelled", "rotated", "reminder", "offer", "link"} {
			for name, typed := range map[string]string{"plain": "Pendel 1", "hostile": hostile} {
				m := Mail{
					Kind: kind, Name: typed, Title: typed, Reference: "BCDFGH", Reason: typed, Start: testNow, End: testNow.Add(time.Hour), Until: testNow.Add(time.Hour),
					Open: "https://lab.example.org/open", Lookup: "https://lab.example.org/lookup", Book: "https://lab.example.org/book",
					Settings: "https://lab.example.org/mail", Site: "lab.example.org",
				}
				got, err := p.Mail(say, m)
				if err != nil {
					t.Fatalf("%s %s: %v", language.Tag, kind, err)
				}
				for _, text := range []string{got.Text, got.HTML} {
					if !strings.Contains(text, "https://lab.example.org/mail") || !strings.Contains(text, "2026") {
						t.Errorf("%s %s %s: %s", language.Tag, kind, name, text)
					}
				}
				if strings.Contains(got.HTML, "<script>") || strings.Contains(got.HTML, "ZgotmplZ") || strings.ContainsAny(got.Subject, "\r\n") {
					t.Errorf("%s %s %s: %q %s", language.Tag, kind, name, got.Subject, got.HTML)
				}
				if !strings.Contains(got.Text, typed) {
					t.Errorf("%s %s %s: the plain text escapes: %s", language.Tag, kind, name, got.Text)
				}
				if name != "plain" {
					continue
				}
				if language.Tag == English {
					english[kind] = got.Subject
				} else if got.Subject == english[kind] {
					t.Errorf("%s %s: %q is English", language.Tag, kind, got.Subject)
				}
			}
		}
	}
}
