package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

// An experiment's page as practable's are: its address was made from a template
// with {{streams}} and {{exp}}; it asks for each stream at its url with its token,
// across origins, and opens what it is answered.
func TestCompatPage(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		end := time.Now().Add(time.Hour).Unix()
		var streams []map[string]any
		topics := map[string]string{"data": compatTopic, "video": "pend00-video"}
		for _, use := range []string{"data", "video"} {
			streams = append(streams, map[string]any{
				"for": use, "url": n.at + "/session/" + topics[use], "token": issue(wanted{booking: "b1", topic: topics[use], scopes: []string{"read", "write"}}),
				"connection_type": "session", "topic": topics[use],
			})
		}
		encoded, err := json.Marshal(streams)
		if err != nil {
			t.Fatal(err)
		}
		address := strings.NewReplacer("{{streams}}", url.QueryEscape(string(encoded)), "{{exp}}", strconv.FormatInt(end, 10)).
			Replace(compatOrigin + "/pendulum/?streams={{streams}}&exp={{exp}}")

		// From here on as the page does, which knows its own address.
		at, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if exp, err := strconv.ParseInt(at.Query().Get("exp"), 10, 64); err != nil || exp <= time.Now().Unix() {
			t.Fatalf("exp is %q", at.Query().Get("exp"))
		}
		var list []struct{ For, URL, Token string }
		if err := json.Unmarshal([]byte(at.Query().Get("streams")), &list); err != nil || len(list) != 2 {
			t.Fatalf("streams: %v, %v", list, err)
		}
		for _, stream := range list {
			for origin, listed := range map[string]bool{compatOrigin: true, "https://evil.example": false} {
				preflight := compatAs(t, n, http.MethodOptions, stream.URL, origin, http.Header{"Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"}})
				answer := compatAs(t, n, http.MethodPost, stream.URL, origin, http.Header{"Authorization": {stream.Token}})
				for _, h := range []http.Header{preflight.header, answer.header} {
					if got := h.Get("Access-Control-Allow-Origin"); (got == origin) != listed || !listed && got != "" || h.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s is answered %v", origin, h)
					}
				}
				if !listed {
					continue
				}
				if !strings.Contains(strings.ToLower(preflight.header.Get("Access-Control-Allow-Headers")), "authorization") || answer.status != http.StatusOK {
					t.Fatalf("%d %s, %v", answer.status, answer.body, preflight.header)
				}
				var got struct{ URI string }
				if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
					t.Fatal(err)
				}
				page := wstest.Dial(t, n.client, got.URI, http.Header{"Origin": {origin}})
				host := n.connect(t, topics[stream.For], issue(wanted{host: true, topic: topics[stream.For], scopes: []string{"read", "write"}}))
				wstest.Write(t, host, websocket.MessageBinary, "\x00picture")
				if kind, body := wstest.Read(t, page); kind != websocket.MessageBinary || body != "\x00picture" {
					t.Errorf("%s: %v %q", stream.For, kind, body)
				}
				wstest.Write(t, page, websocket.MessageText, `{"cmd":"kick"}`)
				if kind, body := wstest.Read(t, host); kind != websocket.MessageText || body != `{"cmd":"kick"}` {
					t.Errorf("%s: %v %q", stream.For, kind, body)
				}
			}
		}
	})
}

// compatAs calls as a page of an origin does.
func compatAs(t *testing.T, n *compatNode, method, address, origin string, header http.Header) compatAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	req.Header.Set("Origin", origin)
	return n.answered(t, req)
}

// Topics with slashes and percent signs carry messages as others do, each its own.
func TestCompatTopics(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		conns := map[string][2]*websocket.Conn{}
		for _, topic := range []string{"lab/a/b-data", "lab/a", "a%b_c", "a%25b_c", "UPPER-0"} {
			path := strings.ReplaceAll(topic, "%", "%25")
			rights := []string{"read", "write"}
			conns[topic] = [2]*websocket.Conn{
				n.connect(t, path, issue(wanted{host: true, topic: topic, scopes: rights})), n.connect(t, path, issue(wanted{booking: "b1", topic: topic, scopes: rights})),
			}
		}
		for topic, pair := range conns {
			wstest.Write(t, pair[0], websocket.MessageText, topic)
		}
		for topic, pair := range conns {
			if _, got := wstest.Read(t, pair[1]); got != topic {
				t.Errorf("on %s came %q", topic, got)
			}
		}
	})
}
