package gateway_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
			if err := json.Unmarshal(e.Data, &data); err != nil || !strings.HasPrefix(e.Topic, "instructors:") {
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

// The technicians of an experiment hear who comes to it and leaves it, and no more.
func TestTechniciansHearWhoIsInTheirExperiment(t *testing.T) {
	l := newLab(t)
	ada, linus := l.signedIn("ada"), l.signedIn("linus")
	watching := linus.messages()
	watching.caughtUp()
	await := func(what string, want []string) {
		t.Helper()
		watching.await(what, func(e event) bool {
			var data gateway.PresenceChanged
			if e.Type != messaging.TypePresence {
				return false
			}
			if err := json.Unmarshal(e.Data, &data); err != nil || e.Topic != "technicians:pend00" || len(data.People) != 1 || data.People[0].Name != "Ada Lovelace" {
				t.Fatalf("%s: %+v", what, e)
			}
			return slices.Equal(data.People[0].Experiments, want)
		})
	}
	activity := ada.launch(ada.book("pend00-everyone"))
	elsewhere := ada.stream(ada.launch(ada.book("pend02-everyone")), "data")
	stream := ada.stream(activity, "data")
	await("in it", []string{"pend00"})
	l.must(elsewhere.CloseNow()) // none of his business
	l.must(stream.CloseNow())
	await("out of it", []string{})
}

func TestPresenceIsThereForTheAsking(t *testing.T) {
	l := newLab(t)
	ada, grace, linus, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("linus"), l.signedIn("root")
	stream := ada.stream(ada.launch(ada.book("pend00-everyone")), "data")
	l.clock.pass(time.Second) // her booking has begun
	socket := grace.messages()
	socket.caughtUp()
	there := func(b *browser, query string) (names []string) {
		t.Helper()
		for _, p := range call[gateway.PresenceView](b, 200, "GET", "/api/v1/presence?"+query, nil).People {
			names = append(names, fmt.Sprintf("%s %v %v", p.Name, p.Messages, p.Experiments))
		}
		return names
	}
	inside := []string{"Ada Lovelace false [pend00]"}
	for query, by := range map[string]*browser{"experiment=pend00": linus, "topic=experiment:pend00": linus, "group=physics-1": grace, "topic=user:" + ada.me().Person: root} {
		wstest.Eventually(t, query, func() bool { return slices.Contains(there(by, query), inside[0]) })
	}
	if got := there(linus, "experiment=pend00"); !slices.Equal(got, inside) {
		t.Errorf("%q", got)
	}
	if got := there(root, "experiment=pend02"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	first := call[gateway.PresenceView](root, 200, "GET", "/api/v1/presence?topic=all&limit=1", nil)
	rest := call[gateway.PresenceView](root, 200, "GET", "/api/v1/presence?topic=all&after="+first.After, nil)
	if len(first.People) != 1 || first.After != first.People[0].Person || len(rest.People) == 0 || rest.After != "" || rest.People[0].Person <= first.After {
		t.Errorf("%+v, then %+v", first, rest)
	}
	ada.refused(403, "GET", "/api/v1/presence?experiment=pend00", nil)
	linus.refused(403, "GET", "/api/v1/presence?topic=all", nil)
	linus.refused(403, "GET", "/api/v1/presence?experiment=pend02", nil)
	root.refused(404, "GET", "/api/v1/presence?group=nobody", nil)
	for _, query := range []string{"", "topic=all&group=physics-1", "topic=sent:x", "topic=all&limit=0"} {
		root.refused(400, "GET", "/api/v1/presence?"+query, nil)
	}
	l.must(stream.CloseNow())
	wstest.Eventually(t, "nobody is in it", func() bool { return len(there(linus, "experiment=pend00")) == 0 })
}
