package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// messageSocket opens the message websocket: with a ticket from an experiment
// UI, or with the cookies of a page of ours.
func (g *Gateway) messageSocket(w http.ResponseWriter, r *http.Request) error {
	sub, err := g.listener(r, true)
	if err != nil {
		return err
	}
	return g.hub.ServeWS(w, r, sub)
}

// messageEvents is the same stream as server-sent events.
func (g *Gateway) messageEvents(w http.ResponseWriter, r *http.Request) error {
	sub, err := g.listener(r, false)
	if err != nil {
		return err
	}
	return g.hub.ServeEvents(w, r, sub)
}

// listener finds whose messages a connection is for; which they are, the hub asks
// once the connection is in its tables. An idle login still listens: messages are
// what it was kept for. Listening is no activity.
func (g *Gateway) listener(r *http.Request, socket bool) (messaging.Subscriber, error) {
	ctx, tenant := r.Context(), tenantOf(r.Context())
	if code := r.URL.Query().Get("ticket"); code != "" {
		if !g.originAllowed(r) {
			return messaging.Subscriber{}, errOrigin()
		}
		id, ok := g.tickets.spend(tenant, code)
		if !ok {
			return messaging.Subscriber{}, lodge.E(lodge.CodeUnauthenticated, "That ticket was used or has run out; ask for a new one.")
		}
		s, err := g.sessions.Get(ctx, tenant, id)
		if err != nil {
			return messaging.Subscriber{}, err
		}
		return g.mayListen(s)
	}
	// A cookie comes along with whatever page opens the socket, and browsers
	// hold websockets to no origin: so the page must be ours. A page of ours that
	// asks for events sends no Origin.
	if !g.originOurs(r) && (socket || r.Header.Get("Origin") != "") {
		return messaging.Subscriber{}, errOrigin()
	}
	c, err := g.holds(r)
	if err != nil {
		return messaging.Subscriber{}, err
	}
	if c.login == nil {
		c.login = c.idle
	}
	if id := r.URL.Query().Get("booking"); id != "" && c.booking != nil && c.booking.Booking == id && (c.login == nil || c.login.Person != c.booking.Person) {
		return g.mayListen(*c.booking)
	}
	s, err := c.main()
	if err != nil {
		return messaging.Subscriber{}, err
	}
	return g.mayListen(s)
}

func errOrigin() error {
	return lodge.E(lodge.CodeForbidden, "A page of another origin may not open this connection.")
}

// messageTicket gives an experiment UI one connection to its booking's messages.
func (g *Gateway) messageTicket(w http.ResponseWriter, r *http.Request) error {
	s, err := g.presented(r, sessions.Experiment)
	if err != nil && !isOver(err) {
		return err
	}
	if !s.Messages(g.clock.Now()) {
		return lodge.E(lodge.CodeUnauthenticated, "The time in which this booking receives messages is over.")
	}
	code, err := g.tickets.issue(s.Tenant, s.ID)
	if err != nil {
		return err
	}
	uri := "ws" + strings.TrimPrefix(g.cfg.PublicURL, "http") + "/api/v1/messages/ws?ticket=" + code
	return writeJSON(w, http.StatusOK, TicketView{URI: uri})
}

// inbox takes what clients send over the message socket beside acknowledgements.
type inbox struct{ g *Gateway }

// Answer takes {"survey": id, "answers": {…}}.
func (i inbox) Answer(ctx context.Context, sub messaging.Subscriber, data json.RawMessage) (json.RawMessage, error) {
	var req struct {
		Survey  string            `json:"survey"`
		Answers map[string]Answer `json:"answers"`
	}
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, "The answer cannot be read; see the documentation of the message socket.", err)
	}
	view, err := i.g.answerSurvey(ctx, sub, req.Survey, req.Answers)
	if err != nil {
		return nil, err
	}
	return json.Marshal(view)
}

// Mark takes {"register": id}: the person confirms that they are there.
func (i inbox) Mark(ctx context.Context, sub messaging.Subscriber, data json.RawMessage) (json.RawMessage, error) {
	var req struct {
		Register string `json:"register"`
	}
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, "The mark cannot be read; see the documentation of the message socket.", err)
	}
	s, err := i.g.sessions.Get(ctx, sub.Tenant, sessions.ID(sub.Session))
	if err != nil {
		return nil, err
	}
	view, err := i.g.confirm(ctx, s, req.Register)
	if err != nil {
		return nil, err
	}
	return json.Marshal(view)
}
