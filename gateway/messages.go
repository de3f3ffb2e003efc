package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// sendMessage stores a notice and answers 202: it is durable then, and on its
// way, or waits for its time.
func (g *Gateway) sendMessage(w http.ResponseWriter, r *http.Request) error {
	by, err := g.poster(r)
	if err != nil {
		return err
	}
	var req MessageRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	done, err := g.send(r.Context(), by, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, done)
}

// poster is who sends: the service whose code is in the Authorization header,
// where cookies then play no part, else the signed-in person.
func (g *Gateway) poster(r *http.Request) (sessions.Session, error) {
	return g.personOrService(r, scopeSend)
}

// maxHistory bounds a page of history.
const maxHistory = 200

// history pages back through one topic, or shows the latest of all.
func (g *Gateway) history(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit := 50
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxHistory {
			return lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(maxHistory)+".")
		}
	}
	before, err := messaging.ParsePos(q.Get("before"))
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The parameter before is not a position; take one from an earlier answer.", err)
	}
	member, err := g.membership(r.Context(), s)
	if err != nil {
		return err
	}
	topics := member.topics
	if topic := q.Get("topic"); topic != "" {
		if !slices.Contains(topics, topic) {
			return errNotThere("topic")
		}
		topics = []string{topic}
	} else if !before.IsZero() {
		return lodge.E(lodge.CodeInvalid, "A position belongs to one topic; name it with the parameter topic.")
	}
	messages, _, older, err := g.latest(r.Context(), s.Tenant, member, topics, before, limit)
	if _, lost := errors.AsType[*messaging.PosLostError](err); lost {
		return lodge.Wrap(lodge.CodeInvalid, "The position is not in that topic any more; leave the parameter before out to start at the newest.", err)
	}
	if err != nil {
		return err
	}
	answer := map[string]any{"messages": messages}
	if older != "" && len(topics) == 1 {
		answer["before"] = older
	}
	return writeJSON(w, http.StatusOK, answer)
}

// latest reads back through topics and returns the newest of them all, newest
// first, with each topic's head at that moment, and the position to go on from in
// the last topic when it has more. Expired notices are left out.
func (g *Gateway) latest(ctx context.Context, tenant lodge.Tenant, m *membership, topics []string, before messaging.Pos, limit int) (out []MessageView, heads map[string]string, older string, err error) {
	out, heads = []MessageView{}, map[string]string{}
	now := g.clock.Now()
	for _, topic := range topics {
		page, err := g.topics.ReadBack(ctx, tenant, topic, before, limit)
		if err != nil {
			return nil, nil, "", err
		}
		heads[topic] = page.Head.String()
		older = ""
		for _, item := range page.Items {
			event, err := messaging.ParseEvent(item.Body)
			if item.Gap || err != nil || event.Time.Before(m.since[topic]) {
				continue
			}
			older = item.Pos.String()
			if event.Expired(now) {
				continue
			}
			out = append(out, MessageView{ID: event.ID, Topic: topic, Position: item.Pos.String(), Type: event.Type, Time: event.Time, Data: event.Data})
		}
		if !page.More {
			older = ""
		}
	}
	slices.SortStableFunc(out, func(a, b MessageView) int { return cmp.Compare(b.Time.UnixNano(), a.Time.UnixNano()) })
	if len(out) > limit {
		out = out[:limit]
	}
	return out, heads, older, nil
}
