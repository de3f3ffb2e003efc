package handin

import (
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// Limits of what a hand-in holds; lengths are in characters.
const (
	maxID           = 64
	maxTitle        = 200
	maxTo           = 200
	maxInstructions = 10_000
	maxText         = 20_000
	maxWords        = 4000
	maxFiles        = 50
	maxPoints       = 10_000
)

// Defaults of a draft's limits.
const (
	defaultFiles    = 5
	defaultFileSize = 20 << 20
	defaultTotal    = 50 << 20
)

// refuse says what a rule does not allow and what to do instead.
func refuse(format string, args ...any) error {
	return lodge.E(lodge.CodeRefused, fmt.Sprintf(format, args...))
}

// entry checks and completes a draft; most bounds the total, in bytes.
func (d Draft) entry(by lodge.PersonID, now time.Time, most int64) (entry, error) {
	d.Title, d.Instructions = strings.TrimSpace(d.Title), strings.TrimSpace(d.Instructions)
	d.Opens, d.Deadline = d.Opens.UTC(), d.Deadline.UTC()
	if d.ID == "" {
		d.ID = strings.ToLower(rand.Text())
	}
	if d.Late == "" {
		d.Late = Refuse
	}
	l := &d.Limits
	orDefault(&l.Files, defaultFiles)
	orDefault(&l.Total, min(defaultTotal, most))
	orDefault(&l.FileSize, min(defaultFileSize, l.Total))
	d.PerDay, d.Points = hundredths(d.PerDay), hundredths(d.Points)
	if err := d.check(now, most); err != nil {
		return entry{}, err
	}
	types, err := knownTypes(l.Types)
	if err != nil {
		return entry{}, err
	}
	l.Types = types
	return entry{Kind: kindOpened, HandIn: d.ID, At: now, By: by, Draft: &d}, nil
}

func orDefault[T int | int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (d Draft) check(now time.Time, most int64) error {
	start := d.Opens
	if start.IsZero() {
		start = now
	}
	switch {
	case !isID(d.ID):
		return refuse("The hand-in's id must have at most %d letters, digits, - and _.", maxID)
	case !isAudience(d.To):
		return refuse("Say whom the hand-in is for: all, group:…, experiment:…, booking:… or user:….")
	case d.Title == "" || !fits(d.Title, maxTitle):
		return refuse("The hand-in needs a title of at most %d characters.", maxTitle)
	case !fits(d.Instructions, maxInstructions):
		return refuse("Shorten the instructions to %d characters of plain text.", maxInstructions)
	case !d.Deadline.IsZero() && !d.Deadline.After(start):
		return refuse("The deadline must lie ahead, and after the opening; choose a later one.")
	case d.Late != Refuse && d.Late != Accept && d.Late != Penalty:
		return refuse("The late rule must be refuse, accept or penalty.")
	case d.Late == Penalty && (d.Deadline.IsZero() || !(d.PerDay > 0 && d.PerDay <= maxPoints)):
		return refuse("A penalty needs a deadline, and the points that each day takes off.")
	case d.Late != Penalty && d.PerDay != 0:
		return refuse("Points are taken off with the late rule penalty only.")
	case !(d.Points >= 0 && d.Points <= maxPoints):
		return refuse("The points possible must be 0 to %d.", maxPoints)
	case d.Limits.Files < 1 || d.Limits.Files > maxFiles:
		return refuse("Allow 1 to %d files.", maxFiles)
	case d.Limits.Total < 1 || d.Limits.Total > most:
		return refuse("Let the files of one person have at most %d bytes in all.", most)
	case d.Limits.FileSize < 1 || d.Limits.FileSize > d.Limits.Total:
		return refuse("Let one file have at most as many bytes as all together may.")
	}
	return nil
}

// gradable checks a grade for a hand-in.
func (h HandIn) gradable(points float64, words string) error {
	switch {
	case math.IsNaN(points) || points < 0 || points > h.Points:
		return refuse("Give 0 to %v points.", h.Points)
	case !fits(words, maxWords):
		return refuse("Shorten the words to %d characters of plain text.", maxWords)
	}
	return nil
}

// fits reports whether s is text of at most limit characters.
func fits(s string, limit int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit
}

func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAudience(to string) bool {
	kind, id, _ := strings.Cut(to, ":")
	switch kind {
	case "all":
		return to == "all"
	case "group", "experiment", "booking", "user":
		return id != "" && fits(id, maxTo)
	}
	return false
}

// knownTypes returns extensions in one form: all that are known when none is given.
func knownTypes(given []string) ([]string, error) {
	if len(given) == 0 {
		return Types(), nil
	}
	var types []string
	for _, one := range given {
		one = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(one), "."))
		if _, known := kinds[one]; !known {
			return nil, refuse("Files of type %q cannot be checked; allow some of: %s.", one, strings.Join(Types(), ", "))
		}
		types = append(types, one)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}
