package gateway_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// The catalogue bounds the messages of a stream: of hosts on the connections that
// are open, of people from their next launch on.
func TestSec30_StreamBoundsItsMessages(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	b := ada.book("pend00-everyone")
	code := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	opened := func() (host, conn *websocket.Conn) {
		uri := call[gateway.TicketView](l.browser(), 200, "POST", "/session/pend00-data", nil, authorization(code)).URI
		return wstest.Dial(t, ada.client, uri, nil), ada.stream(ada.launch(b), "data")
	}
	passes := func(from, to *websocket.Conn, size int) {
		t.Helper()
		wstest.Write(t, from, websocket.MessageBinary, strings.Repeat("x", size))
		if _, got := wstest.Read(t, to); len(got) != size {
			t.Errorf("got %d bytes, want %d", len(got), size)
		}
	}
	host, conn := opened()
	passes(conn, host, 2049)
	passes(host, conn, 2049)
	root.applies("experiments: {pend00: {description: pend00, topic_stub: pend00, streams: [{for: data, scopes: [read, write], max_message_bytes: 2048}, {for: video, scopes: [read]}]}}")
	var reader sync.WaitGroup
	reader.Go(func() {
		if closed := wstest.Closed(t, host, deadline); closed.Code != websocket.StatusMessageTooBig {
			t.Errorf("closed with %v", closed)
		}
	})
	l.eventually("the new bound to reach the host", func() bool {
		return host.Write(t.Context(), websocket.MessageBinary, []byte(strings.Repeat("x", 2049))) != nil
	})
	reader.Wait()
	host, conn = opened()
	passes(conn, host, 2048)
	passes(host, conn, 2048)
	wstest.Write(t, conn, websocket.MessageBinary, strings.Repeat("x", 2049))
	if closed := wstest.Closed(t, conn, deadline); closed.Code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", closed)
	}
}
