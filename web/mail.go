package web

import (
	"fmt"
	"html/template"
	"strings"
	texttemplate "text/template"
	"time"
)

// Mail is a letter to one person, about a booking or what they wait for. Times are
// in the zone they are said in.
type Mail struct {
	Kind       string // booked, moved, extended, cancelled, rotated, reminder, offer, link
	Name       string // whom it is to; may be empty
	Title      string // of the experiment, or of what is waited for
	Reference  string // empty: not told
	Reason     string // why it was cancelled or changed
	Start, End time.Time
	Until      time.Time // how long a link or an offer is good; zero: does not matter
	Open       string    // addresses: of the booking, the offer or the link,
	Lookup     string    // of the page that asks for surname and reference,
	Book       string    // of the page to book at,
	Settings   string    // and of the choice which mail to get
	Site       string    // who writes
	Subject    string    // set by Pages.Mail
}

// A Letter is a mail in words.
type Letter struct{ Subject, Text, HTML string }

// letters are the templates of mail in one language.
type letters struct {
	text *texttemplate.Template
	html *template.Template
}

func (p *Pages) parseMail(say *Printer) (letters, error) {
	html, err := template.New("mail").Funcs(p.funcs(say)).ParseFS(files, "templates/mail/*.html")
	if err != nil {
		return letters{}, fmt.Errorf("web: mail: %w", err)
	}
	// The same words, but nothing escaped.
	plain := texttemplate.FuncMap{
		"t": func(english string, args ...any) (string, error) {
			return fill(say.lookup(english), args, func(v any) string { return fmt.Sprint(v) })
		},
		"tr": say.Tr, "when": say.when,
	}
	text, err := texttemplate.New("mail").Funcs(plain).ParseFS(files, "templates/mail/*.txt")
	if err != nil {
		return letters{}, fmt.Errorf("web: mail: %w", err)
	}
	return letters{text, html}, nil
}

// Mail writes a letter in the printer's language: as plain text and as HTML that
// says the same.
func (p *Pages) Mail(say *Printer, m Mail) (Letter, error) {
	in := p.mail[say.Language()]
	var subject, text, html strings.Builder
	if err := in.text.ExecuteTemplate(&subject, "subject", m); err != nil {
		return Letter{}, fmt.Errorf("web: mail: %w", err)
	}
	m.Subject = subject.String()
	if err := in.text.ExecuteTemplate(&text, "text", m); err != nil {
		return Letter{}, fmt.Errorf("web: mail: %w", err)
	}
	if err := in.html.ExecuteTemplate(&html, "html", m); err != nil {
		return Letter{}, fmt.Errorf("web: mail: %w", err)
	}
	return Letter{Subject: m.Subject, Text: text.String(), HTML: html.String()}, nil
}
