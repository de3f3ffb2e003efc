package attendance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// MaxTable is the largest table that is read, in bytes.
	MaxTable = 1 << 20
	maxName  = 200 // characters

	imported = "From a table." // the reason of a mark that came without one
)

// A Row is a line of a table of marks, or of expected names.
type Row struct {
	Line   int
	Person lodge.PersonID // empty: found by name
	Name   string
	State  State // empty: expected, and nothing more
	Reason string
}

// An Unread is a line of a table that was not understood.
type Unread struct {
	Line int
	Text string // what it says, as far as it is to be shown
	Why  string
}

// A Proposed is a mark that a table would enter.
type Proposed struct {
	Line int
	Mark // as it is
	To   State
	Why  string // the reason it would be entered with
}

// An Addition is somebody whom a table would add to those expected.
type Addition struct {
	Line   int
	Person lodge.PersonID
	Name   string
	Known  bool // of the group; else there is only the name
}

// An Import is what a table makes of a register.
type Import struct {
	Marks  []Proposed
	Added  []Addition
	Same   int // lines that say what is there already
	Unread []Unread
}

// words that tables have for states.
var states = map[string]State{
	"": "", "expected": "", "erwartet": "",
	"present": Present, "p": Present, "anwesend": Present,
	"late": Late, "l": Late, "verspätet": Late,
	"excused": Excused, "e": Excused, "entschuldigt": Excused,
	"absent": Absent, "a": Absent, "abwesend": Absent,
}

var columns = map[string]string{
	"person": "person", "name": "name", "state": "state", "mark": "state", "reason": "reason",
	"eintrag": "state", "status": "state", "grund": "reason",
}

// ReadTable reads a table with a heading: columns person or name, state, reason, in
// any order, others besides; separated by commas, semicolons or tabs. What Register.CSV
// writes is one.
func ReadTable(data []byte) ([]Row, []Unread, error) {
	if len(data) > MaxTable {
		return nil, nil, lodge.E(lodge.CodeTooLarge, "The table is too large; it may have 1 MiB.")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, nil, lodge.E(lodge.CodeRefused, "The table is not in UTF-8; save it as “CSV UTF-8”.")
	}
	in := csv.NewReader(bytes.NewReader(data))
	in.FieldsPerRecord, in.Comma = -1, separator(data)
	heading, err := in.Read()
	if err != nil {
		return nil, nil, lodge.Wrap(lodge.CodeRefused, "The table has no heading; its first line names the columns: name, state, reason.", err)
	}
	at := map[string]int{}
	for i, title := range heading {
		if name := columns[strings.ToLower(strings.TrimSpace(title))]; name != "" {
			if _, twice := at[name]; !twice {
				at[name] = i
			}
		}
	}
	_, byPerson := at["person"]
	if _, byName := at["name"]; !byName && !byPerson {
		return nil, nil, lodge.E(lodge.CodeRefused, "The table has no column “name” or “person”; name its columns in the first line.")
	}
	var rows []Row
	var unread []Unread
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, unread, nil
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return rows, append(unread, Unread{Line: wrong.StartLine, Why: "From here on its quotation marks do not match."}), nil
		}
		if err != nil {
			return nil, nil, err
		}
		line, _ := in.FieldPos(0)
		field := func(name string) string {
			i, is := at[name]
			if !is || i >= len(fields) {
				return ""
			}
			return messaging.Bare(strings.TrimSpace(fields[i]))
		}
		row := Row{Line: line, Person: lodge.PersonID(field("person")), Name: strings.Join(strings.Fields(field("name")), " "), Reason: field("reason")}
		state, known := states[strings.ToLower(field("state"))]
		row.State = state
		why := ""
		switch {
		case row.Person == "" && row.Name == "":
			why = "It names nobody."
		case !known:
			why = "Its mark is none of present, late, excused, absent."
		case utf8.RuneCountInString(row.Name) > maxName || len(row.Person) > maxID || utf8.RuneCountInString(row.Reason) > maxReason:
			why = "It is too long."
		case len(rows) >= maxMembers:
			why = "The table has too many lines."
		}
		if why != "" {
			unread = append(unread, Unread{Line: line, Text: shorten(strings.Join(fields, ", ")), Why: why})
			continue
		}
		rows = append(rows, row)
	}
}

// separator is what the heading separates its columns by.
func separator(data []byte) rune {
	heading, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', bytes.Count(heading, []byte(","))
	for _, other := range []rune{';', '\t'} {
		if n := bytes.Count(heading, []byte(string(other))); n > most {
			best, most = other, n
		}
	}
	return best
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

func sameName(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// Read says what rows make of a register, given who is of its group now. With names,
// those whom nobody knows are added by their name alone.
func (r Register) Read(rows []Row, group []Member, names bool) Import {
	byName := map[string][]lodge.PersonID{}
	marks := map[lodge.PersonID]Mark{}
	for _, m := range r.Marks {
		marks[m.Person] = m
		byName[sameName(m.Name)] = append(byName[sameName(m.Name)], m.Person)
	}
	more := map[lodge.PersonID]Member{}
	for _, m := range group {
		if _, in := marks[m.Person]; !in {
			more[m.Person] = m
			byName[sameName(m.Name)] = append(byName[sameName(m.Name)], m.Person)
		}
	}
	var out Import
	done := map[lodge.PersonID]bool{}
	for _, row := range rows {
		person, why := row.Person, ""
		if person == "" {
			switch found := byName[sameName(row.Name)]; len(found) {
			case 0:
				person = nameOnly(r.Group, row.Name)
			case 1:
				person = found[0]
			default:
				why = "Several people have this name; add the column “person”."
			}
		}
		mark, in := marks[person]
		member, ofGroup := more[person]
		switch {
		case why != "":
		case done[person]:
			why = "This person stands in the table twice; the first line counts."
		case in:
		case !r.Open:
			why = "Nobody of this name is in the register, and it is closed."
		case ofGroup:
			out.Added = append(out.Added, Addition{Line: row.Line, Person: person, Name: member.Name, Known: true})
			mark = Mark{Person: person, Name: member.Name, State: Expected}
		case names && row.Person == "":
			out.Added = append(out.Added, Addition{Line: row.Line, Person: person, Name: row.Name})
			mark = Mark{Person: person, Name: row.Name, State: Expected}
		default:
			why = "Nobody of the group is known by this name."
		}
		if why != "" {
			out.Unread = append(out.Unread, Unread{Line: row.Line, Text: shorten(row.Name), Why: why})
			continue
		}
		done[person] = true
		switch {
		case row.State != "" && row.State != mark.State:
			reason := row.Reason
			if reason == "" {
				reason = imported
			}
			out.Marks = append(out.Marks, Proposed{Line: row.Line, Mark: mark, To: row.State, Why: reason})
		case in:
			out.Same++
		}
	}
	return out
}

// nameOnly is the id of somebody of a group of whom there is only a name.
func nameOnly(group, name string) lodge.PersonID {
	sum := sha256.Sum256([]byte(group + "\x00" + sameName(name)))
	return lodge.PersonID("name-" + hex.EncodeToString(sum[:12]))
}

// Apply does what an Import says and returns the register and the marks that changed,
// as they were. It may be repeated.
func (d *Desk) Apply(ctx context.Context, tenant lodge.Tenant, id string, by lodge.PersonID, in Import) (Register, []Mark, error) {
	added := make(map[lodge.PersonID]mark, len(in.Added))
	for _, a := range in.Added {
		added[a.Person] = mark{Name: a.Name}
	}
	keys, err := d.keysOf(ctx, tenant, slices.Collect(maps.Keys(added))...)
	if err != nil {
		return Register{}, nil, err
	}
	err = d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[id]
		if r == nil {
			return nil, errUnknown
		}
		fresh := maps.Clone(added)
		maps.DeleteFunc(fresh, func(person lodge.PersonID, _ mark) bool { return r.Members[person] != nil })
		switch {
		case len(fresh) > 0 && !r.open():
			return nil, errClosed
		case len(r.Members)+len(fresh) > maxMembers:
			return nil, lodge.E(lodge.CodeRefused, fmt.Sprintf("A register holds at most %d people; open one for each part of the group.", maxMembers))
		}
		return noted(kindJoined, id, fresh, keys)
	})
	if err != nil {
		return Register{}, nil, err
	}
	corrections := make([]Correction, 0, len(in.Marks))
	for _, m := range in.Marks {
		corrections = append(corrections, Correction{Person: m.Person, State: m.To, Reason: m.Why})
	}
	return d.Correct(ctx, tenant, id, by, corrections)
}
