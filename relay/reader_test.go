package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/internal/ws"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// clientFrame is a frame as clients send it.
func clientFrame(first byte, payload []byte) []byte {
	wire := ws.AppendHead(nil, first, len(payload))
	wire[1] |= 0x80
	mask := [4]byte{0xa5, 0x5a, 0x0f, byte(len(payload))}
	wire = append(wire, mask[:]...)
	for i, b := range payload {
		wire = append(wire, b^mask[i%4])
	}
	return wire
}

// pieces is a connection of which a read returns so many bytes at most.
type pieces struct {
	net.Conn
	left []byte
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(len(p.left), p.most)])
	p.left = p.left[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// listener is a room with a sender, and a reader whose queue keeps everything.
func listener() (sender, reader *peer) {
	r := New(newAccess(), &movedClock{}, Options{Logger: quiet(), MaxMessage: 1 << 20, QueueMessages: 1 << 20, QueueBytes: 1 << 30})
	peers := make([]*peer, 2)
	rm := &room{key: roomKey{"", "a-data"}, space: make(chan struct{}, 1)}
	for i := range peers {
		p := &peer{relay: r, room: rm, gone: make(chan struct{})}
		p.out.queue.maxBytes, p.out.queue.maxMessages = r.opts.QueueBytes, r.opts.QueueMessages
		p.grant.Store(&Grant{Topic: rm.key.topic})
		p.adopt(Grant{Topic: rm.key.topic, Read: true, Write: true})
		peers[i] = p
	}
	rm.peers.Store(&peers)
	return peers[0], peers[1]
}

// However messages are cut into frames, and frames into reads, what goes out is one
// whole frame a message, of its kind and in its place.
func TestReaderLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream, want []byte
		count := rapid.IntRange(1, 12).Draw(t, "messages")
		for i := range count {
			op := rapid.SampledFrom([]byte{ws.OpText, ws.OpBinary}).Draw(t, "op")
			size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(4000, 4200), rapid.IntRange(32<<10-40, 32<<10+40), rapid.IntRange(60_000, 150_000)).Draw(t, "size")
			message := []byte(strings.Repeat(fmt.Sprint(i), size)[:size])
			want = append(ws.AppendHead(want, ws.FinBit|op, size), message...)
			first := op
			for left := message; ; {
				cut := len(left)
				if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
					cut = rapid.IntRange(0, len(left)).Draw(t, "at")
				}
				if rapid.IntRange(0, 5).Draw(t, "ping") == 0 {
					stream = append(stream, clientFrame(ws.FinBit|ws.OpPing, []byte("?"))...)
				}
				if cut == len(left) {
					stream = append(stream, clientFrame(ws.FinBit|first, left)...)
					break
				}
				stream = append(stream, clientFrame(first, left[:cut])...)
				first, left = ws.OpContinuation, left[cut:]
			}
		}
		sender, listens := listener()
		ahead := rapid.IntRange(0, min(len(stream), 5000)).Draw(t, "ahead")
		conn := &pieces{left: slices.Clone(stream[ahead:]), most: rapid.SampledFrom([]int{7, 1000, 9999, 1 << 20}).Draw(t, "read")}
		r := newReader(sender, newIntake(conn, nil, slices.Clone(stream[:ahead]), &sender.count.bytes))
		if err := r.run(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		var got []byte
		for listens.out.queue.n > 0 {
			got = append(got, listens.out.queue.shift()...)
		}
		if string(got) != string(want) {
			t.Fatalf("%d bytes went out, not %d", len(got), len(want))
		}
		if n := sender.count.in.Load(); n != uint64(count) {
			t.Fatalf("%d messages counted, of %d", n, count)
		}
		if n := sender.count.bytes.Load(); n != uint64(len(stream)) {
			t.Fatalf("%d bytes counted, of %d", n, len(stream))
		}
	})
}

// What a client may not send ends its connection with the code for it, and what it
// sent before that has gone out.
func TestBreachesFollowWhatWasGood(t *testing.T) {
	good := clientFrame(ws.FinBit|ws.OpText, []byte("good"))
	unmasked := ws.AppendHead(nil, ws.FinBit|ws.OpText, 0)
	for name, tt := range map[string]struct {
		bad  []byte
		code websocket.StatusCode
	}{
		"unmasked":         {unmasked, websocket.StatusProtocolError},
		"no beginning":     {clientFrame(ws.FinBit|ws.OpContinuation, nil), websocket.StatusProtocolError},
		"two beginnings":   {append(clientFrame(ws.OpText, nil), clientFrame(ws.OpText, nil)...), websocket.StatusProtocolError},
		"a long ping":      {clientFrame(ws.FinBit|ws.OpPing, make([]byte, 126)), websocket.StatusProtocolError},
		"half a code":      {clientFrame(ws.FinBit|ws.OpClose, []byte{3}), websocket.StatusProtocolError},
		"no text":          {clientFrame(ws.FinBit|ws.OpText, []byte{0xff}), websocket.StatusInvalidFramePayloadData},
		"no text, in half": {append(clientFrame(ws.OpText, []byte{0xc3}), clientFrame(ws.FinBit|ws.OpContinuation, []byte{'x'})...), websocket.StatusInvalidFramePayloadData},
		"too long":         {clientFrame(ws.FinBit|ws.OpBinary, make([]byte, 1<<20+1)), websocket.StatusMessageTooBig},
		"too long, in two": {append(clientFrame(ws.OpBinary, make([]byte, 1<<20)), clientFrame(ws.FinBit|ws.OpContinuation, []byte{1})...), websocket.StatusMessageTooBig},
		"a close frame":    {clientFrame(ws.FinBit|ws.OpClose, []byte{3, 232}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			sender, listens := listener()
			stream := slices.Concat(good, good, tt.bad, good)
			r := newReader(sender, newIntake(&pieces{left: stream, most: 5000}, nil, nil, &sender.count.bytes))
			r.finish(r.run())
			sender.unlinger()
			if e := sender.ending.Load(); e == nil || e.code != tt.code {
				t.Errorf("ended with %+v, want %d", e, tt.code)
			}
			if !sender.out.said {
				t.Error("no close frame")
			}
			if n := listens.out.queue.n; n != 2 {
				t.Errorf("%d messages went out, not 2", n)
			}
		})
	}
}

// A message that has begun has a minute to end; a silent connection has all day, and
// a new message a minute of its own.
func TestSec29_MessagesAreNotDribbled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{PingEvery: 24 * time.Hour})
		host := r.member(t, "t", "host", "rw")
		ada := r.member(t, "t", "ada", "r")
		<-time.After(2 * messageWait)
		for range 3 {
			w, err := host.Writer(t.Context(), websocket.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, strings.Repeat("x", 9000)); err != nil {
				t.Fatal(err)
			}
			<-time.After(messageWait - time.Second)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, got := wstest.Read(t, ada); len(got) != 9000 {
				t.Errorf("%d bytes", len(got))
			}
		}
		w, err := host.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, strings.Repeat("x", 9000)); err != nil {
			t.Fatal(err)
		}
		<-time.After(messageWait + linger)
		if n := r.Stats().Peers; n != 1 {
			t.Errorf("%d are there, with one who dribbles", n)
		}
	})
}
