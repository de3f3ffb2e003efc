package web

import (
	"html/template"
	"time"
)

// funcs are what templates may call beside the methods of the views. The ones
// that return a small struct gather the arguments of a shared template. What they
// say is in the printer's language; a time is said in the zone it is in.
//
//	{{t "Booked until {time}" "time" (when .End)}}   a text; the English is its key, and may hold markup
//	{{tn .People "{n} person" "{n} people"}}         a text that depends on a number
//	{{tr .State}}                                    a word or sentence made elsewhere: see Text
func (p *Pages) funcs(say *Printer) template.FuncMap {
	return template.FuncMap{
		"t":            say.html,
		"tn":           say.htmlCounted,
		"tr":           say.Tr,
		"lang":         say.Language,
		"dir":          say.Direction,
		"languages":    p.Languages,
		"asset":        p.static.url,
		"rfc3339":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"time":         say.timeHTML,
		"hour":         say.hourHTML,
		"bare":         say.bareHTML,
		"who":          say.Who,
		"device":       say.device,
		"sockets":      say.sockets,
		"field":        fieldHTML,
		"figure":       figureHTML,
		"heldLabel":    func(name string) string { return HeldField{Name: name}.Label() },
		"number":       numberHTML,
		"link":         linkHTML,
		"when":         say.when,
		"clock":        say.clock,
		"day":          say.dayName,
		"dayshort":     say.dayShort,
		"roughly":      say.roughly,
		"flow":         flow,
		"last":         func(days []Day) Day { return days[len(days)-1] },
		"zone":         func(name string) template.HTML { return element("span", "data-zone", name) },
		"minutes":      say.span,
		"seconds":      func(minutes int) int { return minutes * 60 },
		"add":          func(a, b int) int { return a + b },
		"list":         func(items ...any) []any { return items },
		"blankMessage": func() Message { return Message{} },
		"tag":          func(b Booking, now time.Time) tagView { return tagView{b, now} },
		"lookup":       newLookupView,
		"notice":       func(a Audiences, f NoticeForm) noticeView { return noticeView{a, f} },
		"pick":         func(a Audiences, to string, label template.HTML) audienceView { return audienceView{a, to, label} },
	}
}

// tagView is a booking at a moment.
type tagView struct {
	Booking Booking
	Now     time.Time
}

// noticeView is the form of a notice with the audiences to choose from.
type noticeView struct {
	Audience Audiences
	Form     NoticeForm
}

// audienceView is a choice of audiences with the one chosen.
type audienceView struct {
	Audience Audiences
	To       string
	Label    template.HTML
}

// lookupView is the lookup form with what is wrong with each field.
type lookupView struct {
	Form  LookupForm
	Error LookupForm
}

func newLookupView(l Layout, f LookupForm) lookupView {
	return lookupView{Form: f, Error: LookupForm{Surname: l.Field("surname"), Reference: l.Field("reference")}}
}
