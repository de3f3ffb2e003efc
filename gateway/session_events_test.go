package gateway_test

import (
	"encoding/json"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/messaging"
)

// A person's pages hear that a session of theirs begins or is ended; the session
// itself and other people do not.
func TestSessionsThatBeginAndEndAreTold(t *testing.T) {
	l := newLab(t)
	here, soren := l.signedIn("ada"), l.signedIn("soren")
	watching, fellow := here.messages(), soren.messages()
	watching.caughtUp()
	fellow.caughtUp()
	told := func(change string) gateway.SessionChanged {
		t.Helper()
		var data gateway.SessionChanged
		watching.await(change, func(e event) bool {
			if e.Type != messaging.TypeSession {
				return false
			}
			if err := json.Unmarshal(e.Data, &data); err != nil || e.Topic != "user:"+here.me().Person || data.Change != change {
				t.Fatalf("%+v", e)
			}
			return true
		})
		return data
	}
	there := l.signedIn("ada")
	began := told("began")
	ending := there.messages()
	ending.caughtUp()
	if got := here.do("DELETE", "/api/v1/me/sessions/"+began.Session, nil); got.status != 204 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if ended := told("ended"); ended.Session != began.Session {
		t.Errorf("%+v, then %+v", began, ended)
	}
	ending.closed(int(messaging.CloseRevoked))
	l.signedIn("grace").sendsTo("all", "That was all.")
	for _, s := range []*socket{watching, fellow} {
		s.await("the notice", func(e event) bool {
			if e.Type == messaging.TypeSession {
				t.Errorf("%+v", e)
			}
			return e.Type == messaging.TypeNotice
		})
	}
}
