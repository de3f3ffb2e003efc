package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// instructorsOf is the kind of the topics that replies go to: instructors:G is
// heard by the instructors of a group and by those of the tenant. Nobody sends to
// it but by replying.
const instructorsOf = "instructors"

func inboxOf(group string) string { return instructorsOf + ":" + group }

// maxAbout bounds what a reply repeats of the notice it is to, in runes.
const maxAbout = 60

func (g *Gateway) postReply(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req ReplyRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	done, err := g.reply(r.Context(), s, chi.URLParam(r, "id"), req.Text, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, done)
}

// reply sends what a member of a group says to a notice that allows it to the
// group's instructors.
func (g *Gateway) reply(ctx context.Context, s sessions.Session, id, text, key string) (Accepted, error) {
	group, to, err := g.repliedTo(ctx, s, id)
	if err != nil {
		return Accepted{}, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return Accepted{}, err
	}
	if !to.Replies || !cat.Groups[group].Replies {
		return Accepted{}, lodge.E(lodge.CodeRefused, "That message takes no replies; ask your instructor in person.")
	}
	n := Notice{
		Text: strings.TrimSpace(text), Priority: priorityInfo, From: s.Name, By: string(s.Person), To: inboxOf(group),
		ToName: inWords(cat, nil, inboxOf(group)), InReplyTo: id, About: shorten(orElse(to.Title, to.Text), maxAbout),
	}
	if err := n.check(); err != nil {
		return Accepted{}, err
	}
	return g.dispatch(ctx, s, sent{Time: g.clock.Now(), Notice: n}, key)
}

// repliedTo finds the notice of an id among those of a person's groups.
func (g *Gateway) repliedTo(ctx context.Context, s sessions.Session, id string) (group string, n Notice, err error) {
	if len(id) > 64 {
		return "", n, errNotThere("message")
	}
	for _, group := range s.Groups {
		item, there, err := g.topics.Find(ctx, s.Tenant, "group:"+group, id)
		if err != nil {
			return "", n, err
		}
		if !there {
			continue
		}
		event, err := messaging.ParseEvent(item.Body)
		if err != nil || event.Type != messaging.TypeNotice || event.Expired(g.clock.Now()) || json.Unmarshal(event.Data, &n) != nil {
			break
		}
		return group, n, nil
	}
	return "", n, errNotThere("message")
}

// inboxes are the topics of replies that somebody with these roles hears.
func inboxes(cat *booking.Catalogue, bindings []lodge.Binding) []string {
	var out []string
	for _, group := range sortedKeys(cat.Groups) {
		if cat.Groups[group].Replies && instructs(bindings, group) {
			out = append(out, inboxOf(group))
		}
	}
	return out
}

// instructs reports whether somebody teaches a group. To administer it is another
// thing: what students write is not for whoever looks after the server.
func instructs(bindings []lodge.Binding, group string) bool {
	return slices.ContainsFunc(bindings, func(b lodge.Binding) bool {
		return b.Role == lodge.RoleInstructor && (b.Scope == lodge.ScopeTenant || b.Scope == lodge.ScopeOf("group", group))
	})
}

// instructors are those who hear the replies of a group's members.
func (g *Gateway) instructors(ctx context.Context, tenant lodge.Tenant, group string) ([]idp.Person, error) {
	all, err := g.recipients(ctx, tenant, audienceAll)
	if err != nil {
		return nil, err
	}
	var out []idp.Person
	for _, person := range all {
		bindings, err := g.bindings(ctx, person)
		if err != nil {
			return nil, err
		}
		if !person.Disabled && instructs(bindings, group) {
			out = append(out, person)
		}
	}
	return out, nil
}

// repliable reports whether a person is offered to reply to a notice.
func repliable(cat *booking.Catalogue, s sessions.Session, n Notice) bool {
	kind, group, _ := strings.Cut(n.To, ":")
	return n.Replies && kind == "group" && cat.Groups[group].Replies && s.Kind == sessions.Login && slices.Contains(s.Groups, group) && n.By != string(s.Person)
}
