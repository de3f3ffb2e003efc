package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"
	_ "time/tzdata" // local times name their zone, also where the system knows none

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// maxWaiting is how many messages of one sender may wait at a time.
	maxWaiting = 200
	// maxAhead is how far ahead a message is scheduled.
	maxAhead = 366 * 24 * time.Hour
	// localTime is how a form, and who names a zone, writes a time.
	localTime = "2006-01-02T15:04"
)

// moment reads a time of a request: RFC 3339, or a local time in a named zone.
// Empty is the zero time. A local time that a change of the clocks leaves out is
// refused; of one that comes twice the first is meant.
func moment(value, zone, field string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return at.UTC(), nil
	}
	bad := lodge.E(lodge.CodeRefused, "Write "+field+" as RFC 3339, such as 2026-05-04T09:00:00+01:00, or as 2026-05-04T09:00 with a zone such as Europe/London.")
	if zone == "" || zone == "Local" {
		return time.Time{}, bad
	}
	place, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, lodge.Wrap(lodge.CodeRefused, "There is no time zone "+shorten(zone, 40)+"; name one such as Europe/London, or UTC.", err)
	}
	for _, layout := range []string{localTime, localTime + ":05"} {
		at, err := time.ParseInLocation(layout, value, place)
		if err != nil {
			continue
		}
		if at.Format(layout) != value {
			return time.Time{}, lodge.E(lodge.CodeRefused, "There is no such hour in "+zone+" on that day, since the clocks change; choose another time.")
		}
		return at.UTC(), nil
	}
	return time.Time{}, bad
}

// checkTimes returns why a message cannot be sent or expire when it is to.
func (m sent) checkTimes(now time.Time) error {
	end := m.Notice.Expires
	switch {
	case !m.At.IsZero() && !m.At.After(now):
		return lodge.E(lodge.CodeRefused, "The time to send it has passed; choose a later one, or leave it out to send it now.")
	case m.At.Sub(now) > maxAhead || end.Sub(now) > 2*maxAhead:
		return lodge.E(lodge.CodeRefused, "That is too far ahead: a message is scheduled for the next year, and expires in the one after it.")
	case !end.IsZero() && (!end.After(now) || !end.After(m.At)):
		return lodge.E(lodge.CodeRefused, "It would expire before it is sent; choose a later end.")
	}
	return nil
}

// putBy enters a message in the schedule. It may be repeated.
func (g *Gateway) putBy(ctx context.Context, s sessions.Session, one sent) (Accepted, error) {
	answer := Accepted{ID: one.ID, Topic: one.Notice.To, At: one.At}
	open := 0
	mine, err := g.scheduled.view(ctx, s.Tenant, func(m *scheduled) bool {
		if m.sender() != senderOf(s) {
			return false
		}
		if !m.over() {
			open++
		}
		return m.Message.ID == one.ID
	})
	switch {
	case err != nil:
		return Accepted{}, err
	case len(mine) > 0:
		return answer, nil
	case open >= maxWaiting:
		return Accepted{}, lodge.E(lodge.CodeRefused, "Too many of your messages wait to be sent; cancel some first.")
	}
	e := scheduleEntry{Kind: schedulePut, ID: one.ID, Time: g.clock.Now(), Person: s.Person, Message: &one}
	if s.Kind == sessions.Service {
		e.Person, e.Service = "", string(s.ID)
	}
	if err := g.scheduled.add(ctx, s.Tenant, e); err != nil {
		return Accepted{}, err
	}
	g.recordBy(ctx, s, audit.Send, one.Notice.To, "message "+one.ID+", scheduled for "+one.At.Format(timeFormat))
	return answer, nil
}

// listScheduled lists what of the caller's waits, or was refused.
func (g *Gateway) listScheduled(w http.ResponseWriter, r *http.Request) error {
	s, err := g.poster(r)
	if err != nil {
		return err
	}
	all, err := g.scheduledBy(r.Context(), s)
	if err != nil {
		return err
	}
	views := []ScheduledView{}
	for _, m := range all {
		views = append(views, scheduledView(m))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"messages": views})
}

func (g *Gateway) scheduledBy(ctx context.Context, s sessions.Session) ([]scheduled, error) {
	return g.scheduled.view(ctx, s.Tenant, func(m *scheduled) bool {
		return m.sender() == senderOf(s) && m.State != gone && m.State != cancelled
	})
}

func scheduledView(m scheduled) ScheduledView {
	n := m.Message.Notice
	return ScheduledView{
		ID: m.Message.ID, To: n.To, Title: n.Title, Text: n.Text, Priority: n.Priority, Replies: n.Replies,
		At: m.Message.At, Expires: n.Expires, State: m.State, Reason: m.Reason,
	}
}

// changeScheduled replaces a message that waits.
func (g *Gateway) changeScheduled(w http.ResponseWriter, r *http.Request) error {
	s, err := g.poster(r)
	if err != nil {
		return err
	}
	var req MessageRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.reschedule(r.Context(), s, chi.URLParam(r, "id"), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) reschedule(ctx context.Context, s sessions.Session, id string, req MessageRequest) (ScheduledView, error) {
	one, err := g.compose(ctx, s, req)
	if err != nil {
		return ScheduledView{}, err
	}
	if one.At.IsZero() {
		return ScheduledView{}, lodge.E(lodge.CodeRefused, "Say when it is to be sent.")
	}
	if err := one.checkTimes(g.clock.Now()); err != nil {
		return ScheduledView{}, err
	}
	if err := g.sends.allow(s.Tenant, senderOf(s)); err != nil {
		return ScheduledView{}, err
	}
	one.ID = id
	err = g.scheduled.decide(ctx, s.Tenant, id, func(m *scheduled) (*scheduleEntry, error) {
		if err := ownWaiting(m, s); err != nil {
			return nil, err
		}
		return &scheduleEntry{Kind: scheduleChange, ID: id, Time: g.clock.Now(), Message: &one}, nil
	})
	if err != nil {
		return ScheduledView{}, err
	}
	g.recordBy(ctx, s, audit.Send, one.Notice.To, "message "+id+", changed; scheduled for "+one.At.Format(timeFormat))
	return scheduledView(scheduled{Message: one, State: waiting}), nil
}

// cancelScheduled takes back a message that waits, or puts away one that was
// refused.
func (g *Gateway) cancelScheduled(w http.ResponseWriter, r *http.Request) error {
	s, err := g.poster(r)
	if err != nil {
		return err
	}
	if err := g.unschedule(r.Context(), s, chi.URLParam(r, "id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) unschedule(ctx context.Context, s sessions.Session, id string) error {
	to := ""
	err := g.scheduled.decide(ctx, s.Tenant, id, func(m *scheduled) (*scheduleEntry, error) {
		if m != nil && m.State == refused && m.sender() == senderOf(s) {
			return &scheduleEntry{Kind: scheduleCancel, ID: id, Time: g.clock.Now()}, nil
		}
		if err := ownWaiting(m, s); err != nil {
			return nil, err
		}
		to = m.Message.Notice.To
		return &scheduleEntry{Kind: scheduleCancel, ID: id, Time: g.clock.Now()}, nil
	})
	if err == nil && to != "" {
		g.recordBy(ctx, s, audit.Send, to, "message "+id+", cancelled before it was sent")
	}
	return err
}

// withdraw takes back what people scheduled and forgets what of theirs was sent or
// refused. It may be repeated. They are barred, so that a node which is to send
// something of theirs refuses it; one that had found them in order before ends
// what it began, and takes its record of it away (sender.take).
func (g *Gateway) withdraw(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) error {
	var errs []error
	for _, person := range people {
		errs = append(errs, g.scheduled.add(ctx, tenant, scheduleEntry{Kind: scheduleErase, Time: g.clock.Now(), Person: person}))
	}
	return errors.Join(errs...)
}

// ownWaiting returns why a sender cannot change a message.
func ownWaiting(m *scheduled, s sessions.Session) error {
	switch {
	case m == nil || m.sender() != senderOf(s) || m.State == cancelled:
		return errNotThere("scheduled message")
	case m.State != waiting:
		return lodge.E(lodge.CodeConflict, "It is too late for that: the message was sent, or is being sent.")
	}
	return nil
}
