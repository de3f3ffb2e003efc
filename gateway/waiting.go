package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// maxUnread is how far back in a topic it is looked for what was not
// acknowledged; for somebody who never read anything there, as far as a new
// client is given history.
const (
	maxUnread = 200
	maxNew    = 50
)

// listWaiting lists what the caller is asked to acknowledge and has not. An
// experiment's page asks with its code.
func (g *Gateway) listWaiting(w http.ResponseWriter, r *http.Request) error {
	s, err := g.reader(r)
	if err != nil {
		return err
	}
	all, err := g.unacknowledged(r.Context(), s)
	if err != nil {
		return err
	}
	view := WaitingView{Messages: all}
	if view.Surveys, view.Registers, err = g.countAsked(r.Context(), s); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// countAsked is how many open surveys a person has not answered, and in how many
// registers they can confirm now that they are there: the asked, without reading
// more than that takes, as every page does.
func (g *Gateway) countAsked(ctx context.Context, s sessions.Session) (surveys, registers int, err error) {
	var member *membership
	surveys, err = g.surveys.Waiting(ctx, s.Tenant, s.Person, func(one survey.Survey) (bool, error) {
		if one.By == s.Person {
			return false, nil
		}
		if member == nil {
			if member, err = g.membership(ctx, s); err != nil {
				return false, err
			}
		}
		return g.asks(ctx, s.Tenant, member.topics, one)
	})
	if err != nil || s.Kind != sessions.Login {
		return surveys, 0, err
	}
	registers, err = g.register.Unconfirmed(ctx, s.Tenant, s.Person)
	return surveys, registers, err
}

// reader is who reads messages: the holder of the experiment code in the
// Authorization header, where cookies then play no part, else the caller.
func (g *Gateway) reader(r *http.Request) (sessions.Session, error) {
	if r.Header.Get("Authorization") == "" {
		return g.caller(r)
	}
	s, err := g.presented(r, sessions.Experiment)
	if err != nil && !isOver(err) {
		return s, err
	}
	if !s.Messages(g.clock.Now()) {
		return s, lodge.E(lodge.CodeUnauthenticated, "The time in which this booking receives messages is over.")
	}
	return s, nil
}

// unacknowledged are the notices that ask a person to acknowledge them and that
// they have not, safety first, then the oldest first.
func (g *Gateway) unacknowledged(ctx context.Context, s sessions.Session) ([]MessageView, error) {
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, err
	}
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	type asked struct {
		view   MessageView
		safety bool
	}
	var all []asked
	for _, topic := range member.topics {
		page, err := g.topics.ReadBack(ctx, s.Tenant, topic, messaging.Pos{}, maxUnread)
		if err != nil {
			return nil, err
		}
		unread, err := g.unread(ctx, s, merged, topic, page.Items)
		if err != nil {
			return nil, err
		}
		for _, item := range unread {
			event, err := messaging.ParseEvent(item.Body)
			if item.Gap || err != nil || event.Time.Before(member.since[topic]) || event.Expired(g.clock.Now()) {
				continue
			}
			var n Notice
			if event.Type != messaging.TypeNotice || json.Unmarshal(event.Data, &n) != nil || !asksForIt(n.Priority) || ownNotice(merged, s, n) {
				continue
			}
			view := MessageView{ID: event.ID, Topic: topic, Position: item.Pos.String(), Type: event.Type, Time: event.Time, Data: event.Data}
			all = append(all, asked{view, n.Priority == prioritySafety})
		}
	}
	slices.SortStableFunc(all, func(a, b asked) int {
		if a.safety != b.safety {
			if a.safety {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.view.Time.UnixNano(), b.view.Time.UnixNano())
	})
	views := []MessageView{}
	for _, one := range all {
		views = append(views, one.view)
	}
	return views, nil
}

// ownNotice reports whether a person sent a notice themselves.
func ownNotice(merged lodge.Merged, s sessions.Session, n Notice) bool {
	return n.By != "" && merged.Of(lodge.PersonID(n.By)) == merged.Of(s.Person)
}

// unread are the items of a topic, newest first, that a person has not read.
func (g *Gateway) unread(ctx context.Context, s sessions.Session, merged lodge.Merged, topic string, items []messaging.Item) ([]messaging.Item, error) {
	positions := make([]messaging.Pos, len(items))
	for i, item := range items {
		positions[i] = item.Pos
	}
	read, err := g.hub.HasRead(ctx, s.Tenant, topic, merged.All(merged.Of(s.Person)), positions)
	if err != nil {
		return nil, err
	}
	if i := slices.Index(read, true); i >= 0 {
		return items[:i], nil
	}
	return items[:min(len(items), maxNew)], nil
}

// acknowledge notes that the caller has read a message that asks for it.
func (g *Gateway) acknowledge(w http.ResponseWriter, r *http.Request) error {
	s, err := g.reader(r)
	if err != nil {
		return err
	}
	if err := g.acknowledges(r.Context(), s, chi.URLParam(r, "id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// acknowledges moves a person's place in a topic to a message that waits for them.
// Places are passed in order: what stands before it in its topic is acknowledged
// first. Repeated it changes nothing.
func (g *Gateway) acknowledges(ctx context.Context, s sessions.Session, id string) error {
	all, err := g.unacknowledged(ctx, s)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(m MessageView) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	pos, err := messaging.ParsePos(all[i].Position)
	if err != nil {
		return err
	}
	for _, other := range all {
		if before, err := messaging.ParsePos(other.Position); err == nil && other.Topic == all[i].Topic && before.Seq < pos.Seq {
			return lodge.E(lodge.CodeConflict, "An earlier message waits to be acknowledged; read and acknowledge that one first.")
		}
	}
	g.hub.MarkRead(s.Tenant, all[i].Topic, s.Person, pos)
	return nil
}
