package messaging_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A streamClient reads server-sent events as a browser does.
type streamClient struct {
	t      testing.TB
	lines  *bufio.Scanner
	leave  func()
	lastID string
	beats  int
	closed string
	retry  string
}

func (h *house) listen(session, query, lastID string) *streamClient {
	h.t.Helper()
	ctx, cancel := context.WithCancel(testContext(h.t))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/events?session="+url.QueryEscape(session)+"&"+query, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		h.t.Fatalf("%s %v", res.Status, res.Header)
	}
	c := &streamClient{t: h.t, lines: bufio.NewScanner(res.Body), lastID: lastID}
	c.leave = func() { cancel(); _ = res.Body.Close() }
	h.t.Cleanup(c.leave)
	return c
}

// next returns the next event, and false when the stream has ended.
func (c *streamClient) next() (event, bool) {
	c.t.Helper()
	var data string
	for c.lines.Scan() {
		line := c.lines.Text()
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "id":
			c.lastID = value
		case "retry":
			c.retry = value
		case "data":
			data = value
		case "":
			if strings.HasPrefix(value, "closed") {
				c.closed = value
			}
			c.beats++
			if line == "" && data != "" {
				return documented(c.t, []byte(data)), true
			}
		}
	}
	return event{}, false
}

func (c *streamClient) caughtUp() (ids []string) {
	c.t.Helper()
	for {
		e, ok := c.next()
		if !ok {
			c.t.Fatal("the stream has ended")
		}
		if e.Type == messaging.TypeCaughtUp {
			return ids
		}
		ids = append(ids, e.String())
	}
}

func TestEventStreamResumesByLastEventID(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{History: 2}})
	h.let("s", "ada", "all", "user:ada", "group:ä, b")
	for _, id := range []string{"1", "2", "3"} {
		h.say("all", id)
	}
	c := h.listen("s", "", "")
	same(t, c.caughtUp(), "all/2", "all/3")
	h.say("user:ada", "4")
	if e, ok := c.next(); !ok || e.ID != "4" {
		t.Fatal(e)
	}
	c.leave()
	for _, topic := range []string{"all", "user:ada", "group:ä, b"} {
		for _, id := range []string{"a", "b", "c", "d"} {
			h.say(topic, id)
		}
	}
	want := []string{
		"all/a", "all/b", "all/c", "all/d", "user:ada/a", "user:ada/b", "user:ada/c", "user:ada/d",
		"group:ä, b/a", "group:ä, b/b", "group:ä, b/c", "group:ä, b/d",
	}
	same(t, h.listen("s", "", c.lastID).caughtUp(), want...)
	// The same string resumes in the query, also of the websocket, and the
	// header counts more than an older query.
	same(t, h.dial("s", "resume="+url.QueryEscape(c.lastID)).caughtUp(), want...)
	same(t, h.listen("s", "resume=all~", c.lastID).caughtUp(), want...)
}

func TestEventStreamEndsWithTheRight(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: time.Millisecond}})
	h.let("s", "ada", "all")
	c := h.listen("s", "", "")
	same(t, c.caughtUp())
	h.say("all", "1")
	if e, ok := c.next(); !ok || e.ID != "1" {
		t.Fatal(e)
	}
	h.roster.fail("s", lodge.E(lodge.CodeForbidden, "ended"))
	h.say("all", "2")
	if e, ok := c.next(); ok {
		t.Fatalf("after the end: %v", e)
	}
	if c.closed != "closed 4403 ended" {
		t.Errorf("closed: %q", c.closed)
	}
	res, err := h.client.Get(h.server.URL + "/events?session=s")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("X-Code") != string(lodge.CodeForbidden) {
		t.Error("a new stream must be refused")
	}
}

func TestEventStreamBeats(t *testing.T) {
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{PingEvery: time.Millisecond}})
	h.let("s", "ada", "all")
	c := h.listen("s", "", "")
	before := h.clock.Now()
	h.clock.move(time.Minute)
	eventually(t, "a heartbeat counts as life", func() bool {
		online := h.online("t")
		return len(online) == 1 && online[0].Seen.After(before)
	})
	c.leave()
	eventually(t, "the reader is gone", func() bool { return len(h.online("t")) == 0 })
}
