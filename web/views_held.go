package web

import (
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Held is a form that was refused before it could be shown again, as it was sent:
// the page of the error carries it, to be sent once more.
type Held struct {
	To       string // where to send it: its own address, or the one that takes up an idle login first
	Parts    bool   // it goes as multipart/form-data
	Fields   []HeldField
	Secrets  []string // fields that are typed again, since no page repeats what was in them
	Files    []string // fields of files, which are chosen again
	TooLarge bool     // it was not kept: there was too much of it
	SignIn   string   // where to sign in first, in another tab; may be empty
	Wait     int      // seconds before it is of use to send it again; 0 for none
	Idle     bool     // sending it also goes on with the login that was left alone
}

// HeldField is one value of a held form.
type HeldField struct{ Name, Value string }

// Whole reports whether all of a form is held, and with it what to do next.
func (h *Held) Whole() bool { return h != nil && !h.TooLarge }

// Typed are the values that somebody reads and may want to copy.
func (h *Held) Typed() []HeldField { return readable(h.Fields) }

// readable leaves out what forms carry for themselves, and what is empty.
func readable(fields []HeldField) []HeldField {
	return slices.DeleteFunc(slices.Clone(fields), func(f HeldField) bool {
		return strings.TrimSpace(f.Value) == "" || ownFields[f.Name] || strings.HasSuffix(f.Name, "-id")
	})
}

// ownFields are what forms carry for themselves, under the names they have on every
// page.
var ownFields = map[string]bool{"key": true, "rev": true, "version": true, "base": true, "do": true, "action": true, "return": true, "narrow": true, "online": true, "issuer": true, "into": true}

// Label names a field for the reader; a name that no page has stays as it is.
func (f HeldField) Label() string {
	if label, ok := fieldLabels[f.Name]; ok {
		return label
	}
	switch {
	case strings.HasPrefix(f.Name, "booking-"):
		return Text("Booking")
	case strings.HasPrefix(f.Name, "q-"): // of a survey: answered, or written
		return Text("Question")
	}
	return f.Name
}

// FieldLabels are the names of all fields that people fill in, but for those of
// questions and of bookings in a plan, which are numbered.
func FieldLabels() map[string]string { return fieldLabels }

var fieldLabels = map[string]string{
	"at": Text("When"), "choice": Text("What"), "closes": Text("Closes"), "code": Text("Code"),
	"day": Text("Day"), "days": Text("Days it works"), "deadline": Text("Deadline"), "expires": Text("Shown until"), "file": Text("File"), "files": Text("Files"), "find": Text("Find whom to reach"),
	"from": Text("From"), "get": Text("Mail"), "group": Text("Group"), "instructions": Text("Instructions"), "intro": Text("Introduction"),
	"keep": Text("Files to keep"), "kind": Text("Kind"), "late": Text("Late"), "least": Text("Time in the experiment that counts"),
	"lenient": Text("Leave out what is faulty, and name it"), "limit": Text("How many may join"), "manifest": Text("Manifest"),
	"member": Text("Member"), "message": Text("What these people read"), "mib": Text("MiB in all"), "minutes": Text("Minutes"), "mode": Text("Mode"), "name": Text("Name"),
	"names": Text("Expect names that nobody of the group has, too"), "opens": Text("Opens"), "partial": Text("If there is no room for all, book for those there is room for."),
	"per_day": Text("Points for each day"), "person": Text("Person"), "points": Text("Points"), "priority": Text("Priority"),
	"prune": Text("Remove what the manifest leaves out, of the kinds that it has"), "reason": Text("Reason"), "reference": Text("Reference"),
	"replies": Text("Replies"), "role": Text("Role"), "room": Text("Room"), "scope": Text("Scope"), "seconds": Text("Seconds"), "slot": Text("Slot"),
	"small": Text("Smallest group"), "start": Text("Start"), "state": Text("Mark"), "subject": Text("Account"), "surname": Text("Surname"),
	"table": Text("Table"), "template": Text("Template"), "text": Text("Text"), "times": Text("How many weeks"), "title": Text("Title"), "to": Text("To"),
	"types": Text("Types"), "until": Text("Until"), "when": Text("When"), "words": Text("Words"), "zone": Text("Time zone"),
}

// Filled is a form that is shown again since something in it was wrong.
type Filled struct {
	To     string // its address
	Values url.Values
	lost   []HeldField // what the page has no place for
}

// FieldsOf are the values of a form by name.
func FieldsOf(values url.Values) []HeldField {
	var out []HeldField
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			out = append(out, HeldField{name, value})
		}
	}
	return out
}

// missingIn is what was typed that a page does not have which was to show the form
// again: what it was about may be gone, or not take it any more.
func (f *Filled) missingIn(page string) []HeldField {
	page = oneNewline(html.UnescapeString(page))
	typed := readable(FieldsOf(f.Values))
	if !strings.Contains(page, `action="`+f.To+`"`) {
		return typed
	}
	return slices.DeleteFunc(typed, func(field HeldField) bool {
		value := oneNewline(field.Value)
		return strings.Contains(page, `value="`+value+`"`) || strings.Contains(page, ">"+value+"</textarea>")
	})
}

// oneNewline writes the ends of lines as pages do, not as forms send them.
func oneNewline(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// Lost is what was typed in a refused form that the page has no place for; it is
// shown with the error, to be copied.
func (l Layout) Lost() []HeldField {
	if l.Filled == nil {
		return nil
	}
	return l.Filled.lost
}

// Was reports whether a form of a page is the one that was refused: it is shown
// open, where others are folded.
func (l Layout) Was(address string) bool {
	return l.Problem != nil && l.Filled != nil && l.Filled.To == address
}

// Typed is what was typed in a field of a form that is shown again; otherwise, what
// the page shows in it.
func (l Layout) Typed(address, field string, otherwise any) any {
	if !l.Was(address) || !l.Filled.Values.Has(field) {
		return otherwise
	}
	return l.Filled.Values.Get(field)
}

// Ticked is Typed for a box: of a form that was refused none but the ticked ones
// came back.
func (l Layout) Ticked(address, field, value string, otherwise bool) bool {
	if !l.Was(address) {
		return otherwise
	}
	return slices.Contains(l.Filled.Values[field], value)
}

// SignedIn is where somebody signs in who keeps a form in another tab.
type SignedIn struct{ Layout }
