package ws

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants it
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// acceptGUID is what RFC 6455 §4.2.2 has appended to a client's key.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Check compares a request with RFC 6455 §4.2.1. It returns the status that it is
// refused with and why, or 0; headers that belong to the refusal are set on w.
// Origin is not looked at.
func Check(w http.ResponseWriter, r *http.Request) (status int, why string) {
	keys := r.Header.Values("Sec-WebSocket-Key")
	switch {
	case !r.ProtoAtLeast(1, 1) || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		return http.StatusUpgradeRequired, "open this address as a websocket"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "a websocket is opened with GET"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return http.StatusUpgradeRequired, "this server speaks version 13 of websockets"
	case len(keys) != 1:
		return http.StatusBadRequest, "Sec-WebSocket-Key must be there once"
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64"
	}
	return 0, ""
}

// hasToken reports whether a header that is a list has a token, in whatever case.
func hasToken(h http.Header, name, token string) bool {
	for _, list := range h.Values(name) {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}

// Upgrade answers a request that was checked and takes its connection over, with
// what the client has sent already. The server's buffers are let go of once the
// handler has returned.
func Upgrade(w http.ResponseWriter, r *http.Request) (conn net.Conn, unread []byte, err error) {
	sum := sha1.Sum([]byte(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")) + acceptGUID)) //nolint:gosec // as above: it keeps no secret
	h := w.Header()
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, server, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("ws: %w", err)
	}
	if n := server.Reader.Buffered(); n > 0 {
		ahead, _ := server.Reader.Peek(n) // they are there
		unread = append(unread, ahead...)
	}
	return conn, unread, nil
}
