package survey

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writeCSV writes one line a person under a heading, by name (RFC 4180, UTF-8,
// times RFC 3339 in UTC). A field that a spreadsheet would take for a formula
// is written with an apostrophe before it.
func (s *state) writeCSV(w io.Writer) error {
	heading := []string{"person", "name", "answered_at"}
	for _, q := range s.Questions {
		heading = append(heading, q.Text)
	}
	rows := [][]string{heading}
	people := s.ordered()
	slices.SortStableFunc(people, func(a, b *response) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range people {
		if r.silent() {
			continue
		}
		row := []string{string(r.Person), r.Name, r.At.UTC().Format(time.RFC3339)}
		for _, q := range s.Questions {
			row = append(row, q.written(r.Answers[q.ID]))
		}
		rows = append(rows, row)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range rows {
		for i := range row {
			row[i] = inert(row[i])
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("survey: csv: %w", err)
	}
	return nil
}

// written is an answer as text; none is "".
func (q Question) written(a Answer) string {
	if a.Number != 0 {
		return strconv.Itoa(a.Number)
	}
	if len(a.Options) == 0 {
		return a.Text
	}
	var chosen []string
	for _, o := range a.Options {
		if o >= 0 && o < len(q.Options) {
			chosen = append(chosen, q.Options[o])
		}
	}
	return strings.Join(chosen, "; ")
}

// inert keeps a spreadsheet from evaluating a field (OWASP, CSV injection).
func inert(field string) string {
	if field == "" {
		return ""
	}
	switch field[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + field
	}
	return field
}
