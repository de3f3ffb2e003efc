package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// maxField is how long a field of an entry may be, in runes, before it is cut.
const maxField = 256

// Clean makes a text safe to print on one line of a terminal or a log: control
// characters, line and paragraph separators, invisible and direction-changing
// characters and bytes that are no UTF-8 are written as \u{hex} and \x hex, a
// backslash as \\, so that no two texts are cleaned to the same one unless they
// were cut.
func Clean(text string) string {
	var b strings.Builder
	runes := 0
	for i := 0; i < len(text); {
		if runes++; runes > maxField {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\\':
			b.WriteString(`\\`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Z, r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		i += size
	}
	return b.String()
}

// clean returns the event as it is stored.
func (e Event) clean() Event {
	return Event{
		Tenant: lodge.Tenant(Clean(string(e.Tenant))), Actor: Clean(e.Actor), Action: Action(Clean(string(e.Action))),
		Object: Clean(e.Object), Reason: Clean(e.Reason), Address: Clean(e.Address),
	}
}

// sealer computes MACs.
type sealer struct{ key []byte }

// genesis is what the first entry is chained to, and the MAC of an empty
// trail's head: without the key nobody can claim that nothing was ever written.
func (s sealer) genesis() MAC { return s.sum([]byte("lodge audit 1 genesis")) }

// mac returns the MAC of an entry that follows prev.
func (s sealer) mac(prev MAC, e *Entry) MAC {
	b := []byte("lodge audit 1 entry")
	b = append(b, prev[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixMicro()))
	for _, field := range []string{string(e.Tenant), e.Actor, string(e.Action), e.Object, e.Reason, e.Address} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return s.sum(b)
}

func (s sealer) sum(b []byte) (m MAC) {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	h.Sum(m[:0])
	return m
}

// seal chains events to a head. Times never run backwards in seq order only as
// far as the clock does not.
func (s sealer) seal(head Head, now time.Time, events []Event) []Entry {
	if head.Seq == 0 {
		head.MAC = s.genesis()
	}
	entries := make([]Entry, len(events))
	for i, event := range events {
		e := Entry{Seq: head.Seq + 1, Time: time.UnixMicro(now.UnixMicro()).UTC(), Event: event.clean()}
		e.MAC = s.mac(head.MAC, &e)
		entries[i], head = e, Head{e.Seq, e.MAC}
	}
	return entries
}
