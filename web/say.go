package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// What is said in one word wherever it is shown: states, kinds and priorities, as
// the API has them.
var _ = []string{
	Text("login"), Text("booking"), Text("experiment"), Text("host"), Text("service"), // kinds of session
	Text("pending"), Text("active"), Text("expired"), Text("revoked"), // states of one
	Text("under way"), Text("coming"), Text("cancelled"), Text("ended"), // of a booking
	Text("info"), Text("important"), Text("safety"), // priorities
	Text("sent"), Text("delivered"), Text("read"), Text("acknowledged"), // receipts
	Text("expected"), Text("present"), Text("late"), Text("excused"), Text("absent"), // marks
	Text("pending"), Text("accepted"), Text("declined"), // apologies
}

// timeHTML is a time in full, which the modules bring into the reader's zone.
func (p *Printer) timeHTML(t time.Time) template.HTML { return timeElement(t, "full", p.when(t)) }

// hourHTML is the time of day of something that is not far away.
func (p *Printer) hourHTML(t time.Time) template.HTML { return timeElement(t, "clock", p.clock(t)) }

// bareHTML is one end of a range, whose ends the modules write together.
func (p *Printer) bareHTML(t time.Time) template.HTML { return timeElement(t, "", p.when(t)) }

func timeElement(t time.Time, kind, words string) template.HTML {
	if kind != "" {
		kind = ` data-time="` + kind + `"`
	}
	return element("time", `datetime="`+t.UTC().Format(time.RFC3339)+`"`+kind, words)
}

// element is HTML of fixed tag and attributes around escaped words.
func element(tag, attributes string, words any) template.HTML {
	return template.HTML("<" + tag + " " + attributes + ">" + shown(words) + "</" + tag + ">") //nolint:gosec // what varies is escaped
}

// fieldHTML is a part of a message that the modules fill in.
func fieldHTML(name, value string) template.HTML {
	return element("span", `data-field="`+template.HTMLEscapeString(name)+`"`, value)
}

// figureHTML is a number that stands out.
func figureHTML(n int, testID string) template.HTML {
	return element("b", `class="figure" data-testid="`+template.HTMLEscapeString(testID)+`"`, n)
}

// linkHTML is a link to a page of ours within a sentence.
func linkHTML(path string, words template.HTML) template.HTML {
	return element("a", `href="`+template.HTMLEscapeString(path)+`"`, words)
}

// Who says whose a session is: a person, or the hardware or program that a code was
// made for.
func (p *Printer) Who(s Session) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Kind == "host":
		return p.T("Host of {experiment}", "experiment", s.Experiment)
	case s.Kind == "service":
		return p.T("Service for {scopes}", "scopes", strings.Join(s.Scopes, ", "))
	case s.Person != "":
		return s.Person
	default:
		return p.T("Nobody known")
	}
}

// sockets writes what is open: "2 message sockets, 1 stream".
func (p *Printer) sockets(s *Sockets) string {
	var parts []string
	if s.Messages > 0 {
		parts = append(parts, p.N(s.Messages, "{n} message socket", "{n} message sockets"))
	}
	if s.Streams > 0 {
		parts = append(parts, p.N(s.Streams, "{n} stream", "{n} streams"))
	}
	return strings.Join(parts, ", ")
}

// device says in the printer's language what DeviceName found.
func (p *Printer) device(name string) string {
	if browser, system, both := strings.Cut(name, " on "); both {
		return p.T("{browser} on {system}", "browser", p.Tr(browser), "system", system)
	}
	return p.Tr(name)
}

// numberHTML is a number that the modules count on.
func numberHTML(n int) template.HTML { return element("span", "data-number", fmt.Sprint(n)) }
