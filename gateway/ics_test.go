package gateway

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestICSText(t *testing.T) {
	for given, want := range map[string]string{
		"plain":           "plain",
		"a, b; c":         `a\, b\; c`,
		`back\slash`:      `back\\slash`,
		"two\r\nlines":    `two\nlines`,
		"END:VEVENT\nX:y": `END:VEVENT\nX:y`,
		"lone\rreturn":    `lone\nreturn`,
	} {
		if got := icsText(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

// Whatever a title holds, each line has 75 octets at most, breaks inside no
// character, and unfolds to what it was (RFC 5545 section 3.1).
func FuzzICSFold(f *testing.F) {
	f.Add("Pendulum 0")
	f.Add(strings.Repeat("é", 100))
	f.Add(strings.Repeat("x", 75) + "𝄞" + strings.Repeat("y", 80))
	f.Add("END:VEVENT\r\nBEGIN:VEVENT\n\\n;,")
	f.Fuzz(func(t *testing.T, title string) {
		if !utf8.ValidString(title) {
			return // titles come out of JSON or YAML, which hold UTF-8
		}
		line := "SUMMARY:" + icsText(title)
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("a line break gets through: %q", line)
		}
		folded := icsFold([]string{line})
		for part := range strings.SplitSeq(strings.TrimSuffix(folded, "\r\n"), "\r\n") {
			if len(part) > 75 || !utf8.ValidString(part) {
				t.Fatalf("%d octets: %q", len(part), part)
			}
		}
		if got := strings.TrimSuffix(strings.ReplaceAll(folded, "\r\n ", ""), "\r\n"); got != line {
			t.Fatalf("unfolds to %q, was %q", got, line)
		}
	})
}
