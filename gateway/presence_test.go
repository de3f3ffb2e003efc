package gateway_test

import (
	"encoding/json"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging"
)

// The instructors of a group hear who of it comes and goes, and nobody else.
func TestInstructorsHearWhoIsThere(t *testing.T) {
	l := newLab(t)
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace")
	watching, fellow := grace.messages(), soren.messages()
	watching.caughtUp()
	fellow.caughtUp()
	await := func(what string, want func(gateway.PersonPresence) bool) {
		t.Helper()
		watching.await(what, func(e event) bool {
			var data gateway.PresenceChanged
			if e.Type != messaging.TypePresence {
				return false
			}
			if err := json.Unmarshal(e.Data, &data); err != nil || e.Topic != "instructors:physics-1" {
				t.Fatalf("%s: %+v", what, e)
			}
			for _, p := range data.People {
				if p.Name == "Ada Lovelace" && want(p) {
					return true
				}
			}
			return false
		})
	}
	booking := ada.book("pend00-everyone")
	stream := ada.stream(ada.launch(booking), "data")
	await("in an experiment", func(p gateway.PersonPresence) bool { return len(p.Experiments) == 1 && !p.Messages })
	socket := ada.messages()
	await("reachable", func(p gateway.PersonPresence) bool { return len(p.Experiments) == 1 && p.Messages })
	l.must(stream.CloseNow())
	await("out of it", func(p gateway.PersonPresence) bool { return len(p.Experiments) == 0 && p.Messages })
	l.must(socket.conn.CloseNow())
	await("gone", func(p gateway.PersonPresence) bool { return len(p.Experiments) == 0 && !p.Messages })

	wstest.Write(t, fellow.conn, 1, `{"type":"mark","id":"m","data":{"register":"none"}}`)
	fellow.await("the reply", func(e event) bool {
		if e.Type == messaging.TypePresence {
			t.Errorf("a fellow student hears %+v", e)
		}
		return e.Type == messaging.TypeReply
	})
}
