package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

const (
	// maxReceipts is how many recipients of a message a page names; of more it says
	// how many got it.
	maxReceipts = 300
	// shownSent and shownReplies are how many messages /teach lists.
	shownSent    = 10
	shownReplies = 30
)

// teachMessages fills in what an instructor sent, what waits, and what was replied.
func (g *Gateway) teachMessages(ctx context.Context, s sessions.Session, cat *booking.Catalogue, view *web.Teach) error {
	var err error
	if view.Sent, err = g.webSent(ctx, s, cat, view.Say); err != nil {
		return err
	}
	waiting, err := g.scheduledBy(ctx, s)
	if err != nil {
		return err
	}
	for _, m := range waiting {
		view.Scheduled = append(view.Scheduled, g.webScheduled(ctx, s.Tenant, cat, view.Say, m))
	}
	topics := inboxes(cat, s.Bindings)
	if view.Inbox = len(topics) > 0; !view.Inbox {
		return nil
	}
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return err
	}
	replies, _, _, err := g.latest(ctx, s.Tenant, &membership{}, topics, messaging.Pos{}, shownReplies)
	if err != nil {
		return err
	}
	for _, m := range replies {
		if one, ok := webMessage(cat, view.Say, merged, s, m); ok {
			one.Replies = false
			view.Replies = append(view.Replies, one)
		}
	}
	return g.markUnread(ctx, s, merged, view.Replies)
}

// webSent are the latest messages of an instructor with their receipts.
func (g *Gateway) webSent(ctx context.Context, s sessions.Session, cat *booking.Catalogue, say *web.Printer) ([]web.Sent, error) {
	mine, err := g.sentBy(ctx, s, shownSent)
	if err != nil {
		return nil, err
	}
	var out []web.Sent
	reached := map[string][]idp.Person{}
	for _, m := range mine {
		to := m.Notice.To
		pos, there, err := g.topics.Locate(ctx, s.Tenant, to, m.ID)
		if err != nil {
			return nil, err
		}
		if !there {
			continue // it was discarded, or never stored
		}
		if reached[to] == nil {
			if reached[to], err = g.recipients(ctx, s.Tenant, to); err != nil {
				return nil, err
			}
		}
		receipts, err := g.receiptsOf(ctx, s.Tenant, m, pos, reached[to], peoplePage{limit: maxReceipts})
		if err != nil {
			return nil, err
		}
		end := m.Notice.Expires
		one := web.Sent{
			Message: web.Message{
				ID: m.ID, Topic: to, Position: pos.String(), Time: m.Time, Title: m.Notice.Title, Text: m.Notice.Text,
				Priority: m.Notice.Priority, From: m.Notice.From, To: g.toWords(ctx, s.Tenant, cat, say, to),
			},
			Sent: receipts.Sent, Delivered: receipts.Delivered, Read: receipts.Read, Online: receipts.Online, Acknowledge: receipts.Acknowledge,
			Expired: !end.IsZero() && !g.clock.Now().Before(end),
		}
		for _, p := range receipts.People {
			one.People = append(one.People, web.Receipt(p))
		}
		out = append(out, one)
	}
	return out, nil
}

func (g *Gateway) webScheduled(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue, say *web.Printer, m scheduled) web.Scheduled {
	n := m.Message.Notice
	return web.Scheduled{
		ID: m.Message.ID, To: g.toWords(ctx, tenant, cat, say, n.To), Title: n.Title, Text: n.Text, Priority: n.Priority,
		At: m.Message.At, Expires: n.Expires, State: m.State, Reason: m.Reason,
	}
}

// toWords is inWords for the sender, to whom "you" is somebody with a name.
func (g *Gateway) toWords(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue, say *web.Printer, to string) string {
	if kind, id, _ := strings.Cut(to, ":"); kind == "user" {
		if people, err := g.persons.Get(ctx, tenant, lodge.PersonID(id)); err == nil && len(people) == 1 {
			return people[0].Name
		}
	}
	return inWords(cat, say, to)
}

// noticeIn is what was typed into the form of a notice.
func noticeIn(r *http.Request) web.NoticeForm {
	value := r.PostFormValue
	return web.NoticeForm{
		To: value("to"), Title: value("title"), Text: value("text"), Priority: value("priority"), Key: value("key"), Replies: value("replies") != "",
		At: value("at"), Expires: value("expires"), Zone: strings.TrimSpace(value("zone")),
	}
}

func noticeRequest(form web.NoticeForm) MessageRequest {
	return MessageRequest{
		To: form.To, Title: form.Title, Text: form.Text, Priority: form.Priority, Replies: form.Replies,
		At: form.At, Expires: form.Expires, Zone: orElse(form.Zone, "UTC"),
	}
}

func (g *Gateway) noticeForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := noticeIn(r)
	if narrows(r) {
		return g.renderTeach(w, r, http.StatusOK, teachForms{notice: form})
	}
	done, err := g.send(r.Context(), s, noticeRequest(form), form.Key)
	if err != nil {
		return g.refused(w, r, err, "That was not sent", teachForms{notice: form})
	}
	if !done.At.IsZero() {
		return seeOther(w, r, "/teach", "scheduled")
	}
	return seeOther(w, r, "/teach", "sent")
}

// scheduledPage shows a message that waits, to change it.
func (g *Gateway) scheduledPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	mine, err := g.scheduledBy(r.Context(), s)
	if err != nil {
		return err
	}
	for _, m := range mine {
		if m.Message.ID != chi.URLParam(r, "id") || m.State != waiting {
			continue
		}
		n := m.Message.Notice
		form := web.NoticeForm{To: n.To, Title: n.Title, Text: n.Text, Priority: n.Priority, Replies: n.Replies, At: m.Message.At.Format(localTime), Zone: "UTC"}
		if !n.Expires.IsZero() {
			form.Expires = n.Expires.Format(localTime)
		}
		return g.renderScheduled(w, r, s, http.StatusOK, form, nil)
	}
	return errNotThere("scheduled message")
}

func (g *Gateway) renderScheduled(w http.ResponseWriter, r *http.Request, s sessions.Session, status int, form web.NoticeForm, problem *web.Problem) error {
	view := web.ScheduledPage{Layout: g.layout(r, "Change a message", web.PageTeach, &s), ID: chi.URLParam(r, "id"), Notice: form}
	view.Problem = problem
	var err error
	if view.Audience, err = g.choice(r, view.Say, s, form.To); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PageScheduled, view)
}

// narrows reports whether a form was sent to look for whom to reach, and for nothing
// else: it comes back as it was typed.
func narrows(r *http.Request) bool {
	return r.Method == http.MethodPost && r.PostFormValue("narrow") != ""
}

// choice is what a picker of audiences offers: what was looked for, else the first of
// all, and always what is chosen.
func (g *Gateway) choice(r *http.Request, say *web.Printer, s sessions.Session, to string) (web.Audiences, error) {
	var out web.Audiences
	find, typed := "", ""
	if r.Method == http.MethodPost {
		typed = strings.TrimSpace(r.PostFormValue("find"))
	}
	if narrows(r) {
		find = typed
	}
	ctx := r.Context()
	all, more, err := g.audiences(ctx, s, find, listedPeople, true)
	if err == nil && find != "" && len(all) == 0 {
		out.None = true
		all, more, err = g.audiences(ctx, s, "", listedPeople, true)
	}
	if err != nil {
		return out, err
	}
	narrowed := find != "" && !out.None
	offered := slices.ContainsFunc(all, func(a audience) bool { return a.value == to })
	if kind, _, _ := strings.Cut(to, ":"); kind == "user" && !offered && !narrowed && g.maySend(s.Principal(), to) == nil {
		people, err := g.recipients(ctx, s.Tenant, to)
		if err != nil {
			return out, err
		}
		for _, p := range people {
			all = append(all, audience{value: to, name: p.Name, reach: 1})
		}
	}
	out.All, out.More, out.Find = webAudiences(say, all), more || narrowed, typed
	return out, nil
}

func webAudiences(say *web.Printer, all []audience) []web.Audience {
	var out []web.Audience
	for _, a := range all {
		label := a.name
		switch kind, _, _ := strings.Cut(a.value, ":"); kind {
		case audienceAll:
			label = say.T("Everyone")
		case "group":
			label = say.T("Group {group}", "group", a.name)
		case "experiment":
			label = say.T("Users of {experiment}", "experiment", a.name)
		}
		out = append(out, web.Audience{Value: a.value, Label: label, Reach: a.reach})
	}
	return out
}

func (g *Gateway) rescheduleForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := noticeIn(r)
	if narrows(r) {
		return g.renderScheduled(w, r, s, http.StatusOK, form, nil)
	}
	if _, err := g.reschedule(r.Context(), s, chi.URLParam(r, "id"), noticeRequest(form)); err != nil {
		if problem, status, mendable := problemOf(err, "That was not changed"); mendable {
			return g.renderScheduled(w, r, s, status, form, problem)
		}
		return err
	}
	return seeOther(w, r, "/teach", "scheduled")
}

func (g *Gateway) unscheduleForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if err := g.unschedule(r.Context(), s, chi.URLParam(r, "id")); err != nil {
		return g.refused(w, r, err, "That was not taken back", teachForms{})
	}
	return seeOther(w, r, "/teach", "withdrawn")
}
