package messaging

import (
	"encoding/json"
	"fmt"

	"github.com/lodge-gateway/lodge"
)

// topicCursors is the internal topic that holds a tenant's receipt cursors.
const topicCursors = "cursors"

// A receiptCursor says how far a person has come in a topic: there is no row per
// message and person.
type receiptCursor struct {
	Delivered Pos
	Read      Pos
}

// merge returns the further of both, field by field. What was read was
// delivered, too: whoever moves Read moves Delivered.
func (a receiptCursor) merge(b receiptCursor) receiptCursor {
	return receiptCursor{Delivered: further(a.Delivered, b.Delivered), Read: further(a.Read, b.Read)}
}

// further returns the later of two positions. One of another epoch comes from a
// topic that was made anew, and replaces what was known of the old one.
func further(a, b Pos) Pos {
	switch {
	case b.IsZero():
		return a
	case a.Epoch == b.Epoch && a.Seq >= b.Seq:
		return a
	}
	return b
}

func covers(cursor, pos Pos) bool { return cursor.Epoch == pos.Epoch && cursor.Seq >= pos.Seq }

func (a receiptCursor) state(pos Pos) string {
	switch {
	case covers(a.Read, pos):
		return ReceiptRead
	case covers(a.Delivered, pos):
		return ReceiptDelivered
	}
	return ReceiptSent
}

// cursorTable holds cursors by topic and person.
type cursorTable map[string]map[lodge.PersonID]receiptCursor

func (t cursorTable) move(topic string, person lodge.PersonID, c receiptCursor) {
	if t[topic] == nil {
		t[topic] = make(map[lodge.PersonID]receiptCursor)
	}
	t[topic][person] = t[topic][person].merge(c)
}

// A cursorMove is one cursor as it is stored.
type cursorMove struct {
	Topic     string         `json:"topic"`
	Person    lodge.PersonID `json:"person"`
	Delivered string         `json:"delivered,omitempty"`
	Read      string         `json:"read,omitempty"`
}

// cursorEntry is the body of an entry of topicCursors.
type cursorEntry struct {
	Moves []cursorMove `json:"moves"`
}

func newMove(topic string, person lodge.PersonID, c receiptCursor) cursorMove {
	return cursorMove{Topic: topic, Person: person, Delivered: c.Delivered.String(), Read: c.Read.String()}
}

func (m cursorMove) cursor() (receiptCursor, error) {
	delivered, err := ParsePos(m.Delivered)
	if err != nil {
		return receiptCursor{}, err
	}
	read, err := ParsePos(m.Read)
	return receiptCursor{Delivered: delivered, Read: read}, err
}

// foldCursors applies one entry of topicCursors.
func foldCursors(t *cursorTable, item Item) {
	var e cursorEntry
	if json.Unmarshal(item.Body, &e) != nil {
		return // an entry of a kind that this version does not know
	}
	t.apply(e.Moves)
}

func (t *cursorTable) apply(moves []cursorMove) {
	if *t == nil {
		*t = make(cursorTable)
	}
	for _, m := range moves {
		if c, err := m.cursor(); err == nil {
			t.move(m.Topic, m.Person, c)
		}
	}
}

// cursorCodec stores the table as a list of moves.
var cursorCodec = Codec[cursorTable]{
	Version: "cursors/1",
	Marshal: func(t *cursorTable) ([]byte, error) {
		var e cursorEntry
		for topic, people := range *t {
			for person, c := range people {
				e.Moves = append(e.Moves, newMove(topic, person, c))
			}
		}
		return json.Marshal(e)
	},
	Unmarshal: func(b []byte, t *cursorTable) error {
		var e cursorEntry
		if err := json.Unmarshal(b, &e); err != nil {
			return fmt.Errorf("messaging: cursors: %w", err)
		}
		*t = nil
		t.apply(e.Moves)
		return nil
	},
}

func (t cursorTable) clone() cursorTable {
	c := make(cursorTable, len(t))
	for topic, people := range t {
		for person, cursor := range people {
			c.move(topic, person, cursor)
		}
	}
	return c
}
