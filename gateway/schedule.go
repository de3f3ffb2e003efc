package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// topicSchedule is the internal topic of a tenant's messages that wait for their
// time; every node folds it and any of them may send what is due.
const topicSchedule = "schedule"

// scheduleKept is how long a message stays known after it was sent, cancelled or
// refused: so long a repeated request cannot bring it back.
const scheduleKept = 30 * 24 * time.Hour

// The kinds of entries of the schedule.
const (
	schedulePut    = "put"    // a message is to be sent; its first entry counts
	scheduleChange = "change" // it is another one, or at another time
	scheduleCancel = "cancel"
	scheduleClaim  = "claim" // a node is sending it: it can neither be changed nor cancelled
	scheduleDone   = "done"  // it was sent, or refused for a reason
	scheduleErase  = "erase" // a person is nobody any more: nothing of theirs is kept or sent
)

// The states of a scheduled message.
const (
	waiting   = "waiting"
	sending   = "sending"
	gone      = "sent"
	refused   = "refused"
	cancelled = "cancelled"
)

// A scheduleEntry is the body of an entry of the schedule.
type scheduleEntry struct {
	Kind    string         `json:"kind"`
	ID      string         `json:"id,omitempty"`     // the message's
	Time    time.Time      `json:"time"`             // when the entry was made
	Person  lodge.PersonID `json:"person,omitempty"` // erase: who; put: the sender, or
	Service string         `json:"service,omitempty"`
	Message *sent          `json:"message,omitempty"` // put, change
	Claim   string         `json:"claim,omitempty"`   // claim: which attempt
	Reason  string         `json:"reason,omitempty"`  // done: why it was refused
}

// A scheduled is a message of the schedule.
type scheduled struct {
	Person  lodge.PersonID `json:"person,omitempty"`
	Service string         `json:"service,omitempty"` // the id of its code's session
	Message sent           `json:"message"`
	State   string         `json:"state"`
	Since   time.Time      `json:"since"`           // when it came into that state
	Claim   string         `json:"claim,omitempty"` // sending: by which attempt
	Reason  string         `json:"reason,omitempty"`
}

func (m *scheduled) sender() string {
	if m.Service != "" {
		return "service:" + m.Service
	}
	return string(m.Person)
}

// over reports whether nothing more happens to it.
func (m *scheduled) over() bool { return m.State != waiting && m.State != sending }

// A schedule is the state that the topic folds into, by the messages' ids.
type schedule map[string]*scheduled

// foldSchedule applies one entry. What does not fit the state is of a race that
// was lost, and changes nothing.
func foldSchedule(all *schedule, item messaging.Item) {
	var e scheduleEntry
	if json.Unmarshal(item.Body, &e) != nil || (e.ID == "") != (e.Kind == scheduleErase) {
		return
	}
	if *all == nil {
		*all = schedule{}
	}
	for id, m := range *all {
		if m.over() && e.Time.Sub(m.Since) > scheduleKept {
			delete(*all, id)
		}
	}
	if e.Kind == scheduleErase {
		all.erase(e)
		return
	}
	m := (*all)[e.ID]
	switch {
	case m == nil:
		if e.Kind == schedulePut && e.Message != nil {
			(*all)[e.ID] = &scheduled{Person: e.Person, Service: e.Service, Message: *e.Message, State: waiting, Since: e.Time}
		}
	case e.Kind == scheduleChange && m.State == waiting && e.Message != nil:
		m.Message, m.Since = *e.Message, e.Time
	case e.Kind == scheduleCancel && (m.State == waiting || m.State == refused):
		m.State, m.Since, m.Reason = cancelled, e.Time, ""
		m.Message.Notice = Notice{To: m.Message.Notice.To} // nobody was told
	case e.Kind == scheduleClaim && !m.over():
		m.State, m.Since, m.Claim = sending, e.Time, e.Claim
	case e.Kind == scheduleDone && m.State == sending:
		m.State, m.Since, m.Reason = refused, e.Time, e.Reason
		if e.Reason == "" {
			m.State = gone
			m.Message.Notice.Text = "" // its topic has it
		}
	}
}

// erase ends whatever a person scheduled, also what a node is sending: that none
// takes up again. Nothing of it is kept but that it was.
func (s schedule) erase(e scheduleEntry) {
	for _, m := range s {
		if m.Service != "" || m.Person != e.Person {
			continue
		}
		if m.State != gone {
			m.State, m.Since = cancelled, e.Time
		}
		m.Claim, m.Reason, m.Message = "", "", sent{ID: m.Message.ID, At: m.Message.At}
	}
}

func (e scheduleEntry) message() (messaging.Message, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return messaging.Message{}, err
	}
	m := messaging.Message{Body: body}
	if e.Kind == schedulePut || e.Kind == scheduleDone {
		m.ID = e.Kind + "-" + e.ID // of these there is one a message
	}
	return m, nil
}

// schedules holds the projections of the tenants' schedules.
type schedules struct {
	*messaging.Shelf[schedule]
}

func newSchedules(topics *messaging.Topics) *schedules {
	return &schedules{messaging.NewShelf(topics, foldSchedule, messaging.JSON[schedule]("schedule/1"), 0)}
}

func (s *schedules) of(tenant lodge.Tenant) *messaging.Projection[schedule] {
	return s.Keep(tenant, topicSchedule)
}

// add appends an entry whatever the state is.
func (s *schedules) add(ctx context.Context, tenant lodge.Tenant, e scheduleEntry) error {
	m, err := e.message()
	if err != nil {
		return err
	}
	return s.of(tenant).Append(ctx, m)
}

// decide appends an entry about a message if fn agrees with what it is at that
// moment; nil when there is none. Without an entry nothing is appended.
func (s *schedules) decide(ctx context.Context, tenant lodge.Tenant, id string, fn func(*scheduled) (*scheduleEntry, error)) error {
	return s.of(tenant).Decide(ctx, func(all *schedule) ([]messaging.Message, error) {
		e, err := fn((*all)[id])
		if err != nil || e == nil {
			return nil, err
		}
		m, err := e.message()
		return []messaging.Message{m}, err
	})
}

// view returns copies of the messages that keep accepts, the next to be sent
// first.
func (s *schedules) view(ctx context.Context, tenant lodge.Tenant, keep func(*scheduled) bool) ([]scheduled, error) {
	var out []scheduled
	err := s.of(tenant).View(ctx, func(all *schedule) {
		for _, m := range *all {
			if keep(m) {
				out = append(out, *m)
			}
		}
	})
	slices.SortFunc(out, func(a, b scheduled) int {
		return cmp.Or(a.Message.At.Compare(b.Message.At), cmp.Compare(a.Message.ID, b.Message.ID))
	})
	return out, err
}
