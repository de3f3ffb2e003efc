package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// The limits of a notice, in runes.
const (
	maxTitle = 120
	maxText  = 4000
)

// sent is what a sender's own log keeps of a message, to find it again.
type sent struct {
	ID       string    `json:"id"`
	Topic    string    `json:"topic"`
	Position string    `json:"position"`
	Time     time.Time `json:"time"`
	Notice   Notice    `json:"notice"`
}

// sendMessage stores a notice and answers 202: it is durable then, and on its
// way.
func (g *Gateway) sendMessage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
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
	done, err := g.send(r.Context(), s, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, map[string]string{"id": done.ID, "topic": done.Topic, "position": done.Position})
}

// send publishes a notice of a person and enters it in their own log. The same
// key again is the same message; with another message it is refused.
func (g *Gateway) send(ctx context.Context, s sessions.Session, req MessageRequest, key string) (sent, error) {
	if err := g.maySend(s.Principal(), req.To); err != nil {
		return sent{}, err
	}
	req.Title, req.Text = strings.TrimSpace(req.Title), strings.TrimSpace(req.Text)
	switch {
	case req.Text == "":
		return sent{}, lodge.E(lodge.CodeRefused, "The message has no text; write one.")
	case len([]rune(req.Title)) > maxTitle || len([]rune(req.Text)) > maxText:
		return sent{}, lodge.E(lodge.CodeTooLarge, "The message is too long: at most "+strconv.Itoa(maxTitle)+" characters of title and "+strconv.Itoa(maxText)+" of text.")
	case req.Priority == "":
		req.Priority = "info"
	case !slices.Contains([]string{"info", "important", "safety"}, req.Priority):
		return sent{}, lodge.E(lodge.CodeRefused, "The priority is info, important or safety.")
	}
	if err := g.exists(ctx, s.Tenant, req.To); err != nil {
		return sent{}, err
	}
	notice := Notice{Title: req.Title, Text: req.Text, Priority: req.Priority, From: s.Name, To: req.To}
	id := rand.Text()
	if key != "" {
		id = keyID(s.Person, key)
		switch done, err := g.sentAs(ctx, s, id); {
		case err != nil:
			return sent{}, err
		case done.ID == id && done.Notice != notice:
			return sent{}, lodge.E(lodge.CodeRefused, "This idempotency key was used for another message; use a new key for each message.")
		case done.ID == id:
			return done, nil
		}
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return sent{}, err
	}
	out := sent{ID: id, Topic: req.To, Time: g.clock.Now(), Notice: notice}
	at, err := g.append(ctx, s.Tenant, req.To, messaging.TypeNotice, id, s.Person, out.Notice)
	if err != nil {
		return sent{}, err
	}
	g.recordBy(ctx, s, audit.Send, req.To, "message "+id+", "+req.Priority)
	out.Position = at.Pos.String()
	body, err := json.Marshal(out)
	if err != nil {
		return sent{}, err
	}
	_, err = g.topics.Append(ctx, s.Tenant, "sent:"+string(s.Person), messaging.Message{ID: id, Body: body})
	return out, err
}

// sentBy returns what a person sent, newest first.
func (g *Gateway) sentBy(ctx context.Context, s sessions.Session, limit int) ([]sent, error) {
	page, err := g.topics.ReadBack(ctx, s.Tenant, "sent:"+string(s.Person), messaging.Pos{}, limit)
	if err != nil {
		return nil, err
	}
	var out []sent
	for _, item := range page.Items {
		var one sent
		if item.Gap || json.Unmarshal(item.Body, &one) != nil {
			continue
		}
		out = append(out, one)
	}
	return out, nil
}

// sentAs returns a person's message of an id; the zero value when there is none
// among the latest.
func (g *Gateway) sentAs(ctx context.Context, s sessions.Session, id string) (sent, error) {
	mine, err := g.sentBy(ctx, s, maxHistory)
	if err != nil {
		return sent{}, err
	}
	if i := slices.IndexFunc(mine, func(m sent) bool { return m.ID == id }); i >= 0 {
		return mine[i], nil
	}
	return sent{}, nil
}

// idempotencyKey returns the key by which a repeated request is known; empty
// without one.
func idempotencyKey(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 255 {
		return "", lodge.E(lodge.CodeInvalid, "The idempotency key is longer than 255 characters.")
	}
	return key, nil
}

// keyID derives an id from a person's idempotency key: the same key, the same id.
func keyID(person lodge.PersonID, key string) string {
	sum := sha256.Sum256([]byte(string(person) + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
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
// the last topic when it has more.
func (g *Gateway) latest(ctx context.Context, tenant lodge.Tenant, m *membership, topics []string, before messaging.Pos, limit int) (out []MessageView, heads map[string]string, older string, err error) {
	out, heads = []MessageView{}, map[string]string{}
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
			out = append(out, MessageView{ID: event.ID, Topic: topic, Position: item.Pos.String(), Type: event.Type, Time: event.Time, Data: event.Data})
			older = item.Pos.String()
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

// receipts says who got a message of one's own.
func (g *Gateway) receipts(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	one, err := g.sentAs(r.Context(), s, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if one.ID == "" {
		return errNotThere("message")
	}
	people, err := g.recipients(r.Context(), s.Tenant, one.Topic)
	if err != nil {
		return err
	}
	view, err := g.receiptsOf(r.Context(), s.Tenant, one, people)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// receiptsOf says what became of a message for each of its recipients.
func (g *Gateway) receiptsOf(ctx context.Context, tenant lodge.Tenant, m sent, people []idp.Person) (ReceiptsView, error) {
	ids := make([]lodge.PersonID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	pos, err := messaging.ParsePos(m.Position)
	if err != nil {
		return ReceiptsView{}, err
	}
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return ReceiptsView{}, err
	}
	got, err := g.receiptsAs(ctx, tenant, merged, m.Topic, pos, ids)
	if err != nil {
		return ReceiptsView{}, err
	}
	there, err := g.hub.Online(ctx, tenant)
	if err != nil {
		return ReceiptsView{}, err
	}
	online := map[lodge.PersonID]bool{}
	for _, p := range there {
		online[merged.Of(p.Person)] = online[merged.Of(p.Person)] || !p.Messages.IsZero()
	}
	view := ReceiptsView{ID: m.ID, Sent: len(people), People: []ReceiptView{}}
	for i, receipt := range got {
		switch receipt.State {
		case "read":
			view.Read++
			view.Delivered++
		case "delivered":
			view.Delivered++
		}
		view.People = append(view.People, ReceiptView{Person: string(ids[i]), Name: people[i].Name, State: receipt.State, Online: online[ids[i]]})
	}
	return view, nil
}

// receiptsAs returns how far a message got to each person, in their order, by
// whatever id of theirs: of several the furthest counts.
func (g *Gateway) receiptsAs(ctx context.Context, tenant lodge.Tenant, merged lodge.Merged, topic string, pos messaging.Pos, people []lodge.PersonID) ([]messaging.Receipt, error) {
	others := map[lodge.PersonID][]lodge.PersonID{}
	for from, into := range merged {
		others[into] = append(others[into], from)
	}
	var ids []lodge.PersonID
	ends := make([]int, len(people)) // of each person's ids
	for i, person := range people {
		ids = append(append(ids, person), others[person]...)
		ends[i] = len(ids)
	}
	got, err := g.hub.Receipts(ctx, tenant, topic, pos, ids)
	if err != nil {
		return nil, err
	}
	steps := []string{messaging.ReceiptSent, messaging.ReceiptDelivered, messaging.ReceiptRead}
	far := make([]messaging.Receipt, len(people))
	begin := 0
	for i, person := range people {
		step := 0
		for _, one := range got[begin:ends[i]] {
			step = max(step, slices.Index(steps, one.State))
		}
		far[i], begin = messaging.Receipt{Person: person, State: steps[step]}, ends[i]
	}
	return far, nil
}
