package messaging

import (
	"crypto/rand"
	_ "embed" // the AsyncAPI document
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

// AsyncAPI is the AsyncAPI 3 document of the message socket, in YAML.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte

// The types of events.
const (
	TypeNotice     = "lodge.notice"     // a broadcast
	TypeBooking    = "lodge.booking"    // a booking was made, moved, extended or cancelled
	TypeSession    = "lodge.session"    // a session of one's own began or was ended; live only
	TypeSurvey     = "lodge.survey"     // a survey was opened, answered, closed or released
	TypeHandIn     = "lodge.handin"     // a hand-in was opened, received, graded or closed
	TypeRegister   = "lodge.register"   // a register was opened, marked or closed
	TypeExperiment = "lodge.experiment" // an experiment went off-line or came back
	TypeCatalogue  = "lodge.catalogue"  // what can be booked, or by which rules, has changed
	TypePresence   = "lodge.presence"   // somebody came or went; live only
	TypeWaiting    = "lodge.waiting"    // what the reader waits for can be booked
	TypeControl    = "lodge.control"    // a booking is shared with others, or another of them has control
	TypeReceipt    = "lodge.receipt"    // a message of one's own was delivered or read; live only
	TypeGap        = "lodge.gap"        // something could not be replayed
	TypeCaughtUp   = "lodge.caught-up"  // all that was missed has been sent
	TypeReply      = "lodge.reply"      // answers an answer or mark frame
	TypeReconnect  = "lodge.reconnect"  // the server is about to restart; live only
)

// EventSource is the CloudEvents source of events that Lodge itself makes.
const EventSource = "/lodge"

// An Event is a CloudEvents 1.0 event. Its stored form is the body of an entry;
// on the wire it also carries its topic and position, which are added at
// delivery.
type Event struct {
	ID      string    // unique with Source; the same event always has the same id
	Type    string    // one of the Type constants
	Source  string    // a URI reference; EventSource when empty
	Subject string    // what it is about, such as "booking/b1"
	Time    time.Time // when it happened
	// Sender is the person whom receipts are reported to. It is stored and never
	// leaves the server.
	Sender lodge.PersonID
	Data   json.RawMessage // any JSON value
}

// NewEvent returns an event with a fresh id whose data is the JSON of data.
func NewEvent(typ, subject string, at time.Time, data any) (Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("messaging: data of %s: %w", typ, err)
	}
	return Event{ID: rand.Text(), Type: typ, Source: EventSource, Subject: subject, Time: at.UTC(), Data: raw}, nil
}

// Message returns the event as a message to append; the event's id is the
// message's, so that a repeated append is one entry.
func (e Event) Message() (Message, error) {
	body, err := e.encode("", "", e.Sender)
	if err != nil {
		return Message{}, err
	}
	return Message{ID: e.ID, Body: body}, nil
}

// ParseEvent reads what Message wrote.
func ParseEvent(body []byte) (Event, error) {
	var w wireEvent
	if err := json.Unmarshal(body, &w); err != nil {
		return Event{}, fmt.Errorf("messaging: that is not an event: %w", err)
	}
	e := Event{ID: w.ID, Type: w.Type, Source: w.Source, Subject: w.Subject, Time: w.Time, Sender: w.Sender, Data: w.Data}
	if w.SpecVersion != "1.0" {
		return Event{}, errors.New("messaging: that is not a CloudEvents 1.0 event")
	}
	return e, e.validate()
}

// wireEvent is the JSON form of CloudEvents 1.0; what follows Time are
// extension attributes.
type wireEvent struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Type        string         `json:"type"`
	Source      string         `json:"source"`
	Subject     string         `json:"subject,omitempty"`
	Time        time.Time      `json:"time"`
	Sender      lodge.PersonID `json:"lodgesender,omitempty"`
	Topic       string         `json:"lodgetopic,omitempty"`
	Pos         string         `json:"lodgepos,omitempty"`
	ErrorCode   lodge.Code     `json:"lodgecode,omitempty"`
	Error       string         `json:"error,omitempty"`

	DataContentType string          `json:"datacontenttype,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// maxEventID bounds an event's id, in bytes.
const maxEventID = 256

func (e Event) validate() error {
	switch {
	case e.ID == "" || len(e.ID) > maxEventID:
		return errors.New("messaging: an event needs an id of 1 to 256 bytes")
	case e.Type == "":
		return errors.New("messaging: an event needs a type")
	case e.Source == "":
		return errors.New("messaging: an event needs a source")
	case e.Time.IsZero():
		return errors.New("messaging: an event needs a time")
	}
	return nil
}

// encode returns the event's JSON on one line.
func (e Event) encode(topic, pos string, sender lodge.PersonID) ([]byte, error) {
	if e.Source == "" {
		e.Source = EventSource
	}
	if err := e.validate(); err != nil {
		return nil, err
	}
	return e.wire(topic, pos, sender).marshal()
}

func (e Event) wire(topic, pos string, sender lodge.PersonID) wireEvent {
	w := wireEvent{
		SpecVersion: "1.0", ID: e.ID, Type: e.Type, Source: e.Source, Subject: e.Subject,
		Time: e.Time.UTC(), Sender: sender, Topic: topic, Pos: pos, Data: e.Data,
	}
	if len(e.Data) > 0 {
		w.DataContentType = "application/json"
	}
	return w
}

// marshal returns compact JSON: the encoder also checks and compacts the data,
// so that a frame never holds a line break.
func (w wireEvent) marshal() ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("messaging: encode %s: %w", w.Type, err)
	}
	return b, nil
}
