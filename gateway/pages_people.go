package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// webMessages are the latest notices of a session, newest first, with those that
// wait to be acknowledged however old they are, and where the socket is to go on in
// each topic so that none is shown twice.
func (g *Gateway) webMessages(ctx context.Context, s sessions.Session, say *web.Printer, limit int) ([]web.Message, map[string]string, error) {
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return nil, nil, err
	}
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return nil, nil, err
	}
	// Among the notices stand other events: a page's worth is read at least.
	latest, resume, _, err := g.latest(ctx, s.Tenant, member, member.topics, messaging.Pos{}, max(limit, 50))
	if err != nil {
		return nil, nil, err
	}
	waiting, err := g.unacknowledged(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	shown := map[string]bool{}
	var out []web.Message
	add := func(m MessageView) {
		if one, ok := webMessage(cat, say, merged, s, m); ok && !shown[m.ID] {
			shown[m.ID] = true
			out = append(out, one)
		}
	}
	for _, m := range latest {
		if len(out) < limit {
			add(m)
		}
	}
	for _, m := range waiting {
		add(m)
	}
	slices.SortStableFunc(out, func(a, b web.Message) int { return b.Time.Compare(a.Time) })
	return out, resume, g.markUnread(ctx, s, merged, out)
}

// markUnread finds which messages, newest first, the person has not read on any
// device. Whoever has read one has read what came before it in its topic, and
// nobody has to read what they sent themselves.
func (g *Gateway) markUnread(ctx context.Context, s sessions.Session, merged lodge.Merged, messages []web.Message) error {
	byTopic := map[string][]int{}
	for i, m := range messages {
		byTopic[m.Topic] = append(byTopic[m.Topic], i)
	}
	for topic, of := range byTopic {
		positions := make([]messaging.Pos, len(of))
		for i, at := range of {
			var err error
			if positions[i], err = messaging.ParsePos(messages[at].Position); err != nil {
				return err
			}
		}
		read, err := g.hub.HasRead(ctx, s.Tenant, topic, merged.All(s.Person), positions)
		if err != nil {
			return err
		}
		for i, at := range of {
			messages[at].Unread = !read[i] && !messages[at].Own
		}
	}
	return nil
}

func webMessage(cat *booking.Catalogue, say *web.Printer, merged lodge.Merged, s sessions.Session, m MessageView) (web.Message, bool) {
	raw, _ := m.Data.(json.RawMessage)
	var n Notice
	if m.Type != messaging.TypeNotice || json.Unmarshal(raw, &n) != nil {
		return web.Message{}, false
	}
	return web.Message{
		ID: m.ID, Topic: m.Topic, Position: m.Position, Type: m.Type, Time: m.Time, Title: n.Title, Text: n.Text, Priority: n.Priority, From: n.From,
		To: inWords(cat, say, n.To), About: n.About, Own: ownNotice(merged, s, n), Replies: repliable(cat, s, n),
	}, true
}

// inWords says whom an audience is, to somebody who is in it.
func inWords(cat *booking.Catalogue, say *web.Printer, to string) string {
	kind, id, _ := strings.Cut(to, ":")
	group := cat.Title(cat.Groups[id].Description, id)
	switch kind {
	case audienceAll:
		return say.T("everyone")
	case "user":
		return say.T("you")
	case "booking":
		return say.T("your booking")
	case "experiment":
		return say.T("users of {experiment}", "experiment", describe(cat, id).title)
	case instructorsOf:
		return say.T("instructors of {group}", "group", group)
	default:
		return say.T("group {group}", "group", group)
	}
}

func (g *Gateway) messagesPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderMessages(w, r, http.StatusOK, web.ReplyForm{}, nil)
}

// renderMessages shows a person's messages, with what was typed in a reply that
// was refused.
func (g *Gateway) renderMessages(w http.ResponseWriter, r *http.Request, status int, form web.ReplyForm, problem *web.Problem) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	limit := 50
	if v, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && v > 0 && v <= maxHistory {
		limit = v
	}
	view := web.Messages{Layout: g.layout(r, "Messages", web.PageMessages, &s)}
	view.Problem = problem
	if view.Messages, view.Resume, err = g.webMessages(r.Context(), s, view.Say, limit); err != nil {
		return err
	}
	for i := range view.Messages {
		view.Messages[i].Key = rand.Text()
		if view.Messages[i].ID == form.ID {
			view.Messages[i].Reply, view.Messages[i].Key = form.Text, orElse(form.Key, view.Messages[i].Key)
		}
	}
	if len(view.Messages) >= limit && limit < maxHistory {
		view.Older = "/messages?" + url.Values{"limit": {strconv.Itoa(min(2*limit, maxHistory))}}.Encode()
	}
	return g.pages.Render(w, status, web.PageMessages, view)
}

// acknowledgeForm is acknowledge for a plain form.
func (g *Gateway) acknowledgeForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	if err := g.acknowledges(r.Context(), s, chi.URLParam(r, "id")); err != nil {
		if problem, status, mendable := problemOf(err, "That was not acknowledged"); mendable {
			return g.renderMessages(w, r, status, web.ReplyForm{}, problem)
		}
		return err
	}
	return seeOther(w, r, "/messages", "acknowledged")
}

// replyForm is postReply for a plain form.
func (g *Gateway) replyForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := web.ReplyForm{ID: chi.URLParam(r, "id"), Text: r.PostFormValue("text"), Key: r.PostFormValue("key")}
	if _, err := g.reply(r.Context(), s, form.ID, form.Text, form.Key); err != nil {
		if problem, status, mendable := problemOf(err, "Your reply was not sent"); mendable {
			return g.renderMessages(w, r, status, form, problem)
		}
		return err
	}
	return seeOther(w, r, "/messages", "replied")
}

// asked are the open surveys and registers that wait for a person.
func (g *Gateway) asked(ctx context.Context, s sessions.Session) ([]web.Survey, []web.Register, error) {
	all, err := g.surveysOf(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	var surveys []web.Survey
	for _, one := range all {
		if !one.Open() || one.By == s.Person {
			continue
		}
		if asks, err := g.asks(ctx, s.Tenant, member.topics, one); err != nil {
			return nil, nil, err
		} else if !asks {
			continue
		}
		view, err := g.surveyFor(ctx, s, one, false)
		if err != nil {
			return nil, nil, err
		}
		surveys = append(surveys, webSurvey(view))
	}
	registers, err := g.registersOf(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	var waiting []web.Register
	for _, register := range registers {
		if register.Open && standsIn(s, register) {
			waiting = append(waiting, g.webRegister(register, s.Person))
		}
	}
	return surveys, waiting, nil
}
