package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A text column holds UTF-8 without the zero character. Where what is stored must
// come back exactly, since it tells one thing from another, it is escaped; where
// it is for people to read, it is cleaned.

// escape marks, in an escaped text, what could not stand there as it is. As good
// as no text has it.
const escape = '\x1a'

// escaped returns a text for a column, another one for each s; almost always it
// is s.
func escaped(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\x1a") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == 0 || r == escape || r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, "%c%02x", escape, s[0])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// unescaped returns what was escaped.
func unescaped(s string) string {
	first, rest, some := strings.Cut(s, string(escape))
	if !some {
		return s
	}
	var b strings.Builder
	b.WriteString(first)
	for part := range strings.SplitSeq(rest, string(escape)) {
		if len(part) >= 2 {
			if n, err := strconv.ParseUint(part[:2], 16, 8); err == nil {
				b.WriteByte(byte(n))
				part = part[2:]
			}
		}
		b.WriteString(part)
	}
	return b.String()
}

func escapedAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = escaped(s)
	}
	return out
}

// cleaned replaces what a text column cannot hold.
func cleaned(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
