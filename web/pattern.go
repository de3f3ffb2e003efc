package web

import (
	"regexp"
	"strings"
)

// pattern recognises a sentence that was put together from a text with {…} in it.
type pattern struct {
	key    string
	prefix string // of every sentence that fits
	names  []string
	expr   *regexp.Regexp
}

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

func newPattern(key string) pattern {
	p := pattern{key: key}
	p.prefix, _, _ = strings.Cut(key, "{")
	var expr strings.Builder
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(key, -1) {
		expr.WriteString(regexp.QuoteMeta(key[at:m[0]]) + "(.+?)")
		p.names = append(p.names, key[m[2]:m[3]])
		at = m[1]
	}
	p.expr = regexp.MustCompile(`(?s)\A` + expr.String() + regexp.QuoteMeta(key[at:]) + `\z`)
	return p
}

// weight is how much of the pattern is fixed, in bytes.
func (p pattern) weight() int { return len(placeholder.ReplaceAllString(p.key, "")) }

// match returns what fills the pattern in a sentence, as fill takes it.
func (p pattern) match(s string) (args []any, ok bool) {
	if p.weight() < minPattern || !strings.HasPrefix(s, p.prefix) {
		return nil, false
	}
	found := p.expr.FindStringSubmatch(s)
	if found == nil {
		return nil, false
	}
	for i, name := range p.names {
		args = append(args, name, found[i+1])
	}
	return args, true
}

// minPattern is the least that must be fixed of a pattern that recognises anything:
// "{from} to {until}" would take half of all sentences for its own.
const minPattern = 12
