package web

import (
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// Printer says things in one language. A nil Printer speaks English.
type Printer struct {
	tag      language.Tag
	name     string
	texts    map[string]text
	patterns []pattern
}

// Text marks an English text that a page shows later: it is looked up then, and
// belongs into every catalogue.
func Text(english string) string { return english }

// Language is the tag of the printer's language (BCP 47).
func (p *Printer) Language() string {
	if p == nil {
		return English
	}
	return p.tag.String()
}

// Direction is which way the language is written: "ltr" or "rtl".
func (p *Printer) Direction() string {
	if p == nil {
		return "ltr"
	}
	switch script, _ := p.tag.Script(); script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm":
		return "rtl"
	default:
		return "ltr"
	}
}

// lookup returns the text of a key; the English one where the catalogue has none.
func (p *Printer) lookup(key string) string {
	if p != nil {
		if t, ok := p.texts[key]; ok {
			return t.other()
		}
	}
	return key
}

// T returns a text with its arguments, given as name, value, name, value. What is
// not as it should be shows in English and unfilled.
func (p *Printer) T(english string, args ...any) string {
	s := p.lookup(english)
	if filled, err := fill(s, args, plain); err == nil {
		return filled
	}
	return s
}

// N returns the text for a number of things, which fills {n}.
func (p *Printer) N(n int, one, other string, args ...any) string {
	s := p.counted(n, one, other)
	if filled, err := fill(s, append(args, "n", n), plain); err == nil {
		return filled
	}
	return s
}

// counted chooses the form for a number: of the catalogue, under the English
// plural, or of English.
func (p *Printer) counted(n int, one, other string) string {
	if p != nil {
		if t, ok := p.texts[other]; ok {
			if s, ok := t[category(p.tag, n)]; ok {
				return s
			}
			return t.other()
		}
	}
	if n == 1 {
		return one
	}
	return other
}

// Tr returns an English sentence that was put together already, such as the safe
// message of an error, in the printer's language: its own entry, or that of the
// pattern it fits; else as it is.
func (p *Printer) Tr(english string) string {
	if p == nil || english == "" {
		return english
	}
	if t, ok := p.texts[english]; ok {
		return t.other()
	}
	for _, one := range p.patterns {
		if args, ok := one.match(english); ok {
			for i := 1; i < len(args); i += 2 {
				args[i] = p.part(args[i].(string))
			}
			if filled, err := fill(p.lookup(one.key), args, plain); err == nil {
				return filled
			}
		}
	}
	return english
}

// part says what fills a sentence: a word of the catalogue, or lengths such as "1
// hour 30 minutes".
func (p *Printer) part(english string) string {
	if t, ok := p.texts[english]; ok {
		return t.other()
	}
	return counts.ReplaceAllStringFunc(english, func(count string) string {
		number, unit, _ := strings.Cut(count, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return count
		}
		filled, err := fill(p.counted(n, count, "{n} "+strings.TrimSuffix(unit, "s")+"s"), []any{"n", n}, plain)
		if err != nil {
			return count
		}
		return filled
	})
}

// counts finds the parts of a length.
var counts = regexp.MustCompile(`\b\d+ (?:second|minute|hour|day)s?\b`)

// html is T for templates: the text may hold markup, what fills it is escaped.
func (p *Printer) html(english string, args ...any) (template.HTML, error) {
	s, err := fill(p.lookup(english), args, shown)
	return template.HTML(s), err //nolint:gosec // texts come from templates and catalogues alone; arguments are escaped
}

// htmlCounted is N for templates.
func (p *Printer) htmlCounted(n int, one, other string, args ...any) (template.HTML, error) {
	s, err := fill(p.counted(n, one, other), append(args, "n", n), shown)
	return template.HTML(s), err //nolint:gosec // as in html
}

var (
	weekdays = [...]string{Text("Sun"), Text("Mon"), Text("Tue"), Text("Wed"), Text("Thu"), Text("Fri"), Text("Sat")}
	months   = [...]string{
		Text("Jan"), Text("Feb"), Text("Mar"), Text("Apr"), Text("May"), Text("Jun"),
		Text("Jul"), Text("Aug"), Text("Sep"), Text("Oct"), Text("Nov"), Text("Dec"),
	}
)

// when writes a time in full, in the zone it is in: "Mon 2 Jan 2006, 15:04 GMT".
func (p *Printer) when(t time.Time) string {
	return p.T("{date} {year}, {time}", "date", p.date(t), "year", t.Year(), "time", p.clock(t))
}

// date writes a day: "Mon 2 Jan".
func (p *Printer) date(t time.Time) string {
	return p.T("{weekday} {day} {month}", "weekday", p.T(weekdays[t.Weekday()]), "day", t.Day(), "month", p.T(months[t.Month()-1]))
}

// clock writes the time of day with its zone: "15:04 GMT".
func (p *Printer) clock(t time.Time) string { return t.Format("15:04 MST") }

// span writes a length given in seconds: "45 seconds", "5 minutes", "1 hour 30
// minutes".
func (p *Printer) span(seconds int) string {
	var parts []string
	if h := seconds / 3600; h > 0 {
		parts = append(parts, p.N(h, "{n} hour", "{n} hours"))
	}
	if m := seconds / 60 % 60; m > 0 {
		parts = append(parts, p.N(m, "{n} minute", "{n} minutes"))
	}
	if s := seconds % 60; s > 0 || seconds <= 0 {
		parts = append(parts, p.N(max(s, 0), "{n} second", "{n} seconds"))
	}
	return strings.Join(parts, " ")
}
