package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// The limits of a notice, in runes.
const (
	maxTitle = 120
	maxText  = 4000
)

// The priorities of a notice.
const (
	priorityInfo      = "info"
	priorityImportant = "important" // shown until its reader acknowledges it
	prioritySafety    = "safety"    // important, and interrupts
)

// A sent is what a sender's own log keeps of a message, to find it again by its
// id: that is how a repeated request is known, whatever came after it.
type sent struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	// At is when a scheduled message is to be sent. Such a record stands for the
	// request; one without At follows when the message is sent.
	At     time.Time `json:"at,omitzero"`
	Notice Notice    `json:"notice"`
}

// sameRequest reports whether two records are of the same wish. What Lodge adds
// to it, names and the hour, may differ.
func (m sent) sameRequest(o sent) bool {
	a, b := m.Notice, o.Notice
	return a.To == b.To && a.Title == b.Title && a.Text == b.Text && a.Priority == b.Priority && a.Replies == b.Replies &&
		a.InReplyTo == b.InReplyTo && a.Expires.Equal(b.Expires) && m.At.Equal(o.At)
}

// senderOf names a session's holder as a sender: the person, or the service.
// Idempotency keys and the log of what was sent are a sender's own.
func senderOf(s sessions.Session) string {
	if s.Kind == sessions.Service {
		return "service:" + string(s.ID)
	}
	return string(s.Person)
}

// topicSent is the internal topic of what somebody sent.
func topicSent(sender string) string { return "sent:" + sender }

// send publishes or schedules a message of a person or a service. The same key
// again is the same message; with another message it is refused.
func (g *Gateway) send(ctx context.Context, s sessions.Session, req MessageRequest, key string) (Accepted, error) {
	one, err := g.compose(ctx, s, req)
	if err != nil {
		return Accepted{}, err
	}
	return g.dispatch(ctx, s, one, key)
}

// compose checks a message and who may send it, and returns it as it is kept,
// without an id.
func (g *Gateway) compose(ctx context.Context, s sessions.Session, req MessageRequest) (sent, error) {
	if err := g.mayPost(s, req.To); err != nil {
		return sent{}, err
	}
	n := Notice{Title: strings.TrimSpace(req.Title), Text: strings.TrimSpace(req.Text), Priority: req.Priority, From: orElse(s.Name, "Laboratory service"), By: string(s.Person), To: req.To, Replies: req.Replies}
	setDefault(&n.Priority, priorityInfo)
	if err := n.check(); err != nil {
		return sent{}, err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return sent{}, err
	}
	if err := g.existsIn(ctx, s.Tenant, cat, req.To); err != nil {
		return sent{}, err
	}
	if kind, group, _ := strings.Cut(req.To, ":"); req.Replies && (kind != "group" || !cat.Groups[group].Replies) {
		return sent{}, lodge.E(lodge.CodeRefused, "Replies can be allowed to notices for a group whose catalogue entry has replies; leave them out here.")
	}
	n.ToName = inWords(cat, nil, req.To)
	one := sent{Time: g.clock.Now(), Notice: n}
	if one.At, err = moment(req.At, req.Zone, "at"); err != nil {
		return sent{}, err
	}
	if one.Notice.Expires, err = moment(req.Expires, req.Zone, "expires"); err != nil {
		return sent{}, err
	}
	return one, nil
}

// check returns why a notice cannot be sent as it is written.
func (n Notice) check() error {
	switch {
	case n.Text == "":
		return lodge.E(lodge.CodeRefused, "The message has no text; write one.")
	case len([]rune(n.Title)) > maxTitle || len([]rune(n.Text)) > maxText:
		return lodge.E(lodge.CodeTooLarge, "The message is too long: at most "+strconv.Itoa(maxTitle)+" characters of title and "+strconv.Itoa(maxText)+" of text.")
	case !slices.Contains([]string{priorityInfo, priorityImportant, prioritySafety}, n.Priority):
		return lodge.E(lodge.CodeRefused, "The priority is info, important or safety.")
	}
	return nil
}

// dispatch gives a checked message its id and sends it on, or puts it by.
func (g *Gateway) dispatch(ctx context.Context, s sessions.Session, one sent, key string) (Accepted, error) {
	one.ID = rand.Text()
	if key != "" {
		one.ID = keyID(senderOf(s), key)
		known, there, err := g.sentAs(ctx, s, one.ID)
		if err != nil {
			return Accepted{}, err
		}
		if there {
			return g.again(ctx, s, known, one)
		}
	}
	if err := one.checkTimes(g.clock.Now()); err != nil {
		return Accepted{}, err
	}
	// A repeated request takes nothing of the rate; it was let through before.
	if err := g.sends.allow(s.Tenant, senderOf(s)); err != nil {
		return Accepted{}, err
	}
	if one.At.IsZero() && key == "" {
		return g.deliver(ctx, s.Tenant, actorOf(s), senderOf(s), one, one.ID)
	}
	// Of requests that race with one key the first in the sender's log counts.
	first, err := g.keep(ctx, s.Tenant, senderOf(s), one, one.ID)
	if err != nil {
		return Accepted{}, err
	}
	if !first {
		known, there, err := g.sentAs(ctx, s, one.ID)
		if err != nil {
			return Accepted{}, err
		}
		if there {
			return g.again(ctx, s, known, one)
		}
	}
	return g.carryOut(ctx, s, one)
}

// again answers a repeated request with what became of the first one, which it
// finishes if that was cut off half way.
func (g *Gateway) again(ctx context.Context, s sessions.Session, known, one sent) (Accepted, error) {
	if !known.sameRequest(one) {
		return Accepted{}, lodge.E(lodge.CodeRefused, "This idempotency key was used for another message; use a new key for each message.")
	}
	if !known.At.IsZero() {
		return g.carryOut(ctx, s, known)
	}
	at, there, err := g.topics.Locate(ctx, s.Tenant, known.Notice.To, known.ID)
	switch {
	case err != nil:
		return Accepted{}, err
	case !there:
		return g.carryOut(ctx, s, known)
	}
	return Accepted{ID: known.ID, Topic: known.Notice.To, Position: at.String()}, nil
}

// carryOut does what a record in the sender's log promises. It may be repeated.
func (g *Gateway) carryOut(ctx context.Context, s sessions.Session, one sent) (Accepted, error) {
	if !one.At.IsZero() {
		return g.putBy(ctx, s, one)
	}
	return g.deliver(ctx, s.Tenant, actorOf(s), senderOf(s), one, "")
}

// deliver appends a message to its topic, writes it into the audit trail and, with
// the id of a record, into the sender's log. The three are of no order among
// themselves, so they are done at the same time: all are durable when it returns.
// A record whose message is missing is not shown, and the trail may well hold that
// somebody was let send what then could not be stored.
func (g *Gateway) deliver(ctx context.Context, tenant lodge.Tenant, actor, sender string, one sent, record string) (Accepted, error) {
	var group errgroup.Group
	if g.audit != nil {
		group.Go(func() error {
			g.record(ctx, tenant, actor, audit.Send, one.Notice.To, "message "+one.ID+", "+one.Notice.Priority)
			return nil
		})
	}
	if record != "" {
		group.Go(func() error {
			_, err := g.keep(ctx, tenant, sender, one, record)
			return err
		})
	}
	at, err := g.append(ctx, tenant, one.Notice.To, messaging.TypeNotice, one.ID, lodge.PersonID(one.Notice.By), one.Notice)
	if kept := group.Wait(); err == nil {
		err = kept
	}
	return Accepted{ID: one.ID, Topic: one.Notice.To, Position: at.Pos.String()}, err
}

// keep enters a message in its sender's log under an id. It reports whether
// nothing had that id before.
func (g *Gateway) keep(ctx context.Context, tenant lodge.Tenant, sender string, one sent, id string) (first bool, err error) {
	body, err := json.Marshal(one)
	if err != nil {
		return false, err
	}
	done, err := g.topics.Append(ctx, tenant, topicSent(sender), messaging.Message{ID: id, Body: body})
	if err != nil {
		return false, err
	}
	return !done[0].Duplicate, nil
}

// sentBy returns what somebody sent, newest first, up to limit messages.
func (g *Gateway) sentBy(ctx context.Context, s sessions.Session, limit int) ([]sent, error) {
	page, err := g.topics.ReadBack(ctx, s.Tenant, topicSent(senderOf(s)), messaging.Pos{}, maxHistory)
	if err != nil {
		return nil, err
	}
	var out []sent
	for _, item := range page.Items {
		var one sent
		if item.Gap || json.Unmarshal(item.Body, &one) != nil || !one.At.IsZero() {
			continue
		}
		if out = append(out, one); len(out) == limit {
			break
		}
	}
	return out, nil
}

// sentAs returns somebody's message of an id.
func (g *Gateway) sentAs(ctx context.Context, s sessions.Session, id string) (one sent, there bool, err error) {
	item, there, err := g.topics.Find(ctx, s.Tenant, topicSent(senderOf(s)), id)
	if err != nil || !there {
		return sent{}, false, err
	}
	if err := json.Unmarshal(item.Body, &one); err != nil {
		return sent{}, false, err
	}
	return one, true, nil
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

// keyID derives an id from a sender's idempotency key: the same key, the same id.
func keyID[S ~string](sender S, key string) string {
	sum := sha256.Sum256([]byte(string(sender) + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
