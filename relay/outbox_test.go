package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// A connection that takes a byte now and then is slow; one that takes none for
// the whole wait is broken.
func TestWritesWaitForProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		o := outbox{wait: 10 * time.Second, conn: server}
		var reader sync.WaitGroup
		reader.Go(func() {
			for range 8 {
				<-time.After(6 * time.Second)
				if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
					t.Errorf("read: %v", err)
				}
			}
		})
		begun := time.Now()
		err := o.write(net.Buffers{[]byte("01234"), []byte("56789")})
		if n := o.bytes.Load(); n != 8 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d: %v", n, err)
		}
		if took := time.Since(begun); took < 58*time.Second || took > 69*time.Second {
			t.Errorf("gave up after %v", took)
		}
		reader.Wait()
	})
}

// box is a peer with nothing but an outbox, on a TCP connection.
func box(t *testing.T, maxBytes, maxMessages int) (p *peer, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p = &peer{room: &room{space: make(chan struct{}, 1)}, gone: make(chan struct{})}
	p.out.wait = time.Minute
	p.out.queue.maxBytes, p.out.queue.maxMessages = maxBytes, maxMessages
	p.openOutbox(conn)
	t.Cleanup(func() {
		_ = dialled.Close() // some tests have closed it
		p.lost()
		p.out.join()
		p.unlinger()
	})
	return p, dialled.(*net.TCPConn)
}

// frames reads the frames of a server until there are n.
func frames(t *testing.T, from io.Reader, n int) (ops []byte, payloads []string) {
	t.Helper()
	for range n {
		var head [2]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			t.Fatalf("after %d frames: %v", len(ops), err)
		}
		size := uint64(head[1])
		switch head[1] {
		case 126:
			var long [2]byte
			_, _ = io.ReadFull(from, long[:]) // the payload fails then
			size = uint64(binary.BigEndian.Uint16(long[:]))
		case 127:
			var long [8]byte
			_, _ = io.ReadFull(from, long[:]) // the same
			size = binary.BigEndian.Uint64(long[:])
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(from, payload); err != nil {
			t.Fatalf("frame %d of %d bytes: %v", len(ops), size, err)
		}
		ops, payloads = append(ops, head[0]), append(payloads, string(payload))
	}
	return ops, payloads
}

// What a connection cannot take waits, and comes in order and whole, whatever is
// sent between: pings, and at last the close frame behind what is out in part.
func TestWhatWaitsComesInOrder(t *testing.T) {
	p, client := box(t, 64<<20, 1000)
	if err := client.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var w ws.Writer
	large := strings.Repeat("x", 1<<20)
	sent := 0
	for ; sent < 200; sent++ {
		b := batchOf(ws.OpBinary, []byte(large))
		if !p.deliver(&w, b) {
			t.Fatal("not delivered")
		}
		p.out.mu.Lock()
		waits := p.out.flushing
		p.out.mu.Unlock()
		if waits && sent > 3 {
			break
		}
	}
	// One batch of several, none of which may be written before its turn.
	b := &batch{}
	for _, word := range []string{"one", "two", "three"} {
		b.bytes = append(ws.AppendHead(b.bytes, ws.FinBit|ws.OpText, len(word)), word...)
		b.add(len(b.bytes))
	}
	p.deliver(&w, b)
	clear(b.bytes) // the sender's memory is its own again
	p.sendControl(ws.OpPong, []byte("pong"))

	ops, payloads := frames(t, client, sent+1+3+1)
	pong := slices.Index(ops, byte(ws.FinBit|ws.OpPong))
	if pong < 0 || payloads[pong] != "pong" {
		t.Fatal("no pong")
	}
	payloads = slices.Delete(payloads, pong, pong+1)
	for i, got := range payloads[:sent+1] {
		if got != large {
			t.Errorf("message %d has %d bytes", i, len(got))
		}
	}
	if got := strings.Join(payloads[sent+1:], " "); got != "one two three" {
		t.Errorf("got %q", got)
	}
	// Now that all has gone, the next is written where it is, and a close frame is
	// the last that comes, once.
	p.deliver(&w, batchOf(ws.OpText, []byte("at once")))
	p.sayClose(ws.AppendClose(nil, StatusGoingAway, "bye"))
	p.sayClose(ws.AppendClose(nil, StatusRevoked, "again"))
	p.sendControl(ws.OpPong, []byte("late"))
	p.out.join()
	if err := p.out.conn.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(client)
	if want := "\x81\x07at once\x88\x05\x03\xe9bye"; err != nil || string(rest) != want {
		t.Errorf("got %q, %v; want %q", rest, err, want)
	}
	if n := p.out.messages.Load(); n != uint64(sent+1+3+1) {
		t.Errorf("%d messages counted, not %d", n, sent+5)
	}
}

// A close frame comes behind the message that is out in part, and before those
// that were not begun; they are counted.
func TestCloseFrameFollowsWhatIsOutInPart(t *testing.T) {
	p, client := box(t, 64<<20, 1000)
	if err := client.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var w ws.Writer
	large := strings.Repeat("x", 4<<20)
	const messages = 10
	for range messages {
		p.deliver(&w, batchOf(ws.OpBinary, []byte(large)))
	}
	p.shut(StatusRevoked, "Cancelled.")
	p.unlinger() // a test's machine may take its time
	if !p.deliver(&w, batchOf(ws.OpText, []byte("too late"))) {
		t.Error("a closed outbox takes everything, and keeps nothing")
	}
	whole := 0
	for {
		ops, payloads := frames(t, client, 1)
		if ops[0] == ws.FinBit|ws.OpClose {
			if payloads[0] != "\x11\x33Cancelled." {
				t.Errorf("close frame %q", payloads[0])
			}
			break
		}
		if payloads[0] != large {
			t.Fatalf("a message of %d bytes", len(payloads[0]))
		}
		whole++
	}
	if left := int(p.count.left.Load()); whole == 0 || whole+left != messages {
		t.Errorf("%d came and %d are counted, of %d", whole, left, messages)
	}
}

// Before a connection is opened nothing is written, and nothing lost.
func TestOutboxBeforeItIsOpened(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	p := &peer{room: &room{space: make(chan struct{}, 1)}, gone: make(chan struct{})}
	p.out.wait, p.out.queue.maxBytes, p.out.queue.maxMessages = time.Minute, 1000, 10
	p.deliver(&ws.Writer{}, batchOf(ws.OpText, []byte("early")))
	p.out.sever() // there is nothing to cut
	p.openOutbox(server)
	if _, got := frames(t, client, 1); got[0] != "early" {
		t.Errorf("got %q", got)
	}
	p.out.join()
}

// A client that asks for more answers than it takes gets fewer.
func TestSec30_PongsThatWaitAreBounded(t *testing.T) {
	p := &peer{room: &room{space: make(chan struct{}, 1)}}
	for range 1000 {
		p.sendControl(ws.OpPong, make([]byte, ws.MaxControl))
	}
	if n := len(p.out.control); n == 0 || n > maxControl {
		t.Errorf("%d bytes wait", n)
	}
}
