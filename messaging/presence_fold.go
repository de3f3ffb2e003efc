package messaging

import (
	"encoding/json"
	"time"

	"github.com/lodge-gateway/lodge"
)

// topicPresence is the internal topic on which the nodes of a tenant tell one
// another who is with them.
const topicPresence = "presence"

// inMessages is the place of those who have a message connection. Every other
// place is an experiment.
const inMessages = ""

// presenceEntry is the body of an entry of topicPresence. Every entry of a node
// renews its lease.
type presenceEntry struct {
	Node string    `json:"node"` // the run of a node that says so
	At   time.Time `json:"at"`
	// In are those who have come to the node since its last entry, Out those who
	// have left.
	In  []presenceStay `json:"in,omitempty"`
	Out []presenceStay `json:"out,omitempty"`
	// Ends says that the node stops in order: everybody has left it.
	Ends bool `json:"ends,omitempty"`
	// Lapsed names nodes that were not heard of any more, with the time of their
	// last entry: one that has spoken since is not forgotten.
	Lapsed map[string]time.Time `json:"lapsed,omitempty"`
}

// presenceStay is somebody at a place; Out has no more than the two.
type presenceStay struct {
	Person lodge.PersonID `json:"p"`
	Place  string         `json:"x,omitempty"`
	Name   string         `json:"n,omitempty"`
	Since  int64          `json:"s,omitempty"` // Unix milliseconds
}

// presences is the folded topicPresence: who is with which node. Whether a node
// is still there is for the reader to judge.
type presences struct {
	Nodes map[string]*nodePresence `json:"nodes"`
}

type nodePresence struct {
	Seen   time.Time                               `json:"seen"`   // of its last entry, by its own clock
	Places map[string]map[lodge.PersonID]placeStay `json:"places"` // nobody's place is not there
}

type placeStay struct {
	Name  string `json:"n,omitempty"`
	Since int64  `json:"s"`
}

// foldPresence applies one entry of topicPresence.
func foldPresence(s *presences, item Item) {
	var e presenceEntry
	if json.Unmarshal(item.Body, &e) != nil || e.Node == "" {
		return // an entry of a kind that this version does not know
	}
	if s.Nodes == nil {
		s.Nodes = make(map[string]*nodePresence)
	}
	for node, seen := range e.Lapsed {
		if known := s.Nodes[node]; known != nil && known.Seen.Equal(seen) {
			delete(s.Nodes, node)
		}
	}
	n := s.Nodes[e.Node]
	if n == nil {
		n = &nodePresence{}
		s.Nodes[e.Node] = n
	}
	n.Seen = e.At
	for _, one := range e.Out {
		n.leave(one)
	}
	for _, one := range e.In {
		n.enter(one)
	}
	if e.Ends || len(n.Places) == 0 {
		delete(s.Nodes, e.Node)
	}
}

func (n *nodePresence) enter(one presenceStay) {
	if n.Places == nil {
		n.Places = make(map[string]map[lodge.PersonID]placeStay)
	}
	if n.Places[one.Place] == nil {
		n.Places[one.Place] = make(map[lodge.PersonID]placeStay)
	}
	n.Places[one.Place][one.Person] = placeStay{Name: one.Name, Since: one.Since}
}

func (n *nodePresence) leave(one presenceStay) {
	delete(n.Places[one.Place], one.Person)
	if len(n.Places[one.Place]) == 0 {
		delete(n.Places, one.Place)
	}
}

// has reports whether somebody is at a place of the node, which may be nil.
func (n *nodePresence) has(key stayKey) bool {
	if n == nil {
		return false
	}
	_, ok := n.Places[key.place][key.person]
	return ok
}
