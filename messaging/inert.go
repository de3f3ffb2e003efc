package messaging

import "strings"

// inertBefore are what a spreadsheet takes for the beginning of a formula, those of
// East Asian width among them (OWASP, CSV injection).
const inertBefore = "=+-@＝＋－＠"

// Inert keeps a spreadsheet from evaluating a field of a table: it has an apostrophe
// where a formula would begin. That is at its beginning, and wherever a cell of its own
// begins for a spreadsheet that separates by something else than commas, as those of
// half of Europe do.
func Inert(field string) string {
	var out strings.Builder
	begins := true
	for i, c := range field {
		if begins && (strings.ContainsRune(inertBefore, c) || i == 0 && strings.ContainsRune("\t\r\n", c)) {
			out.WriteByte('\'')
		}
		out.WriteRune(c)
		begins = separates(c) || begins && c == '"'
	}
	return out.String()
}

// Bare takes off what Inert put on.
func Bare(field string) string {
	var out strings.Builder
	begins := true
	runes := []rune(field)
	for i, c := range runes {
		if begins && c == '\'' && i+1 < len(runes) && (strings.ContainsRune(inertBefore, runes[i+1]) || i == 0 && strings.ContainsRune("\t\r\n", runes[1])) {
			begins = false
			continue
		}
		out.WriteRune(c)
		begins = separates(c) || begins && c == '"'
	}
	return out.String()
}

// separates reports whether some spreadsheet begins a cell behind it.
func separates(c rune) bool { return strings.ContainsRune(",;|\t\r\n", c) }
