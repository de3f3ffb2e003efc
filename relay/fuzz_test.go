package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// The forms of Authorization that stand for one code give that one; whatever else
// there is gives none, and never a part of it.
func FuzzAuthorization(f *testing.F) {
	for _, value := range []string{"lodge_exp_x", "Bearer lodge_exp_x", "bearer   lodge_exp_x  ", "Bearer", "Bearer ", "Basic x", "a b", "\t", "Bearer\tx", "x\x00y", "Bearer Bearer x"} {
		f.Add(value, false)
	}
	f.Add("lodge_exp_x", true)
	f.Fuzz(func(t *testing.T, value string, twice bool) {
		req := httptest.NewRequest(http.MethodPost, "/session/t", nil)
		req.Header["Authorization"] = []string{value}
		if twice {
			req.Header["Authorization"] = []string{value, value}
		}
		code, err := codeOf(req)
		if err != nil {
			if code != "" || lodge.CodeOf(err) != lodge.CodeUnauthenticated {
				t.Errorf("%q: %q, %v", value, code, err)
			}
			return
		}
		switch {
		case twice, code == "", len(code) > maxCode, strings.ContainsAny(code, " \t"), !strings.HasSuffix(strings.TrimSpace(value), code):
			t.Errorf("%q gave %q", value, code)
		}
		for _, form := range []string{code, "Bearer " + code} {
			req.Header["Authorization"] = []string{form}
			if again, err := codeOf(req); again != code && len(form) <= maxCode {
				t.Errorf("%q gave %q, then %q, %v", value, code, again, err)
			}
		}
	})
}

// An address counts as itself however it is written, with a port or without.
func FuzzNetworkOfAnAddress(f *testing.F) {
	for _, address := range []string{"192.0.2.7", "192.0.2.7:80", "[2001:db8::1%eth0]:443", "2001:db8::1", "::ffff:192.0.2.7", "", "nonsense", "[::1]"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got := network(address)
		if !strings.HasPrefix(got, "address:") {
			t.Errorf("%q is %q", address, got)
		}
		if host, _, err := net.SplitHostPort(address); err == nil && strings.Count(host, ":") < 2 && got != "address:"+address && network(host) != got {
			t.Errorf("%q is %q, %q is %q", address, got, host, network(host))
		}
	})
}

// Whatever a reader of the statistics sends, it is answered when that asks for an
// update, and otherwise counted and nothing else.
func FuzzStatsCommand(f *testing.F) {
	for _, command := range []string{`{"cmd":"update"}`, `{"cmd":"UPDATE"}`, `{"CMD":"update"}`, `{"cmd":["update"]}`, `[]`, `null`, ``, `{"cmd":"update"} x`, `{"cmd":"update","cmd":"x"}`} {
		f.Add([]byte(command))
	}
	r := New(newAccess(), lodge.SystemClock{}, Options{Logger: quiet()})
	f.Fuzz(func(t *testing.T, command []byte) {
		p := r.newPeer(httptest.NewRequest(http.MethodGet, "/session/stats", nil), Grant{Tenant: lodge.DefaultTenant, Topic: StatsTopic, Read: true})
		defer p.cancel()
		p.room = &room{key: roomKey{lodge.DefaultTenant, StatsTopic}}
		p.reads.Store(true)
		p.command(command)
		var c struct{ Cmd string }
		want := json.Unmarshal(command, &c) == nil && c.Cmd == "update"
		if answered := p.out.queue.n == 1; answered != want || p.counts().Dropped.Refused != map[bool]uint64{false: 1}[want] {
			t.Errorf("%q: answered %v, counts %+v", command, answered, p.counts())
		}
	})
}

// fuzzed is a relay on pipes, and a way to speak to it byte by byte.
type fuzzed struct {
	*rig
	dial  func(context.Context, string, string) (net.Conn, error)
	codes atomic.Int64
}

const fuzzedOrigin = "https://ui.example"

func newFuzzed(f *testing.F) *fuzzed {
	r := onPipes(f, Options{MaxMessage: 4 << 10, MaxPerPerson: 1 << 20, OriginAllowed: func(req *http.Request) bool { return req.Header.Get("Origin") == fuzzedOrigin }})
	return &fuzzed{rig: r, dial: r.client.Transport.(*http.Transport).DialContext}
}

// raw opens a connection that lasts for so long.
func (z *fuzzed) raw(t *testing.T, life time.Duration) net.Conn {
	t.Helper()
	conn, err := z.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(life)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ticket returns the path of an address on a topic, for a code of its own.
func (z *fuzzed) ticket(t *testing.T, topic string) string {
	t.Helper()
	code := fmt.Sprint("c", z.codes.Add(1))
	z.access.allow(code, topic, true, true, time.Time{})
	_, path, _ := strings.Cut(z.uri(t, topic, code), "//")
	return path[strings.IndexByte(path, '/'):]
}

// A handshake is answered with a status that says what is wrong with it, and no
// socket is given to a page whose origin is not listed, however the headers are
// written.
func FuzzHandshake(f *testing.F) {
	good := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, headers := range []string{
		good, good + "Origin: " + fuzzedOrigin + "\r\n", good + "Origin: https://evil.example\r\n", good + "Origin: null\r\n", good + "Origin:\r\n",
		good + "Origin: " + fuzzedOrigin + "\r\nOrigin: https://evil.example\r\n", good + "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		good + "Content-Length: 5\r\n", good + "Transfer-Encoding: chunked\r\n", strings.Replace(good, "13", "8", 1), "Upgrade: websocket\r\n", "",
		strings.Replace(good, "websocket", "h2c, WebSocket", 1), good + "Forwarded: for=\"[::1]\"\r\nX-Forwarded-For: 1.2.3.4, x\r\n", good + "\x00: x\r\n",
	} {
		f.Add(headers)
	}
	z := newFuzzed(f)
	f.Fuzz(func(t *testing.T, headers string) {
		conn := z.raw(t, time.Second)
		defer func() { _ = conn.Close() }() // whatever is left of it
		text := "GET " + z.ticket(t, "fuzz-data") + " HTTP/1.1\r\nHost: lodge.test\r\n" + headers + "\r\n"
		go func() { _, _ = conn.Write([]byte(text)) }() // the server may not care for all of it
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return // the request has not ended: the server waits for the rest of it
		}
		_ = resp.Body.Close()
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			if resp.StatusCode < 400 || resp.StatusCode == http.StatusInternalServerError {
				t.Errorf("%q is no request, and was answered %d", headers, resp.StatusCode)
			}
			return
		}
		origins := req.Header.Values("Origin")
		switch {
		case resp.StatusCode == http.StatusInternalServerError:
			t.Errorf("%q: 500", headers)
		case resp.StatusCode == http.StatusSwitchingProtocols && len(origins) > 0 && !slices.Equal(origins, []string{fuzzedOrigin}):
			t.Errorf("%q was let in", headers)
		case resp.StatusCode == http.StatusSwitchingProtocols && resp.Header.Get("Sec-WebSocket-Extensions") != "":
			t.Errorf("%q: extensions %q", headers, resp.Header.Get("Sec-WebSocket-Extensions"))
		}
	})
}

// Whatever bytes a client sends once it is connected, the others get whole messages
// and nothing else, no larger than they may be and text only where it is text; and
// the relay works on.
func FuzzFrames(f *testing.F) {
	frame := func(first byte, payload string) []byte { return clientFrame(first, []byte(payload)) }
	text, binary, ping := byte(ws.FinBit|ws.OpText), byte(ws.FinBit|ws.OpBinary), byte(ws.FinBit|ws.OpPing)
	for _, bytes := range [][]byte{
		frame(text, "hello"), frame(binary, "\x00\xff"), slices.Concat(frame(text, "a"), frame(binary, ""), frame(text, "c")),
		slices.Concat(frame(ws.OpText, "one "), frame(ping, "between"), frame(ws.OpContinuation, "two "), frame(ws.FinBit, "three")),
		frame(text, "\xff\xfe"), slices.Concat(frame(ws.OpText, "\xc3"), frame(ws.FinBit, "\xa9")), frame(binary, strings.Repeat("x", 4096)), frame(binary, strings.Repeat("x", 4097)),
		frame(ws.FinBit|ws.OpClose, "\x03\xe8bye"), frame(ws.FinBit|ws.OpClose, "\x03"), frame(ws.FinBit|ws.OpPong, strings.Repeat("p", 125)), frame(ws.OpPing, ""), frame(ws.FinBit, ""),
		{ws.FinBit | ws.OpText, 1, 'x'}, {ws.FinBit | ws.OpBinary, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, {0xf1, 0x80, 0, 0, 0, 0}, {},
	} {
		f.Add(bytes)
	}
	z := newFuzzed(f)
	host := z.member(f, "fuzz-data", "host", "w")
	host.CloseRead(f.Context()) // it is sent nothing but pings
	viewer := z.member(f, "fuzz-data", "viewer", "r")
	number := 0
	f.Fuzz(func(t *testing.T, sent []byte) {
		number++
		probe := fmt.Sprint("probe ", number)
		conn := z.raw(t, 20*time.Second)
		request := "GET " + z.ticket(t, "fuzz-data") + " HTTP/1.1\r\nHost: lodge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		// What it is told is read, or the relay would wait for it.
		told := make(chan struct{})
		go func() {
			defer close(told)
			_, _ = in.WriteTo(&bytes.Buffer{})
		}()
		_, _ = conn.Write(sent) // it may be cut off amid it
		_ = conn.Close()        // or be so already
		<-told
		wstest.Eventually(t, "the client to be gone", func() bool { return z.Stats().Peers == 2 })
		wstest.Write(t, host, websocket.MessageText, probe)
		for {
			kind, got := wstest.Read(t, viewer)
			if kind == websocket.MessageText && got == probe {
				break
			}
			if len(got) > 4<<10 || kind == websocket.MessageText && !utf8.ValidString(got) {
				t.Errorf("%x made a message of %d bytes: %.50q", sent, len(got), got)
			}
		}
	})
}
