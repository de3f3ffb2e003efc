package messaging_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

func TestSec28_MessageSocketLimits(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	c, res := h.tryDial("s", "")
	if ext := res.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Errorf("compression was agreed on: %s", ext)
	}
	same(t, c.caughtUp())
	fits := `{"type":"mark","id":"a","data":"` + strings.Repeat("x", 64<<10-len(`{"type":"mark","id":"a","data":""}`)) + `"}`
	c.send(fits)
	if e := c.next(); e.Type != messaging.TypeReply || e.ID != "a" {
		t.Fatalf("%+v", e)
	}
	c.send(fits + " ")
	if end := c.closed(); end.Code != websocket.StatusMessageTooBig {
		t.Errorf("%+v", end)
	}
}

func TestSocketRefusesBadFrames(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	for frame, want := range map[string]websocket.StatusCode{
		`not JSON`:                      websocket.StatusUnsupportedData,
		`[]`:                            websocket.StatusUnsupportedData,
		`{"type":1}`:                    websocket.StatusUnsupportedData,
		`{}`:                            websocket.StatusPolicyViolation,
		`{"type":"join","topic":"all"}`: websocket.StatusPolicyViolation,
		`{"type":"ack","topic":"all"}`:  websocket.StatusPolicyViolation,
		`{"type":"ack","pos":"x"}`:      websocket.StatusPolicyViolation,
		`{"type":"narrow"}`:             websocket.StatusPolicyViolation,
		`{"type":"answer","id":"1"}`:    websocket.StatusPolicyViolation,
		`{"type":"mark","data":{}}`:     websocket.StatusPolicyViolation,
		`{"type":"ack","topic":"all","pos":"` + strings.Repeat("A", 32) + `"}`: websocket.StatusPolicyViolation,
	} {
		c := h.dial("s", "")
		c.send(frame)
		if end := c.closed(); end.Code != want || end.Reason == "" {
			t.Errorf("%s: %+v", frame, end)
		}
	}
	c := h.dial("s", "")
	if err := c.ws.Write(testContext(t), websocket.MessageBinary, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if end := c.closed(); end.Code != websocket.StatusUnsupportedData {
		t.Errorf("%+v", end)
	}
}

func TestSec29_RatesAndCaps(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{FrameRate: 0.001, FrameBurst: 3, MaxPerPerson: 2, MaxConnections: 3}})
	h.let("s", "ada", "all")
	h.let("s2", "ada", "all")
	h.let("g", "grace", "all")
	c := h.dial("s", "")
	h.dial("s2", "").caughtUp()
	if c, res := h.tryDial("s", ""); c != nil || res.Header.Get("X-Code") != string(lodge.CodeTooMany) {
		t.Error("a third connection of one person must be refused")
	}
	h.dial("g", "").caughtUp()
	if c, res := h.tryDial("g", ""); c != nil || res.Header.Get("X-Code") != string(lodge.CodeUnavailable) {
		t.Error("a fourth connection must be refused")
	}
	for range 4 {
		c.send(`{"type":"narrow","topics":[]}`)
	}
	if end := c.closed(); end.Code != websocket.StatusPolicyViolation {
		t.Errorf("%+v", end)
	}
	eventually(t, "there is room again", func() bool {
		c, _ := h.tryDial("s", "")
		return c != nil
	})
}

func TestSec29_SilentClientsAreClosed(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: 5 * time.Millisecond, PongLimit: 20 * time.Millisecond}})
	h.let("s", "ada", "all")
	h.dial("s", "") // never reads, so never answers a ping
	eventually(t, "nobody is online", func() bool { return len(h.online("t")) == 0 })
}

// A slow reader is cut off, and gets everything where it comes back.
func TestSec30_SlowReadersAreClosedAndLoseNothing(t *testing.T) {
	h := newHouse(t, houseOptions{small: true, hub: messaging.HubOptions{WriteLimit: 100 * time.Millisecond}})
	h.let("s", "ada", "all")
	slow := h.dial("s", "")
	same(t, slow.caughtUp())
	const n = 30
	for i := range n {
		e := notice(h.clock, "all", fmt.Sprint(i))
		e.Data = json.RawMessage(fmt.Sprintf(`{"text":%q,"priority":"info","from":"Grace","to":"all"}`, strings.Repeat("x", 40_000)))
		msg, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.topics.Append(testContext(t), "t", "all", msg); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the slow reader is cut off", func() bool { return len(h.online("t")) == 0 })
	var got []string
	for c := slow; len(got) < n; c = h.dial("s", c.resume()) {
		c.large = true
		for e, err := c.read(); err == nil && len(got) < n; e, err = c.read() {
			if e.Type == messaging.TypeNotice {
				got = append(got, e.ID)
			}
		}
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	same(t, got, want...)
}

func TestSec30_LiveOverflowCloses(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "user:ada")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	gate := make(chan struct{})
	h.roster.change("s", func() { h.roster.gate, h.roster.asked = gate, 0 })
	eventually(t, "the connection is busy", func() bool {
		h.roster.mu.Lock()
		defer h.roster.mu.Unlock()
		return h.roster.asked > 0
	})
	e := notice(h.clock, "user:ada", "x")
	e.Type, e.Data = messaging.TypePresence, []byte(`{"people":[]}`)
	for range 257 {
		if err := h.hub.Notify("t", "user:ada", e); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	if end := c.closed(); end.Code != websocket.StatusTryAgainLater {
		t.Errorf("%+v", end)
	}
}

func TestSocketReplies(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	c := h.dial("s", "")
	same(t, c.caughtUp())
	answer := `{"type":"answer","id":"q1","data":{"survey":"s","answers":{"a":{"number":3}}}}`
	conforms(t, "answer", []byte(answer))
	c.send(answer)
	e := c.next()
	if e.ID != "q1" || e.Type != messaging.TypeReply || !strings.Contains(string(e.Data), `"person":"ada"`) || !strings.Contains(string(e.Data), `"number":3`) {
		t.Errorf("%+v %s", e, e.Data)
	}

	refusing := newHouse(t, houseOptions{inbox: echoBox{err: lodge.Wrap(lodge.CodeConflict, "The survey is closed.", errors.New("secret"))}})
	refusing.let("s", "ada", "all")
	c = refusing.dial("s", "")
	c.caughtUp()
	c.send(`{"type":"answer","id":"q2","data":{}}`)
	if e := c.next(); e.ID != "q2" || e.Code != "conflict" || e.Error != "The survey is closed." || e.Data != nil {
		t.Errorf("%+v", e)
	}
	failing := newHouse(t, houseOptions{inbox: echoBox{err: errors.New("secret")}})
	failing.let("s", "ada", "all")
	c = failing.dial("s", "")
	c.caughtUp()
	c.send(`{"type":"answer","id":"q3","data":{}}`)
	if e := c.next(); e.Code != "internal" || strings.Contains(e.Error, "secret") {
		t.Errorf("%+v", e)
	}
}

func TestSocketRefusesBadResume(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "all")
	for _, resume := range []string{"resume=all", "resume=~", "resume=all~x", "resume=%25zz~", "resume=" + strings.Repeat("b", 600) + "~"} {
		if c, res := h.tryDial("s", resume); c != nil || res.Header.Get("X-Code") != string(lodge.CodeInvalid) {
			t.Errorf("%.40s was accepted", resume)
		}
	}
	res, err := h.client.Get(h.server.URL + "/ws?session=s") // no websocket
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestNotifyReachesWhoDeliversTheTopicNow(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("s", "ada", "user:ada")
	h.let("b", "ada", "booking:b") // a booking session: never personal topics
	c, b := h.dial("s", ""), h.dial("b", "")
	same(t, c.caughtUp())
	same(t, b.caughtUp())
	e, err := messaging.NewEvent(messaging.TypePresence, "person/p", h.clock.Now(), map[string][]string{"people": {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.hub.Notify("t", "user:ada", e); err != nil {
		t.Fatal(err)
	}
	if got := c.next(); got.ID != e.ID || got.Topic != "user:ada" || got.Pos != "" {
		t.Errorf("%+v", got)
	}
	b.sync() // its reply is all that it gets
	if err := h.hub.Notify("t", "user:ada", messaging.Event{}); err == nil {
		t.Error("an event without an id was taken")
	}
}
