package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEscapedTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune{0, 0x1a, '0', 'a', 'é'})),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		kept := escaped(s)
		if !utf8.ValidString(kept) || strings.ContainsRune(kept, 0) {
			t.Fatalf("%q is kept as %q, which is no text", s, kept)
		}
		if got := unescaped(kept); got != s {
			t.Fatalf("%q is kept as %q and comes back as %q", s, kept, got)
		}
		if clean := cleaned(s); !utf8.ValidString(clean) || strings.ContainsRune(clean, 0) {
			t.Fatalf("%q is cleaned to %q", s, clean)
		}
	})
}
