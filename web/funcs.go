package web

import (
	"html/template"
	"time"
)

// funcs are what templates may call beside the methods of the views. The ones
// that return a small struct gather the arguments of a shared template.
func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":        p.static.url,
		"rfc3339":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"utc":          formatUTC,
		"minutes":      minutes,
		"seconds":      func(minutes int) int { return minutes * 60 },
		"add":          func(a, b int) int { return a + b },
		"list":         func(items ...string) []string { return items },
		"blankMessage": func() Message { return Message{} },
		"tag":          func(b Booking, now time.Time) tagView { return tagView{b, now} },
		"lookup":       newLookupView,
		"notice":       func(a []Audience, f NoticeForm) noticeView { return noticeView{a, f} },
		"pick":         func(a []Audience, to string) audienceView { return audienceView{a, to} },
	}
}

// tagView is a booking at a moment.
type tagView struct {
	Booking Booking
	Now     time.Time
}

// noticeView is the form of a notice with the audiences to choose from.
type noticeView struct {
	Audience []Audience
	Form     NoticeForm
}

// audienceView is a choice of audiences with the one chosen.
type audienceView struct {
	Audience []Audience
	To       string
}

// lookupView is the lookup form with what is wrong with each field.
type lookupView struct {
	Form  LookupForm
	Error LookupForm
}

func newLookupView(l Layout, f LookupForm) lookupView {
	return lookupView{Form: f, Error: LookupForm{Surname: l.Field("surname"), Reference: l.Field("reference")}}
}
