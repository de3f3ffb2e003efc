package relay

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// What other relays got wrong, and is tested here for being so near to the code;
// the rest of it is in the gateway's tests of the compatible surface. All tests of
// that kind are named TestCompatFault….

// There, one goroutine served all topics: one of them that stood still held up the
// others. The clock of the test stands still while anybody has something to do, so
// that a message that waited would be late.
func TestCompatFaultTopicsDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{QueueMessages: 8, LiveMessages: 8})
		stuckHost := r.member(t, "stuck-video", "h1", "w")
		r.access.allow("v1", "stuck-video", true, false, time.Time{})
		r.connect(t, "stuck-video", "v1") // reads nothing
		host, viewer := r.member(t, "good-data", "h2", "w"), r.member(t, "good-data", "v2", "r")
		for i := range 100 {
			// Its only reader is behind, so that its sender is held back.
			wstest.Write(t, stuckHost, websocket.MessageBinary, "picture")
			sent := time.Now()
			wstest.Write(t, host, websocket.MessageText, fmt.Sprint(i))
			if _, got := wstest.Read(t, viewer); got != fmt.Sprint(i) || !time.Now().Equal(sent) {
				t.Fatalf("message %d came as %s, %v later", i, got, time.Since(sent))
			}
		}
	})
}

// There, whatever served a connection lived on until the token's end.
func TestCompatFaultNothingOutlivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("ada", "pend00-data", true, true, time.Now().Add(24*time.Hour))
		conn := r.connect(t, "pend00-data", "ada")
		synctest.Wait()
		if r.Stats().Peers != 1 || r.access.watching() != 1 {
			t.Fatalf("%+v", r.Stats())
		}
		closed := time.Now()
		_ = conn.CloseNow() // as a page that is left
		synctest.Wait()
		if s := r.Stats(); s.Peers != 0 || s.Rooms != 0 || r.access.watching() != 0 || !time.Now().Equal(closed) {
			t.Errorf("%+v, %d watched", s, r.access.watching())
		}
	})
}

// A reader of the statistics has them on joining and when it asks; nothing else
// sends any here, where nobody runs the reports.
func TestStatsComeWhenAskedFor(t *testing.T) {
	r := onNetwork(t, Options{})
	r.access.allow("watcher", StatsTopic, true, false, time.Time{})
	r.access.kinds["watcher"] = kindService
	watcher := r.connect(t, StatsTopic, "watcher")
	reported := func() (topics []string) {
		t.Helper()
		kind, body := wstest.Read(t, watcher)
		var list []struct{ Topic string }
		if err := json.Unmarshal([]byte(body), &list); err != nil || kind != websocket.MessageText {
			t.Fatalf("%v %q: %v", kind, body, err)
		}
		for _, one := range list {
			topics = append(topics, one.Topic)
		}
		return topics
	}
	if got := reported(); len(got) != 1 || got[0] != StatsTopic {
		t.Errorf("on joining: %q", got)
	}
	r.member(t, "pend00-data", "ada", "rw")
	for _, nonsense := range []string{"", "update", `{"cmd":"stop"}`, `{"cmd":1}`} {
		wstest.Write(t, watcher, websocket.MessageText, nonsense)
	}
	wstest.Write(t, watcher, websocket.MessageText, `{"cmd":"update"}`)
	if got := reported(); len(got) != 2 {
		t.Errorf("asked: %q", got)
	}
	wstest.Eventually(t, "nonsense to be counted", func() bool {
		for _, p := range r.Peers(lodge.DefaultTenant) {
			if p.Session == "watcher" {
				return p.Dropped.Refused == 4
			}
		}
		return false
	})
}
