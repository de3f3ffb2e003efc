package messaging

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lodge-gateway/lodge"
)

// A Class says what a topic holds, and so for how long it is kept.
type Class string

// The classes of topics.
const (
	ClassNotices   Class = "notices"   // what people are told: entries are events
	ClassClassroom Class = "classroom" // surveys, registers, hand-ins
	ClassPresence  Class = "presence"  // who is connected
	ClassInternal  Class = "internal"  // what Lodge notes for itself
)

// ClassOf returns the class of a topic by its logical name.
func ClassOf(name string) Class {
	kind, _, _ := strings.Cut(name, ":")
	switch kind {
	case "all", "group", "user", "booking", "experiment", "instructors", "sent":
		return ClassNotices
	case "surveys", "survey", "ballots", "registers", "register", "handins", "handin":
		return ClassClassroom
	case "presence":
		return ClassPresence
	}
	return ClassInternal
}

// topicDirectory is the internal topic that lists a tenant's topics: nothing
// else tells that a topic exists, since back ends know physical names only.
const topicDirectory = "topics"

// A Listed is a topic of a tenant's directory.
type Listed struct {
	Name  string `json:"name"`
	Class Class  `json:"class"`
}

// listing is what the entries of topicDirectory fold into, and their body, which
// says of one topic or more that it is there (true) or was dropped.
type listing struct {
	Topics map[string]bool `json:"topics"`
}

func foldListing(l *listing, item Item) {
	var e listing
	if json.Unmarshal(item.Body, &e) != nil {
		return
	}
	if l.Topics == nil {
		l.Topics = make(map[string]bool)
	}
	for name, there := range e.Topics {
		if there {
			l.Topics[name] = true
		} else {
			delete(l.Topics, name)
		}
	}
}

// directories are those of a node's tenants, and which of their topics it knows
// to be listed.
type directories struct {
	mu    sync.Mutex
	books map[lodge.Tenant]*Projection[listing] // guarded by mu
	known map[Topic]struct{}                    // guarded by mu
}

func (t *Topics) directory(tenant lodge.Tenant) *Projection[listing] {
	t.dirs.mu.Lock()
	defer t.dirs.mu.Unlock()
	p := t.dirs.books[tenant]
	if p == nil {
		p = project(t, tenant, topicDirectory, foldListing, JSON[listing]("topics/1"))
		t.dirs.books[tenant] = p
	}
	return p
}

// enlist lists a topic in its tenant's directory before something is appended to
// it, so that there never is an entry nobody would find again.
func (t *Topics) enlist(ctx context.Context, s *sealer) error {
	if t.opts.Unlisted || s.name == topicDirectory {
		return nil
	}
	t.dirs.mu.Lock()
	_, known := t.dirs.known[s.topic]
	t.dirs.mu.Unlock()
	if known {
		return nil
	}
	if err := t.list(ctx, s.tenant, s.name, true); err != nil {
		return err
	}
	t.dirs.mu.Lock()
	t.dirs.known[s.topic] = struct{}{}
	t.dirs.mu.Unlock()
	return nil
}

// list notes in a directory that a topic is there, or no more.
func (t *Topics) list(ctx context.Context, tenant lodge.Tenant, name string, there bool) error {
	return t.directory(tenant).Decide(ctx, func(l *listing) ([]Message, error) {
		if l.Topics[name] == there {
			return nil, nil
		}
		body, err := json.Marshal(listing{map[string]bool{name: there}})
		return []Message{{Body: body}}, err
	})
}

// Directory returns a tenant's topics, by name: all that something was ever
// appended to and that were not dropped since.
func (t *Topics) Directory(ctx context.Context, tenant lodge.Tenant) ([]Listed, error) {
	all := []Listed{{topicDirectory, ClassInternal}}
	err := t.directory(tenant).View(ctx, func(l *listing) {
		for _, name := range slices.Sorted(maps.Keys(l.Topics)) {
			all = append(all, Listed{name, ClassOf(name)})
		}
	})
	if len(all) == 1 {
		all = nil // not even itself is there
	}
	slices.SortFunc(all, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Drop removes a topic with all it has, and its line in the directory. Readers
// find their positions lost. It may be repeated.
func (t *Topics) Drop(ctx context.Context, tenant lodge.Tenant, name string) error {
	if err := t.log.Drop(ctx, t.seals.of(tenant, name).topic); err != nil {
		return outward(err)
	}
	t.dirs.mu.Lock()
	delete(t.dirs.known, t.seals.of(tenant, name).topic)
	t.dirs.mu.Unlock()
	return t.list(ctx, tenant, name, false)
}
