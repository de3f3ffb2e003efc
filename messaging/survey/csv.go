package survey

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// CSV writes who answered what, one line a person under a heading (RFC 4180,
// UTF-8, times RFC 3339 in UTC), without anything that a spreadsheet would take
// for a formula, and without people who were erased. Where people are not named, a
// line has a pseudonym, or nothing, and no time; while too few answered there are
// no lines. Nothing is written unless the survey can be read.
func (d *Desk) CSV(ctx context.Context, tenant lodge.Tenant, id string, w io.Writer) error {
	s, box, err := d.results(ctx, tenant, id)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := s.writeCSV(&out, box); err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

func (s *state) writeCSV(w io.Writer, box ballotBox) error {
	heading := map[Mode][]string{Identified: {"person", "name", "answered_at"}, Pseudonymous: {"pseudonym"}}[s.mode()]
	for _, q := range s.Questions {
		heading = append(heading, messaging.Inert(q.Text))
	}
	table := [][]string{heading}
	for _, r := range s.lines(box) {
		var line []string
		switch s.mode() {
		case Identified:
			line = []string{messaging.Inert(string(r.person)), messaging.Inert(r.name), r.at.UTC().Format(time.RFC3339)}
		case Pseudonymous:
			line = []string{r.name}
		}
		for _, q := range s.Questions {
			field := q.written(r.answers[q.ID])
			if q.Kind != Number { // a number below zero is no formula
				field = messaging.Inert(field)
			}
			line = append(line, field)
		}
		table = append(table, line)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.WriteAll(table); err != nil {
		return fmt.Errorf("survey: csv: %w", err)
	}
	return nil
}

// lines are the rows that leave Lodge, by name; none while too few answered.
func (s *state) lines(box ballotBox) []row {
	rows := s.rows(box)
	if s.held(len(rows)) {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	return rows
}

// A Line is what one person answered, as results are exported.
type Line struct {
	Person    lodge.PersonID    `json:"person,omitempty"` // where people are named
	Name      string            `json:"name,omitempty"`
	Pseudonym string            `json:"pseudonym,omitempty"`
	At        time.Time         `json:"answered_at,omitzero"`
	Answers   map[string]Answer `json:"answers"`
}

// Lines returns who answered what, as CSV does.
func (d *Desk) Lines(ctx context.Context, tenant lodge.Tenant, id string) ([]Line, error) {
	s, box, err := d.results(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	all := []Line{}
	for _, r := range s.lines(box) {
		line := Line{Person: r.person, Name: r.name, At: r.at, Answers: r.answers}
		if s.mode() == Pseudonymous {
			line = Line{Pseudonym: r.name, Answers: r.answers}
		}
		all = append(all, line)
	}
	return all, nil
}

// written is an answer as text; none is "".
func (q Question) written(a Answer) string {
	switch {
	case a.Number != 0:
		return strconv.Itoa(a.Number)
	case a.Value != nil:
		return strconv.FormatFloat(*a.Value, 'g', -1, 64)
	case len(a.Options) == 0:
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
