package booking

import (
	"maps"
	"time"
)

// A Catalogue is what a tenant offers: rigs, who may use them, when and how
// long. Its maps go by name; everything refers to everything else by name, and
// Check tells whether the references hold. A Catalogue got from a Desk is a
// snapshot shared by many callers and must not be changed.
type Catalogue struct {
	Experiments  map[string]Experiment  `json:"experiments,omitempty"`
	Pools        map[string]Pool        `json:"pools,omitempty"`
	Slots        map[string]Slot        `json:"slots,omitempty"`
	Windows      map[string]Window      `json:"windows,omitempty"`
	Policies     map[string]Policy      `json:"policies,omitempty"`
	Guides       map[string]Guide       `json:"guides,omitempty"`
	Groups       map[string]Group       `json:"groups,omitempty"`
	UIs          map[string]UI          `json:"uis,omitempty"`
	UISets       map[string]UISet       `json:"ui_sets,omitempty"`
	Overrides    map[string]Override    `json:"overrides,omitempty"`
	Roles        map[string]RoleBinding `json:"roles,omitempty"`
	Descriptions map[string]Description `json:"descriptions,omitempty"`
}

// An Experiment is one physical rig.
type Experiment struct {
	Description string   `json:"description,omitempty"`
	TopicStub   string   `json:"topic_stub,omitempty"`
	Streams     []Stream `json:"streams,omitempty"`
	ConfigURL   string   `json:"config_url,omitempty"`
	Tests       []string `json:"tests,omitempty"`
	// State is what a file says of whether it is in service; nil leaves that as it
	// is. It is set when the file is applied, and nil in a stored catalogue.
	State *StateWish `json:"state,omitempty"`
}

// A StateWish says whether an experiment is to be in service.
type StateWish struct {
	Online bool   `json:"online"`
	Reason string `json:"reason,omitempty"` // why it is not; people who booked it read it
}

// A Stream is one relay topic of an experiment.
type Stream struct {
	For string `json:"for"` // what a UI calls it: data, video
	// Topic is the relay topic. A manifest's "auto" has been replaced with
	// topic_stub-for by the time a Catalogue holds it.
	Topic          string   `json:"topic"`
	Scopes         []string `json:"scopes"` // read, write
	ConnectionType string   `json:"connection_type,omitempty"`
	URL            string   `json:"url,omitempty"` // the relay that a practable manifest names; empty: our own
	// MaxMessage is the largest message that the relay takes on it, in bytes. Zero:
	// the relay's default, 10 MiB. Hosts follow a change at once, people with their
	// next launch.
	MaxMessage int `json:"max_message_bytes,omitempty"`
}

// The bounds of Stream.MaxMessage, in bytes.
const (
	MinStreamMessage = 1 << 10
	MaxStreamMessage = 64 << 20
)

// A Pool lists experiments that can stand in for one another.
type Pool struct {
	Description string   `json:"description,omitempty"`
	Experiments []string `json:"experiments"`
}

// A Slot is a way to reach an experiment: under which policy, when, and with
// which UIs. One experiment may have many.
type Slot struct {
	Description string `json:"description,omitempty"`
	Experiment  string `json:"experiment"`
	Policy      string `json:"policy"`
	UISet       string `json:"ui_set"`
	Window      string `json:"window,omitempty"` // empty: at any time
}

// A Window says when bookings may lie: inside what is allowed, outside what is
// denied. One that allows nothing is closed.
type Window struct {
	Allowed []Interval `json:"allowed"`
	Denied  []Interval `json:"denied,omitempty"`
}

// A Policy holds the rules a booking must keep. A rule that is nil is not
// enforced; one that is zero is.
type Policy struct {
	Description   string    `json:"description,omitempty"`
	Guides        []string  `json:"guides,omitempty"`
	BookAhead     *Duration `json:"book_ahead,omitempty"`     // a booking starts at most so long from now
	StartsWithin  *Duration `json:"starts_within,omitempty"`  // the same for policies of immediate use
	NextAvailable *Duration `json:"next_available,omitempty"` // a booking starts at most so long after the first free moment
	// AllowStartInPast accepts a start that is at most so long ago; without it a
	// booking cannot start in the past.
	AllowStartInPast *Duration `json:"allow_start_in_past_within,omitempty"`
	MinDuration      *Duration `json:"min_duration,omitempty"`
	MaxDuration      *Duration `json:"max_duration,omitempty"`
	MaxBookings      *int      `json:"max_bookings,omitempty"`  // current and future ones of one person
	MaxUsage         *Duration `json:"max_usage,omitempty"`     // of one person, over all bookings
	GracePeriod      *Duration `json:"grace_period,omitempty"`  // cancelled within it, it alone is charged
	GracePenalty     *Duration `json:"grace_penalty,omitempty"` // charged on top when nobody came
	UnlimitedUsers   bool      `json:"unlimited_users,omitempty"`
	// Reminders are how long before its start the owner of a booking is reminded;
	// an empty list: not at all. Without it the installation's setting holds.
	Reminders *[]Duration `json:"reminders,omitempty"`
	// Lookup is what a lookup may do: see, launch, extend, cancel; an empty list:
	// it finds nothing. Without it a lookup may do all.
	Lookup *[]string `json:"lookup,omitempty"`
}

// A Guide suggests starting times of one length to a page that shows a policy.
type Guide struct {
	Label     string   `json:"label,omitempty"`
	BookAhead Duration `json:"book_ahead"`
	Duration  Duration `json:"duration"`
	MaxSlots  int      `json:"max_slots"`
}

// A Group of people may use the policies it lists.
type Group struct {
	Description string   `json:"description,omitempty"`
	Policies    []string `json:"policies"`
	// Replies lets its instructors send notices that its members may reply to.
	Replies bool `json:"replies,omitempty"`
}

// A UI is a page that operates an experiment. URL is a template with
// {{streams}}, {{exp}} and, for UIs that Lodge serves itself, {{assets}}.
type UI struct {
	Description string   `json:"description,omitempty"`
	URL         string   `json:"url"`
	Streams     []string `json:"streams,omitempty"` // what it needs, by the stream's For
}

// A UISet lists the UIs that go with a slot.
type UISet struct {
	Description string   `json:"description,omitempty"`
	UIs         []string `json:"uis"`
}

// A Description is what people read about an object.
type Description struct {
	Title   string `json:"title"`
	Short   string `json:"short,omitempty"`
	Long    string `json:"long,omitempty"`
	Further string `json:"further,omitempty"` // a link
	Thumb   string `json:"thumb,omitempty"`
	Image   string `json:"image,omitempty"`
}

// A Duration is written as Go writes it: 5m, 1h30m.
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// clone returns a catalogue with maps of its own.
func (c *Catalogue) clone() Catalogue {
	return Catalogue{
		Experiments:  maps.Clone(c.Experiments),
		Pools:        maps.Clone(c.Pools),
		Slots:        maps.Clone(c.Slots),
		Windows:      maps.Clone(c.Windows),
		Policies:     maps.Clone(c.Policies),
		Guides:       maps.Clone(c.Guides),
		Groups:       maps.Clone(c.Groups),
		UIs:          maps.Clone(c.UIs),
		UISets:       maps.Clone(c.UISets),
		Overrides:    maps.Clone(c.Overrides),
		Roles:        maps.Clone(c.Roles),
		Descriptions: maps.Clone(c.Descriptions),
	}
}

// has reports whether an object is there.
func (c *Catalogue) has(id ObjectID) bool {
	in := map[string]func(string) bool{
		"experiments":  named(c.Experiments),
		"pools":        named(c.Pools),
		"slots":        named(c.Slots),
		"windows":      named(c.Windows),
		"policies":     named(c.Policies),
		"guides":       named(c.Guides),
		"groups":       named(c.Groups),
		"uis":          named(c.UIs),
		"ui_sets":      named(c.UISets),
		"overrides":    named(c.Overrides),
		"roles":        named(c.Roles),
		"descriptions": named(c.Descriptions),
	}
	found, known := in[id.Kind]
	return known && found(id.Name)
}

func named[V any](m map[string]V) func(string) bool {
	return func(name string) bool {
		_, ok := m[name]
		return ok
	}
}

// empty reports whether the catalogue has no objects.
func (c *Catalogue) empty() bool {
	return len(c.Experiments)+len(c.Pools)+len(c.Slots)+len(c.Windows)+len(c.Policies)+len(c.Guides)+
		len(c.Groups)+len(c.Overrides)+len(c.UIs)+len(c.UISets)+len(c.Roles)+len(c.Descriptions) == 0
}

// Title is what a page calls an object: its description's title, else its name.
func (c *Catalogue) Title(description, name string) string {
	if d, ok := c.Descriptions[description]; ok && d.Title != "" {
		return d.Title
	}
	return name
}

// SlotsOf returns the names of the slots that a group can use, in order.
func (c *Catalogue) SlotsOf(group string) []string {
	policies := map[string]bool{}
	for _, p := range c.Groups[group].Policies {
		policies[p] = true
	}
	var slots []string
	for _, name := range sortedKeys(c.Slots) {
		if policies[c.Slots[name].Policy] {
			slots = append(slots, name)
		}
	}
	return slots
}

// UIsOf returns the names of the UIs of a UI set, in the set's order.
func (c *Catalogue) UIsOf(set string) []string { return c.UISets[set].UIs }

// UIsFor returns the names of the UIs that go with any slot of an experiment, in
// order.
func (c *Catalogue) UIsFor(experiment string) []string {
	seen := map[string]bool{}
	for _, slot := range c.Slots {
		if slot.Experiment == experiment {
			for _, ui := range c.UIsOf(slot.UISet) {
				seen[ui] = true
			}
		}
	}
	return sortedKeys(seen)
}
