package handin

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// The kinds of entries.
const (
	kindOpened    = "opened"
	kindReceived  = "received"
	kindGraded    = "graded"
	kindReleased  = "released"
	kindClosed    = "closed"
	kindAnnounced = "announced" // in the list alone
	kindDropped   = "dropped"   // in the list alone
)

// keptReceipts is how many receipts of one person are known again when they are
// asked for twice.
const keptReceipts = 16

// An entry is the body of one entry of a hand-in's topic, or of the list of
// hand-ins, which has no work.
type entry struct {
	Kind   string         `json:"kind"`
	HandIn string         `json:"handin"`
	At     time.Time      `json:"at"`
	By     lodge.PersonID `json:"by,omitempty"` // who opened, handed in, graded, released or closed

	Draft *Draft `json:"draft,omitempty"` // opened

	Key     string         `json:"key,omitempty"`     // received: what makes it repeatable, hashed
	Files   []string       `json:"files,omitempty"`   // received: ids of files, the text's among them
	Receipt []byte         `json:"receipt,omitempty"` // received: the digest, sealed under the key of By
	Person  lodge.PersonID `json:"person,omitempty"`  // graded: whose work
	Version int            `json:"version,omitempty"` // graded: of their work
	Sealed  []byte         `json:"sealed,omitempty"`  // received, graded: the contents, under the person's key
}

// messages is the one message that an entry makes.
func (e entry) messages() ([]messaging.Message, error) {
	body, err := json.Marshal(e)
	return []messaging.Message{{Body: body}}, err
}

// state is what the entries of a hand-in's topic fold into. Before the hand-in is
// opened it is the zero state.
type state struct {
	ID         string                     `json:"id"`
	Draft      Draft                      `json:"draft"`
	By         lodge.PersonID             `json:"by"`
	OpenedAt   time.Time                  `json:"opened_at"`
	ClosedAt   time.Time                  `json:"closed_at,omitzero"`
	ReleasedAt time.Time                  `json:"released_at,omitzero"`
	Work       map[lodge.PersonID]*work   `json:"work,omitempty"`
	Grades     map[lodge.PersonID]*graded `json:"grades,omitempty"`
}

// work is what one person handed in last.
type work struct {
	Person   lodge.PersonID `json:"person"`
	At       time.Time      `json:"at"`
	Version  int            `json:"version"`
	Order    int            `json:"order"` // among those who handed in, by first time
	Files    []string       `json:"files,omitempty"`
	Sealed   []byte         `json:"sealed,omitempty"`
	Receipts []receipt      `json:"receipts,omitempty"` // the last of this person, the newest last
	by       lodge.PersonID // who handed in, where Person is whom they count as
}

// receipt is a Receipt as it is kept.
type receipt struct {
	Key     string    `json:"key,omitempty"`
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Sealed  []byte    `json:"sealed"`
}

// graded is a Grade as it is kept.
type graded struct {
	At      time.Time      `json:"at"`
	By      lodge.PersonID `json:"by"`
	Version int            `json:"version"`
	Sealed  []byte         `json:"sealed"`
	person  lodge.PersonID // whom it was given to, where it counts for another
}

// fold applies one entry. What comes too early, too late or twice changes nothing,
// so of those who race the log's order decides. It applies none of the rules that a
// Desk did: they may change, what was accepted does not.
func fold(s *state, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return // of a kind that this version does not know
	}
	switch {
	case e.Kind == kindOpened && s.ID == "" && e.HandIn != "" && e.Draft != nil:
		*s = state{ID: e.HandIn, Draft: *e.Draft, By: e.By, OpenedAt: e.At}
		s.Draft.ID = e.HandIn
	case s.ID == "" || e.HandIn != s.ID:
	case e.Kind == kindReceived && e.By != "" && s.ClosedAt.IsZero():
		s.receive(e)
	case e.Kind == kindGraded && e.Person != "":
		if s.Grades == nil {
			s.Grades = map[lodge.PersonID]*graded{}
		}
		s.Grades[e.Person] = &graded{At: e.At, By: e.By, Version: e.Version, Sealed: e.Sealed}
	case e.Kind == kindReleased && s.ReleasedAt.IsZero():
		s.ReleasedAt = e.At
	case e.Kind == kindClosed && s.ClosedAt.IsZero():
		s.ClosedAt = e.At
	}
}

func (s *state) receive(e entry) {
	w := s.Work[e.By]
	if w == nil {
		if s.Work == nil {
			s.Work = map[lodge.PersonID]*work{}
		}
		w = &work{Person: e.By, Order: len(s.Work)}
		s.Work[e.By] = w
	}
	if _, known := w.receipt(e.Key); known {
		return
	}
	w.At, w.Files, w.Sealed = e.At, e.Files, e.Sealed
	w.Version++
	w.Receipts = append(w.Receipts, receipt{Key: e.Key, Version: w.Version, At: e.At, Sealed: e.Receipt})
	if n := len(w.Receipts) - keptReceipts; n > 0 {
		w.Receipts = slices.Clone(w.Receipts[n:])
	}
}

// receipt finds that of a key.
func (w *work) receipt(key string) (receipt, bool) {
	if w == nil || key == "" {
		return receipt{}, false
	}
	i := slices.IndexFunc(w.Receipts, func(r receipt) bool { return r.Key == key })
	if i < 0 {
		return receipt{}, false
	}
	return w.Receipts[i], true
}

// view returns what may be kept and shown.
func (s *state) view() HandIn {
	d := s.Draft
	d.ID = s.ID
	d.Limits.Types = slices.Clone(d.Limits.Types)
	return HandIn{Draft: d, ID: s.ID, By: s.By, OpenedAt: s.OpenedAt, ClosedAt: s.ClosedAt, ReleasedAt: s.ReleasedAt, HandedIn: len(s.Work)}
}

// apart returns a state that later entries do not change.
func (s *state) apart() *state {
	one := *s
	one.Work = make(map[lodge.PersonID]*work, len(s.Work))
	for person, w := range s.Work {
		kept := *w
		one.Work[person] = &kept
	}
	one.Grades = maps.Clone(s.Grades)
	return &one
}

// index is what the entries of a tenant's list of hand-ins fold into. What became
// of one is noted in its own topic first: the index may lag behind.
type index struct {
	HandIns map[string]*listed `json:"handins"`
}

type listed struct {
	Draft     Draft          `json:"draft"`
	By        lodge.PersonID `json:"by"`
	OpenedAt  time.Time      `json:"opened_at"`
	ClosedAt  time.Time      `json:"closed_at,omitzero"`
	Announced bool           `json:"announced,omitempty"`
}

func foldIndex(x *index, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return
	}
	one := x.HandIns[e.HandIn]
	switch {
	case e.Kind == kindOpened && one == nil && e.HandIn != "" && e.Draft != nil:
		if x.HandIns == nil {
			x.HandIns = map[string]*listed{}
		}
		x.HandIns[e.HandIn] = &listed{Draft: *e.Draft, By: e.By, OpenedAt: e.At}
	case e.Kind == kindDropped:
		delete(x.HandIns, e.HandIn)
	case one == nil:
	case e.Kind == kindAnnounced:
		one.Announced = true
	case e.Kind == kindClosed && one.ClosedAt.IsZero():
		one.ClosedAt = e.At
	}
}
