package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// Export is all that is held about a person, as GET /api/v1/me/export answers it.
type Export struct {
	Person     PersonView       `json:"person"`
	Merged     []string         `json:"merged"` // ids of persons who count as this one
	Identities []IdentityView   `json:"identities"`
	Mail       ExportedMail     `json:"mail"`
	Sessions   []SessionView    `json:"sessions"`
	Joined     []ExportedJoin   `json:"joined"` // groups the person joined by a code
	Bookings   []BookingView    `json:"bookings"`
	Waits      []WaitView       `json:"waits"`
	Answers    []ExportedAnswer `json:"answers"`
	Marks      []ExportedMark   `json:"marks"`
	Work       []ExportedWork   `json:"work"`
	Received   []ExportedNotice `json:"received"` // what reached the person, or will
	Sent       []ExportedNotice `json:"sent"`
}

// ExportedMail is where the person is written to, and what they chose.
type ExportedMail struct {
	Address   string `json:"address,omitempty"`
	Language  string `json:"language,omitempty"` // BCP 47, of the last sign-in
	Bookings  bool   `json:"bookings"`
	Reminders bool   `json:"reminders"`
}

// ExportedJoin is how the person came into a group.
type ExportedJoin struct {
	Group string    `json:"group"`
	At    time.Time `json:"at"`
	Code  string    `json:"code"` // the id of the join code
}

// ExportedAnswer is what the person answered to one survey.
type ExportedAnswer struct {
	Survey  string            `json:"survey"`
	Title   string            `json:"title"`
	Answers map[string]Answer `json:"answers"`
}

// ExportedMark is what one register says of the person; of one that is planned, what
// they said beforehand.
type ExportedMark struct {
	Register  string           `json:"register"`
	Title     string           `json:"title"`
	Name      string           `json:"name"`
	State     string           `json:"state"`
	Source    string           `json:"source"`
	Confirmed bool             `json:"confirmed"`
	FirstSeen time.Time        `json:"first_seen,omitzero"`
	LastSeen  time.Time        `json:"last_seen,omitzero"`
	Seconds   int              `json:"seconds"` // in the experiment
	Apology   *ApologyView     `json:"apology,omitempty"`
	Changes   []ExportedChange `json:"changes,omitempty"` // by hand, oldest first
}

// ExportedChange is a state that was entered by hand, by somebody who is none of
// what is the person's.
type ExportedChange struct {
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// ExportedWork is what the person handed in once, or the grade they have for nothing;
// its files are read at their URL.
type ExportedWork struct {
	HandIn string   `json:"handin"`
	Title  string   `json:"title"`
	Text   string   `json:"text"`
	Work   WorkView `json:"work"`
}

// ExportedNotice is an entry of a topic of the person's.
type ExportedNotice struct {
	Topic    string          `json:"topic"`
	Position string          `json:"position"`
	Receipt  string          `json:"receipt,omitempty"` // sent, delivered, read
	Event    json.RawMessage `json:"event"`
}

// exportPage is how many entries are read at once; no more are in memory.
const exportPage = 200

// myExport writes everything held about the person who asks. The messages, of
// which there can be many, are written as they are read; an answer that breaks off
// is not whole JSON, so nobody takes it for all there is.
func (g *Gateway) myExport(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return err
	}
	ids := merged.All(s.Person)
	export, err := g.exportOf(r, s, ids)
	if err != nil {
		return err
	}
	member, err := g.membership(ctx, s)
	if err != nil {
		return err
	}
	g.recordBy(ctx, s, audit.Export, "person:"+string(s.Person), "")
	head, err := json.Marshal(export)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="lodge-export.json"`)
	w.Header().Set("Cache-Control", "no-store")
	var sentTopics []string
	for _, id := range ids {
		sentTopics = append(sentTopics, "sent:"+string(id))
	}
	// The messages take the place of the two empty lists at the end.
	const end = `"received":[],"sent":[]}`
	out := &listWriter{w: w}
	out.text(string(head[:len(head)-len(end)]) + `"received":[`)
	g.exportTopics(ctx, s, ids, out, member.topics, member.since)
	out.text(`],"sent":[`)
	g.exportTopics(ctx, s, nil, out, sentTopics, nil)
	out.text("]}\n")
	if out.err != nil {
		g.log.WarnContext(ctx, "an export broke off", "err", out.err)
		panic(http.ErrAbortHandler) // or it would look whole
	}
	return nil
}

// exportOf gathers what is held about a person but messages.
func (g *Gateway) exportOf(r *http.Request, s sessions.Session, ids []lodge.PersonID) (Export, error) {
	ctx := r.Context()
	person, err := g.personOf(r, s)
	if err != nil {
		return Export{}, err
	}
	e := Export{
		Person: personView(person), Merged: []string{}, Identities: g.identitiesOf(person, s),
		Joined: []ExportedJoin{}, Bookings: []BookingView{}, Answers: []ExportedAnswer{}, Marks: []ExportedMark{}, Work: []ExportedWork{}, Received: []ExportedNotice{}, Sent: []ExportedNotice{},
	}
	for _, id := range ids {
		if id != person.ID {
			e.Merged = append(e.Merged, string(id))
		}
	}
	box, err := g.persons.Mailbox(ctx, s.Tenant, person.ID)
	if err != nil {
		return Export{}, err
	}
	e.Mail = ExportedMail{Address: box.Address, Language: box.Language, Bookings: !box.Off, Reminders: !box.NoReminders}
	if e.Sessions, err = g.sessionsOf(ctx, s); err != nil {
		return Export{}, err
	}
	for _, id := range ids {
		joined, err := g.joins.Joined(ctx, s.Tenant, id)
		if err != nil {
			return Export{}, err
		}
		for _, m := range joined {
			e.Joined = append(e.Joined, ExportedJoin{m.Group, m.At, m.Code})
		}
	}
	if e.Waits, err = g.waitsOf(ctx, s); err != nil {
		return Export{}, err
	}
	bookings, err := g.allBookings(ctx, s.Tenant, ids)
	if err != nil {
		return Export{}, err
	}
	for _, b := range bookings {
		view, err := g.bookingView(ctx, b, g.live(b))
		if err != nil {
			return Export{}, err
		}
		e.Bookings = append(e.Bookings, view)
	}
	answered, err := g.surveys.AnsweredBy(ctx, s.Tenant, ids)
	if err != nil {
		return Export{}, err
	}
	seen := map[string]bool{}
	for _, one := range answered {
		if seen[one.Survey] {
			continue
		}
		seen[one.Survey] = true
		mine, err := g.surveys.Mine(ctx, s.Tenant, one.Survey, s.Person)
		if err != nil {
			return Export{}, err
		}
		answers := make(map[string]Answer, len(mine))
		for id, a := range mine {
			answers[id] = Answer(a)
		}
		e.Answers = append(e.Answers, ExportedAnswer{Survey: one.Survey, Title: one.Title, Answers: answers})
	}
	if e.Work, err = g.exportWork(ctx, s, ids); err != nil {
		return Export{}, err
	}
	marks, err := g.register.MarkedOf(ctx, s.Tenant, ids)
	for _, m := range marks {
		one := ExportedMark{
			Register: m.Register, Title: m.Title, Name: m.Name, State: string(m.State), Source: string(m.Source), Confirmed: m.Confirmed,
			FirstSeen: m.FirstSeen, LastSeen: m.LastSeen, Seconds: int(m.Seen / time.Second), Apology: apologyView(m.Apology),
		}
		for _, c := range m.Changes {
			one.Changes = append(one.Changes, ExportedChange{State: string(c.State), Reason: c.Reason, Time: c.At})
		}
		e.Marks = append(e.Marks, one)
	}
	return e, err
}

// exportTopics writes the entries of topics, from when on the person hears them,
// with the receipts of people.
func (g *Gateway) exportTopics(ctx context.Context, s sessions.Session, people []lodge.PersonID, out *listWriter, topics []string, since map[string]time.Time) {
	first := true
	for _, topic := range topics {
		after := messaging.Pos{}
		for out.err == nil {
			page, err := g.topics.Read(ctx, s.Tenant, topic, after, exportPage)
			if lost, ok := errors.AsType[*messaging.PosLostError](err); ok && after != lost.Floor {
				after = lost.Floor
				continue
			}
			if err != nil {
				out.err = err
				return
			}
			for _, item := range page.Items {
				after = item.Pos
				event, err := messaging.ParseEvent(item.Body)
				if item.Gap || err == nil && event.Time.Before(since[topic]) {
					continue
				}
				one := ExportedNotice{Topic: topic, Position: item.Pos.String(), Event: item.Body}
				if err == nil {
					one.Event = visible(item.Body)
				}
				if one.Receipt, err = g.receiptOf(ctx, s.Tenant, topic, item.Pos, people); err != nil {
					out.err = err
					return
				}
				body, err := json.Marshal(one)
				if err != nil {
					out.err = err
					return
				}
				if !first {
					out.text(",")
				}
				first = false
				out.text(string(body))
			}
			if !page.More {
				break
			}
		}
	}
}

// visible is an event without the person whom its receipts go to.
func visible(body []byte) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	delete(fields, "lodgesender")
	kept, err := json.Marshal(fields)
	if err != nil {
		return body
	}
	return kept
}

// receiptOf is the furthest that one of people has come with a message.
func (g *Gateway) receiptOf(ctx context.Context, tenant lodge.Tenant, topic string, pos messaging.Pos, people []lodge.PersonID) (string, error) {
	if len(people) == 0 {
		return "", nil
	}
	receipts, err := g.hub.Receipts(ctx, tenant, topic, pos, people)
	best, order := "", map[string]int{"": 0, messaging.ReceiptSent: 1, messaging.ReceiptDelivered: 2, messaging.ReceiptRead: 3}
	for _, one := range receipts {
		if order[one.State] > order[best] {
			best = one.State
		}
	}
	return best, err
}

// A listWriter writes until the first error, and keeps it.
type listWriter struct {
	w   io.Writer
	err error
}

func (l *listWriter) text(s string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, s)
	}
}
