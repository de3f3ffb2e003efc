package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
)

// A Letter is one message to one person.
type Letter struct {
	ID       string // unique, the same at each attempt; of letters, digits, - and _
	To       string // an address alone: ada@example.org
	Name     string // whose it is; may be empty
	Subject  string
	Language string // BCP 47
	Text     string
	HTML     string
	Calendar string // an iCalendar file to attach; may be empty
	At       time.Time
}

// maxAddress is what a path has room for (RFC 5321 section 4.5.3.1.3).
const maxAddress = 254

// Address returns an address without what people put around it, and whether it is
// one that can be written to.
func Address(typed string) (string, bool) {
	s := strings.TrimSpace(typed)
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > maxAddress {
		return "", false
	}
	// What would need quotes is refused: no institution gives out such an address.
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"<>()[],;:\`, r)
	}) {
		return "", false
	}
	return s, true
}

// message writes a letter as a MIME message. Nothing in a letter can add a header,
// an address or a part: addresses are parsed, everything else that goes into a
// header is on one line and encoded.
func (l Letter) message(from netmail.Address) (*mail.Msg, error) {
	to, ok := Address(l.To)
	if !ok {
		return nil, fmt.Errorf("%w: the address is none", ErrRefused)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	if !isID(l.ID) {
		return nil, fmt.Errorf("%w: %q is no id", ErrRefused, l.ID)
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(&netmail.Address{Name: oneLine(from.Name), Address: from.Address})
	m.AddToMailAddress(&netmail.Address{Name: oneLine(l.Name), Address: to})
	m.Subject(oneLine(l.Subject))
	m.SetMessageIDWithValue(l.ID + "@" + domain)
	m.SetDateWithValue(l.At)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday notice answers it
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	if isID(l.Language) {
		m.SetGenHeader("Content-Language", l.Language)
	}
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	m.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	if l.Calendar != "" {
		if err := m.AttachReader("booking.ics", strings.NewReader(l.Calendar), mail.WithFileContentType("text/calendar; charset=utf-8; method=PUBLISH")); err != nil {
			return nil, fmt.Errorf("mail: attach the calendar: %w", err)
		}
	}
	return m, nil
}

// isID reports whether s is made of what can stand in any header as it is.
func isID(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// oneLine makes a text fit for a header: on one line, nothing in it that is not
// shown.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}
