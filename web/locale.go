package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// English is the language that texts are written in: an English text is its own
// key in the other catalogues, locales/TAG.json, of which one file makes one more
// language. A catalogue is one flat object: English text → text, or for a text
// that depends on a number, English plural → {"one": …, "other": …} with the
// plural categories of the language (CLDR). "@language" is the language's name
// for itself. {word} stands for what is filled in, by name, in any order.
const English = "en"

// locales holds every language that pages are written in.
type locales struct {
	printers map[string]*Printer
	tags     []language.Tag // English first: what nobody asked for
	matcher  language.Matcher
}

// Language is a language that a page can be read in.
type Language struct {
	Tag  string // BCP 47
	Name string // in that language
}

// loadLocales reads the catalogues of a tree.
func loadLocales(tree fs.FS) (*locales, error) {
	l := &locales{tags: []language.Tag{language.English}, printers: map[string]*Printer{English: {tag: language.English, name: "English"}}}
	names, err := fs.Glob(tree, "locales/*.json")
	if err != nil {
		return nil, fmt.Errorf("web: catalogues: %w", err)
	}
	for _, name := range names {
		p, err := loadPrinter(tree, name)
		if err != nil {
			return nil, fmt.Errorf("web: %s: %w", name, err)
		}
		l.printers[p.Language()], l.tags = p, append(l.tags, p.tag)
	}
	l.matcher = language.NewMatcher(l.tags)
	return l, nil
}

func loadPrinter(tree fs.FS, name string) (*Printer, error) {
	raw, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	tag, err := language.Parse(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil {
		return nil, err
	}
	p := &Printer{tag: tag}
	if err := json.Unmarshal(raw, &p.texts); err != nil {
		return nil, err
	}
	if p.name = p.texts["@language"].other(); p.name == "" {
		return nil, fmt.Errorf("no @language, its name for itself")
	}
	delete(p.texts, "@language")
	for key := range p.texts {
		if strings.Contains(key, "{") {
			p.patterns = append(p.patterns, newPattern(key))
		}
	}
	// The one that says most first, and always the same one.
	slices.SortFunc(p.patterns, func(a, b pattern) int { return cmp.Or(b.weight()-a.weight(), strings.Compare(a.key, b.key)) })
	return p, nil
}

// text is one entry of a catalogue: its forms by plural category. A text that
// depends on no number has the form "other" alone.
type text map[string]string

// UnmarshalJSON takes a string for a text of one form.
func (t *text) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		*t = text{"other": s}
		return err
	}
	forms := map[string]string{}
	err := json.Unmarshal(raw, &forms)
	*t = forms
	return err
}

func (t text) other() string { return t["other"] }

// plurals are the names of the plural categories (CLDR).
var plurals = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// category is the plural category of a whole number in a language.
func category(tag language.Tag, n int) string {
	if n < 0 {
		n = -n
	}
	return plurals[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]
}

// Choose returns the printer of the best language for a reader: what they chose,
// else what their browser asks for (Accept-Language, RFC 9110 section 12.5.4),
// else English.
func (p *Pages) Choose(chosen, accepted string) *Printer {
	if one, ok := p.locales.printers[chosen]; ok {
		return one
	}
	_, i := language.MatchStrings(p.locales.matcher, accepted)
	return p.locales.printers[p.locales.tags[i].String()]
}

// Languages lists the languages that pages are written in, English first.
func (p *Pages) Languages() []Language {
	var out []Language
	for _, tag := range p.locales.tags {
		one := p.locales.printers[tag.String()]
		out = append(out, Language{Tag: one.Language(), Name: one.name})
	}
	return out
}

// fill puts arguments, given as name, value, name, value, into {name}.
func fill(s string, args []any, show func(any) string) (string, error) {
	if len(args)%2 != 0 {
		return "", fmt.Errorf("web: %q: a name without a value", s)
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		i := slices.Index(args, any(name))
		if !closed || i < 0 || i%2 != 0 {
			return "", fmt.Errorf("web: %q: nothing given for {%s}", s, name)
		}
		b.WriteString(show(args[i+1]))
		s = after
	}
}

func plain(v any) string { return fmt.Sprint(v) }

// shown writes an argument as plain text, escaped as HTML unless it is HTML.
func shown(v any) string {
	if h, ok := v.(template.HTML); ok {
		return string(h)
	}
	return template.HTMLEscapeString(fmt.Sprint(v))
}
