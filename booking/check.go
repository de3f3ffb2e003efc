package booking

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Fault is something wrong with a catalogue.
type Fault struct {
	Line    int    `json:"line,omitempty"` // in the file; 0 when there is none
	Object  string `json:"object"`         // kind.name, such as slots.sl-a
	Message string `json:"message"`
}

// String writes the fault as one line.
func (f Fault) String() string {
	if f.Line == 0 {
		return f.Object + ": " + f.Message
	}
	return fmt.Sprintf("line %d: %s: %s", f.Line, f.Object, f.Message)
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// Check returns what is wrong with a catalogue as a whole, in a stable order.
func (c *Catalogue) Check() []Fault { return c.check(nil) }

// check is Check for a catalogue of which a file has a part.
func (c *Catalogue) check(lines map[string]int) []Fault {
	rd := reader{lines: lines}
	k := checker{c: c, elsewhere: nowhere, line: rd.line}
	k.check()
	return k.faults
}

// A checker finds faults between and in objects. With prune it also removes from
// the catalogue what is not sound, and what then refers to it.
type checker struct {
	c         *Catalogue
	elsewhere func(kind, name string) bool // whether a name that c does not have is there all the same
	line      func(path ...string) int     // the first of these paths that has a line
	words     map[string]string            // the file's words for kinds and fields, where they differ from ours
	prune     bool
	faults    []Fault
}

// nowhere is for a catalogue that is all there is.
func nowhere(string, string) bool { return false }

// word returns what the file calls a kind or a field.
func (k *checker) word(ours string) string {
	if theirs, ok := k.words[ours]; ok {
		return theirs
	}
	return ours
}

func (k *checker) fault(object, field, format string, args ...any) {
	field = k.word(field)
	k.faults = append(k.faults, Fault{k.line(object+"."+field, object), object, fmt.Sprintf(format, args...)})
}

// check goes from what is referred to to what refers, so that one pass is
// enough to prune.
func (k *checker) check() {
	eachSound(k, "windows", k.c.Windows, k.window)
	eachSound(k, "guides", k.c.Guides, k.guide)
	eachSound(k, "uis", k.c.UIs, k.ui)
	eachSound(k, "ui_sets", k.c.UISets, k.uiSet)
	eachSound(k, "experiments", k.c.Experiments, k.experiment)
	eachSound(k, "pools", k.c.Pools, k.pool)
	eachSound(k, "policies", k.c.Policies, k.policy)
	eachSound(k, "slots", k.c.Slots, k.slot)
	eachSound(k, "groups", k.c.Groups, k.group)
	eachSound(k, "overrides", k.c.Overrides, k.override)
	eachSound(k, "roles", k.c.Roles, k.role)
	eachSound(k, "descriptions", k.c.Descriptions, func(string, *Description) bool { return true })
}

// eachSound runs a check on every object of a map. The check may change its
// object, and answers whether it is sound; if not it goes, when pruning.
func eachSound[V any](k *checker, kind string, m map[string]V, check func(path string, v *V) bool) {
	for _, name := range sortedKeys(m) {
		v, path := m[name], k.word(kind)+"."+name
		sound := check(path, &v)
		if !goodName(name) {
			k.fault(path, "", "a name has 1 to 128 characters, none of them a space, a slash or a colon")
			sound = false
		}
		if !k.prune {
			continue
		}
		if sound {
			m[name] = v
		} else {
			delete(m, name)
		}
	}
}

func goodName(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}) < 0
}

// known reports whether an object of a kind is there, and names it if not.
func known[V any](k *checker, m map[string]V, kind, object, field, name string) bool {
	if _, ok := m[name]; ok || k.elsewhere(kind, name) && goodName(name) {
		return true
	}
	if name == "" {
		k.fault(object, field, "%s is missing", k.word(field))
	} else {
		k.fault(object, field, "%s %q is not among the %s", k.word(field), name, k.word(kind))
	}
	return false
}

// allKnown is known for a list; when pruning it keeps those that are.
func allKnown[V any](k *checker, m map[string]V, kind, object, field string, list *[]string) {
	var kept []string
	for _, name := range *list {
		if known(k, m, kind, object, field, name) {
			kept = append(kept, name)
		}
	}
	if k.prune {
		*list = kept
	}
}

func (k *checker) description(object string, name *string) {
	if *name != "" && !known(k, k.c.Descriptions, "descriptions", object, "description", *name) && k.prune {
		*name = ""
	}
}

func (k *checker) window(object string, w *Window) bool {
	good := func(field string, list []Interval) []Interval {
		var kept []Interval
		for _, i := range list {
			switch {
			case i.Start.Before(earliest) || i.End.After(latest):
				k.fault(object, field, "%s has an interval outside the years 2000 to 8999", field)
			case i.empty():
				k.fault(object, field, "%s has an interval that ends (%s) before it has begun", field, i.End.Format(time.RFC3339))
			default:
				kept = append(kept, i)
			}
		}
		return kept
	}
	allowed, denied := good("allowed", w.Allowed), good("denied", w.Denied)
	if k.prune {
		w.Allowed, w.Denied = allowed, denied
	}
	return true
}

func (k *checker) guide(object string, g *Guide) bool {
	if g.Duration <= 0 || g.BookAhead < 0 || g.MaxSlots < 0 {
		k.fault(object, "duration", "a guide needs a duration above zero, and nothing negative")
		return false
	}
	return true
}

func (k *checker) ui(object string, u *UI) bool {
	k.description(object, &u.Description)
	if u.URL == "" {
		k.fault(object, "url", "url is missing")
		return false
	}
	return true
}

func (k *checker) uiSet(object string, s *UISet) bool {
	k.description(object, &s.Description)
	allKnown(k, k.c.UIs, "uis", object, "uis", &s.UIs)
	return true
}

// relayTopic is what the relay accepts as a topic.
var relayTopic = regexp.MustCompile(`^[\w%\-]+(/[\w%\-]+)*$`)

// statsTopic is where the relay tells who is connected: no experiment's.
const statsTopic = "stats"

func (k *checker) experiment(object string, e *Experiment) bool {
	k.description(object, &e.Description)
	var kept []Stream
	seen := map[string]bool{}
	for _, s := range e.Streams {
		switch {
		case s.For == "":
			k.fault(object, "streams", "a stream does not say what it is for")
		case seen[s.For]:
			k.fault(object, "streams", "two streams are for %q", s.For)
		case s.Topic == statsTopic:
			k.fault(object, "streams", "stream %q has the topic %q, which is the relay's own", s.For, s.Topic)
		case !relayTopic.MatchString(s.Topic):
			k.fault(object, "streams", "stream %q has the topic %q; topics are made of letters, digits, _, -, %% and /", s.For, s.Topic)
		case slices.ContainsFunc(s.Scopes, func(sc string) bool { return sc != "read" && sc != "write" }):
			k.fault(object, "streams", "stream %q has a scope other than read and write", s.For)
		case s.MaxMessage != 0 && (s.MaxMessage < MinStreamMessage || s.MaxMessage > MaxStreamMessage):
			k.fault(object, "streams", "stream %q has max_message_bytes %d; it is %d to %d, or left out", s.For, s.MaxMessage, MinStreamMessage, MaxStreamMessage)
		default:
			seen[s.For] = true
			kept = append(kept, s)
		}
	}
	if k.prune {
		e.Streams = kept
	}
	return true
}

func (k *checker) pool(object string, p *Pool) bool {
	k.description(object, &p.Description)
	allKnown(k, k.c.Experiments, "experiments", object, "experiments", &p.Experiments)
	return true
}

func (k *checker) policy(object string, p *Policy) bool {
	k.description(object, &p.Description)
	allKnown(k, k.c.Guides, "guides", object, "guides", &p.Guides)
	if p.Reminders != nil && (len(*p.Reminders) > maxReminders || slices.ContainsFunc(*p.Reminders, func(d Duration) bool { return d <= 0 })) {
		k.fault(object, "reminders", "reminders are at most %d durations above nothing", maxReminders)
		return false
	}
	if !k.lookup(object, p) {
		return false
	}
	return k.limits(object, p.MinDuration, p.MaxDuration, p.MaxBookings, []limit{
		{"book_ahead", p.BookAhead}, {"starts_within", p.StartsWithin}, {"next_available", p.NextAvailable},
		{"allow_start_in_past_within", p.AllowStartInPast}, {"min_duration", p.MinDuration}, {"max_duration", p.MaxDuration},
		{"max_usage", p.MaxUsage}, {"grace_period", p.GracePeriod}, {"grace_penalty", p.GracePenalty},
	})
}

type limit struct {
	field string
	d     *Duration
}

// limits checks what a policy or an override limits.
func (k *checker) limits(object string, least, most *Duration, bookings *int, all []limit) bool {
	sound := true
	for _, r := range all {
		if r.d != nil && *r.d < 0 {
			k.fault(object, r.field, "%s is negative", r.field)
			sound = false
		}
	}
	if bookings != nil && *bookings < 0 {
		k.fault(object, "max_bookings", "max_bookings is negative")
		sound = false
	}
	if least != nil && most != nil && *least > *most {
		k.fault(object, "min_duration", "min_duration %s is above max_duration %s", words(time.Duration(*least)), words(time.Duration(*most)))
		sound = false
	}
	return sound
}

func (k *checker) slot(object string, s *Slot) bool {
	k.description(object, &s.Description)
	sound := known(k, k.c.Experiments, "experiments", object, "experiment", s.Experiment)
	sound = known(k, k.c.Policies, "policies", object, "policy", s.Policy) && sound
	sound = known(k, k.c.UISets, "ui_sets", object, "ui_set", s.UISet) && sound
	if s.Window != "" {
		sound = known(k, k.c.Windows, "windows", object, "window", s.Window) && sound
	}
	return sound
}

func (k *checker) group(object string, g *Group) bool {
	k.description(object, &g.Description)
	allKnown(k, k.c.Policies, "policies", object, "policies", &g.Policies)
	return true
}

// subjects checks a list of accounts.
func (k *checker) subjects(object string, list []string) bool {
	sound := true
	for _, s := range list {
		if issuer, subject, ok := strings.Cut(s, ":"); !ok || issuer == "" || subject == "" {
			k.fault(object, "subjects", "subject %q is not written issuer:subject", s)
			sound = false
		}
	}
	return sound
}
