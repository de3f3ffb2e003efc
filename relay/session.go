package relay

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
)

const (
	// maxCode bounds an Authorization header, in bytes.
	maxCode = 8 << 10
	// askWait bounds a question to Access before a connection is opened.
	askWait = 5 * time.Second
)

// Session serves /session/{topic}: POST exchanges a code for an address, GET
// opens it, DELETE ends the code for good.
func (r *Relay) Session(w http.ResponseWriter, req *http.Request) {
	var err error
	switch req.Method {
	case http.MethodPost:
		err = r.exchange(w, req)
	case http.MethodGet:
		err = r.open(w, req)
	case http.MethodDelete:
		err = r.giveUp(w, req)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		err = &httpError{http.StatusMethodNotAllowed, "Use POST with a code to get an address, a websocket to open it, DELETE to end the code."}
	}
	if err != nil {
		r.refuse(w, req, err)
	}
}

// errGoingAway is the answer of a relay that stops and knows no other.
var errGoingAway = &Refusal{StatusGoingAway, "The relay is going down; connect again in a moment."}

// exchange answers a code with an address that is good once and for seconds.
func (r *Relay) exchange(w http.ResponseWriter, req *http.Request) error {
	topic, err := ParseTopic(req.URL)
	if err != nil {
		return err
	}
	code, err := codeOf(req)
	if err != nil {
		return err
	}
	tenant := r.opts.Tenant(req)
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	grant, err := r.access.Grant(ctx, tenant, code, topic)
	if err != nil {
		return err
	}
	if err := sound(grant, tenant, topic); err != nil {
		return err
	}
	now := r.clock.Now()
	if grant.ended(now) {
		return &Refusal{StatusExpired, reasonEnded}
	}
	at := place{}
	if r.fleet == nil {
		if r.rooms.drained() {
			return errGoingAway
		}
		at.base = r.opts.BaseURL(req)
	} else if at, err = r.fleet.place(ctx, tenant, topic); err != nil {
		return err
	}
	tk, err := r.ticket(ctx, at, grant, now)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, struct {
		URI string `json:"uri"`
	}{at.base + topicPath(topic) + "?code=" + tk})
	return nil
}

// giveUp ends the code that its holder presents, with every connection it has.
func (r *Relay) giveUp(w http.ResponseWriter, req *http.Request) error {
	topic, err := ParseTopic(req.URL)
	if err != nil {
		return err
	}
	code, err := codeOf(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	if err := r.access.end(ctx, r.opts.Tenant(req), code, topic, r.opts.End); err != nil {
		return err
	}
	if _, signed, _ := r.access.token(r.opts.Tenant(req), code); signed {
		r.decided(req, Decision{Verdict: VerdictGivenUp})
	}
	noContent(w)
	return nil
}

// codeOf returns the code of the Authorization header: bare, as practable's
// clients send it, or after "Bearer".
func codeOf(req *http.Request) (string, error) {
	values := req.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxCode {
		return "", lodge.E(lodge.CodeUnauthenticated, "Send the code you were given in one Authorization header.")
	}
	code := strings.TrimSpace(values[0])
	if scheme, rest, found := strings.Cut(code, " "); found && strings.EqualFold(scheme, "Bearer") {
		code = strings.TrimSpace(rest)
	}
	if code == "" || strings.ContainsAny(code, " \t") {
		return "", lodge.E(lodge.CodeUnauthenticated, "Send the code you were given in one Authorization header.")
	}
	return code, nil
}

// open turns an address into a connection, which is served by a goroutine of its
// own: what the request took is let go of. Whatever is to be refused is refused
// before the upgrade, because that is what clients understand. The connection
// enters the table of the living and registers for hints before its session is
// read: a revocation at any moment meets it in one place or the other.
func (r *Relay) open(w http.ResponseWriter, req *http.Request) error {
	topic, err := ParseTopic(req.URL)
	if err != nil {
		return err
	}
	if origins := req.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !r.opts.OriginAllowed(req) {
		return &httpError{http.StatusForbidden, "Pages of this origin may not open streams here; ask the laboratory to list it."}
	}
	if status, why := ws.Check(w, req); status != 0 {
		return &httpError{status, "This address is for a websocket: " + why + "."}
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	grant, err := r.spend(ctx, ticketOf(req.URL), r.tenantOf(req), topic)
	if err != nil {
		return err
	}
	p, err := r.enter(ctx, req, grant)
	if err != nil {
		return err
	}
	conn, ahead, err := ws.Upgrade(w, req)
	if err != nil {
		p.leave()
		return lodge.Wrap(lodge.CodeUnavailable, "The connection cannot be made a websocket; try again.", err)
	}
	joined := *p.grant.Load()
	r.opts.Observer.Joined(joined, r.clock.Now())
	r.logEnd(p, "relay: joined")
	go func() { // owned by p: Drain waits for p.done
		defer p.leave()
		p.serve(conn, ahead, asked)
		r.logEnd(p, "relay: left")
		r.opts.Observer.Left(joined, r.clock.Now())
	}()
	return nil
}

// enter lets a connection in, whose grant is asked for anew. Unless it is refused,
// what that takes is undone by the peer's leave.
func (r *Relay) enter(ctx context.Context, req *http.Request, grant Grant) (_ *peer, err error) {
	leave, err := r.crowd.enter(grant, r.opts.Address(req))
	if err != nil {
		return nil, err
	}
	shared := r.fleet != nil && grant.Kind != kindCanary
	if shared {
		if err := r.fleet.claim(ctx, grant.Tenant, grant.Topic); err != nil {
			leave()
			return nil, err
		}
	}
	p := r.newPeer(req, grant)
	p.onLeave(leave)
	p.onLeave(func() { close(p.done) })
	defer func() {
		if err != nil {
			p.leave()
		}
	}()
	p.onLeave(p.cancel)
	if !r.rooms.join(p) {
		return nil, errGoingAway
	}
	p.onLeave(p.unlinger)
	p.onLeave(func() {
		r.rooms.leave(p)
		if p.opened.Load() {
			r.changed(grant)
		}
	})
	p.onLeave(p.lease.stop)
	p.onLeave(p.cancel)
	p.onLeave(r.access.Watch(grant, p.check))
	if shared && !r.fleet.still(grant.Tenant, grant.Topic) {
		return nil, errElsewhere
	}
	fresh, err := r.ask(ctx, grant)
	if err != nil {
		return nil, err
	}
	if fresh.ended(r.clock.Now()) {
		return nil, &Refusal{StatusExpired, reasonEnded}
	}
	p.adopt(fresh)
	if e := p.ending.Load(); e != nil {
		return nil, &Refusal{e.code, e.reason}
	}
	return p, nil
}

func (r *Relay) logEnd(p *peer, what string) {
	g := p.grant.Load()
	args := []any{"tenant", g.Tenant, "topic", g.Topic, "kind", g.Kind, "session", g.Session}
	if e := p.ending.Load(); e != nil {
		c := p.counts()
		args = append(args, "close", int(e.code), "reason", e.reason, "in", c.In, "out", c.Out, "dropped", c.Dropped.total())
	}
	r.opts.Logger.Debug(what, args...)
}

func ticketOf(u *url.URL) string { return u.Query().Get("code") }
