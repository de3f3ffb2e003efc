package gateway

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// SessionChanged is the data of a lodge.session event.
type SessionChanged struct {
	Session string `json:"session"`
	Change  string `json:"change"` // began, ended
}

// sessionNews passes on what became of a person's sessions, on whatever node that
// came about.
func (g *Gateway) sessionNews(sig sessions.Signal) {
	if sig.Change == sessions.Entitled {
		g.hub.Reconsider(sig.Tenant, sig.Person)
		return
	}
	g.tellSession(sig)
}

// tellSession tells a person's pages and programs on this node that a session of
// theirs began or was ended: not the session itself, which knows, or is being
// closed. What it is they ask for, as with everything that is not stored.
func (g *Gateway) tellSession(sig sessions.Signal) {
	topic := "user:" + string(sig.Person)
	if !g.hub.Delivers(sig.Tenant, topic) {
		return
	}
	for _, id := range sig.IDs {
		event, err := messaging.NewEvent(messaging.TypeSession, topic, g.clock.Now(), SessionChanged{Session: string(id), Change: string(sig.Change)})
		if err == nil {
			err = g.hub.NotifyOthers(sig.Tenant, topic, string(id), event)
		}
		if err != nil {
			g.log.WarnContext(context.Background(), "a change of a session is not told", "session", id, "err", err)
		}
	}
}
