package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What a request hides in its body, to be taken for a request by whoever reads its
// length otherwise (RFC 9112 section 11.2).
const hidden = "GET /hidden HTTP/1.1\r\nHost: " + labHost + "\r\n\r\n"

// smuggled are requests whose length can be read in two ways, whole in both.
var smuggled = map[string]string{
	"both lengths, hidden behind the chunks": post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden,
	"both lengths, hidden in a chunk":        post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + chunk(hidden) + "0\r\n\r\n",
	"an encoding that is none":               post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding: xchunked\r\n") + "0\r\n\r\n" + hidden,
	"a space before the colon":               post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding : chunked\r\n") + "0\r\n\r\n" + hidden,
	"a vertical tab before the encoding":     post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding:\vchunked\r\n") + "0\r\n\r\n" + hidden,
	"two encodings":                          post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "0\r\n\r\n" + hidden,
	"a folded encoding":                      post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding:\r\n chunked\r\n") + "0\r\n\r\n" + hidden,
	"a field that ends in a line feed":       post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nX: y\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden,
	"two lengths":                            post("Content-Length: 0\r\nContent-Length: "+length(hidden)+"\r\n") + hidden,
	"a list of lengths":                      post("Content-Length: 0, "+length(hidden)+"\r\n") + hidden,
	"a length with a sign":                   post("Content-Length: +"+length(hidden)+"\r\n") + hidden,
	"a chunk longer than numbers are":        post("Transfer-Encoding: chunked\r\n") + "10000000000000000\r\n\r\n" + hidden + "0\r\n\r\n",
	"an extension that ends in a line feed":  post("Transfer-Encoding: chunked\r\n") + "2;\nxx\r\n" + length("x") + "\r\n0\r\n\r\n" + hidden + "0\r\n\r\n",
	"chunks in HTTP/1.0":                     strings.Replace(post("Content-Length: "+length("0\r\n\r\n"+hidden)+"\r\nTransfer-Encoding: chunked\r\n"), "HTTP/1.1", "HTTP/1.0", 1) + "0\r\n\r\n" + hidden,
}

func post(fields string) string {
	return "POST /first HTTP/1.1\r\nHost: " + labHost + "\r\n" + fields + "\r\n"
}

func length(body string) string { return fmt.Sprint(len(body)) }
func chunk(body string) string  { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }

// A mirror answers with the path that it was asked for, once it has the whole request,
// in Lodge's place.
type mirror struct {
	mu   sync.Mutex
	seen []string // guarded by mu
}

func (m *mirror) answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "that was not all", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.seen = append(m.seen, r.URL.Path)
	m.mu.Unlock()
	w.Header().Set("X-Saw", r.URL.Path)
}

// took reports how often a path was asked for since the last call.
func (m *mirror) took(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen
	m.seen = nil
	n := 0
	for _, one := range seen {
		if one == path {
			n++
		}
	}
	return n
}

// No request comes through a proxy inside of another: what Lodge takes for a request,
// whoever sent it was answered for, and the next one gets their own answer.
func TestSec46_NoRequestIsSmuggledThroughAProxy(t *testing.T) {
	eachCarrier(t, func(t *testing.T, l *protectedLab) {
		m := &mirror{}
		l.lodge.set(m.answer)
		for name, attack := range smuggled {
			got := l.exchange(attack + "GET /last HTTP/1.1\r\nHost: " + labHost + "\r\nConnection: close\r\n\r\n")
			if took, answered := m.took("/hidden"), strings.Count(got, "/hidden\r\n"); took != answered {
				t.Errorf("%s: the hidden request reached Lodge %d times and was answered %d times: %q", name, took, answered, got)
			}
			if saw := l.ask("GET", "/next").header.Get("X-Saw"); saw != "/next" {
				t.Errorf("%s: who came next was answered about %q", name, saw)
			}
		}
		for name, fields := range map[string][]hpack.HeaderField{
			"a shorter length":        {{Name: "content-length", Value: "0"}},
			"an encoding":             {{Name: "transfer-encoding", Value: "chunked"}},
			"a field within a field":  {{Name: "x", Value: "y\r\nTransfer-Encoding: chunked"}},
			"a field within a name":   {{Name: "x: y\r\ntransfer-encoding", Value: "chunked"}},
			"a request within a path": {{Name: ":path", Value: "/first HTTP/1.1\r\nHost: " + labHost + "\r\n\r\nGET /hidden"}},
		} {
			l.overHTTP2(fields, "0\r\n\r\n"+hidden)
			if took := m.took("/hidden"); took != 0 {
				t.Errorf("HTTP/2, %s: the hidden request reached Lodge", name)
			}
			if saw := l.ask("GET", "/next").header.Get("X-Saw"); saw != "/next" {
				t.Errorf("HTTP/2, %s: who came next was answered about %q", name, saw)
			}
		}
	})
}

// dial opens a connection to the proxy.
func (l *protectedLab) dial(protocols ...string) *tls.Conn {
	l.Helper()
	conn, err := tls.Dial("tcp", l.proxy, &tls.Config{RootCAs: l.trust, ServerName: labHost, NextProtos: protocols})
	l.must(err)
	l.must(conn.SetDeadline(time.Now().Add(deadline)))
	return conn
}

// exchange sends bytes and returns all that comes back until the proxy hangs up, which
// it may do at any byte: what it refuses it need not read.
func (l *protectedLab) exchange(request string) string {
	l.Helper()
	conn := l.dial()
	defer func() { _ = conn.Close() }() // the answer was read
	_, _ = io.WriteString(conn, request)
	got, err := io.ReadAll(conn)
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		l.Fatalf("%q: neither answered nor refused: %q", request, got)
	}
	return string(got)
}

// overHTTP2 sends a POST with further fields and a body, and waits for the end of its
// stream or of the connection.
func (l *protectedLab) overHTTP2(fields []hpack.HeaderField, body string) {
	l.Helper()
	conn := l.dial("h2")
	defer func() { _ = conn.Close() }() // the answer was read
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	all := []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: labHost}}
	if fields[0].Name != ":path" {
		all = append(all, hpack.HeaderField{Name: ":path", Value: "/first"})
	}
	for _, field := range append(all, fields...) {
		l.must(encoder.WriteField(field))
	}
	_, err := io.WriteString(conn, http2.ClientPreface)
	l.must(err)
	frames := http2.NewFramer(conn, conn)
	l.must(frames.WriteSettings())
	l.must(frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}))
	err = frames.WriteData(1, true, []byte(body))
	for err == nil { // else it hung up
		var frame http2.Frame
		if frame, err = frames.ReadFrame(); err != nil {
			break
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = frames.WriteSettingsAck()
			}
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			return
		default:
			if frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) {
				return
			}
		}
	}
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		l.Fatalf("HTTP/2, %v: neither answered nor refused", fields)
	}
}
