package gateway

import (
	"net/http"

	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/relay"
)

// recordRelay records what the relay decided about a request.
func (g *Gateway) recordRelay(r *http.Request, d relay.Decision) {
	actor := g.actorAtRelay(r, d)
	until := " until " + d.Until.Format(timeFormat)
	record := func(action audit.Action, object, reason string) {
		g.record(r.Context(), tenantOf(r.Context()), actor, action, object, reason)
	}
	switch d.Verdict {
	case relay.VerdictDenied:
		record(audit.BookingDeny, "booking:"+d.Booking, "refused at the relay"+until)
	case relay.VerdictAllowed:
		record(audit.BookingAllow, "booking:"+d.Booking, "allowed at the relay again"+until)
	case relay.VerdictGivenUp:
		record(audit.TokenEnd, r.URL.Path, relay.ErrGivenUp.Reason)
	case relay.VerdictRefused:
		record(audit.Deny, r.Method+" "+r.URL.Path, d.Reason)
	}
}

// actorAtRelay says who sent a request to the relay: the session of its code,
// whatever has become of it, or the id of its signed token.
func (g *Gateway) actorAtRelay(r *http.Request, d relay.Decision) string {
	if d.Token != "" {
		return "token:" + d.Token
	}
	if s, err := g.sessions.Check(r.Context(), tenantOf(r.Context()), bearer(r)); err == nil || isOver(err) {
		return actorOf(s)
	}
	return "nobody"
}
