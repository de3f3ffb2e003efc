package attendance

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A Summary is what closed registers say of one person together.
type Summary struct {
	Person                         lodge.PersonID
	Name                           string // as the newest of them has it
	Present, Late, Excused, Absent int
}

// Attended returns in how many of a hundred hours the person was there, late or not;
// those they were excused from do not count. Of none it is 100.
func (s Summary) Attended() int {
	there, all := s.Present+s.Late, s.Present+s.Late+s.Absent
	if all == 0 {
		return 100
	}
	return (200*there + all) / (2 * all)
}

// Summarise adds closed registers up by person, by name. Give them newest first.
func Summarise(registers []Register) []Summary {
	at := map[lodge.PersonID]int{}
	var all []Summary
	for _, r := range registers {
		if r.Open {
			continue
		}
		for _, m := range r.Marks {
			i, known := at[m.Person]
			if !known {
				i = len(all)
				at[m.Person] = i
				all = append(all, Summary{Person: m.Person})
			}
			s := &all[i]
			s.Name = cmp.Or(s.Name, m.Name)
			switch m.State {
			case Present:
				s.Present++
			case Late:
				s.Late++
			case Excused:
				s.Excused++
			case Absent:
				s.Absent++
			}
		}
	}
	slices.SortFunc(all, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Person, b.Person))
	})
	return all
}

// SummaryCSV writes summaries as Register.CSV writes marks.
func SummaryCSV(w io.Writer, group string, all []Summary) error {
	rows := [][]string{{"group", "person", "name", "present", "late", "excused", "absent", "percent"}}
	for _, s := range all {
		rows = append(rows, []string{
			group, string(s.Person), s.Name, strconv.Itoa(s.Present), strconv.Itoa(s.Late), strconv.Itoa(s.Excused), strconv.Itoa(s.Absent), strconv.Itoa(s.Attended()),
		})
	}
	return writeCSV(w, rows)
}

// writeCSV writes rows that no spreadsheet takes for formulas.
func writeCSV(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range rows {
		for i := range row {
			row[i] = messaging.Inert(row[i])
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("attendance: csv: %w", err)
	}
	return nil
}
