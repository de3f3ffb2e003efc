//go:build unix

package messaging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// wirePair returns a wireConn with small buffers, and what reads its other end.
func wirePair(fatal func(...any)) (*wireConn, net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		fatal(err)
	}
	ends := make([]net.Conn, 2)
	for i, fd := range fds {
		if err := errors.Join(syscall.SetNonblock(fd, true), syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096)); err != nil {
			fatal(err)
		}
		f := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(f); err != nil {
			fatal(err)
		}
		if err := f.Close(); err != nil {
			fatal(err)
		}
	}
	raw, err := ends[0].(syscall.Conn).SyscallConn()
	if err != nil {
		fatal(err)
	}
	return &wireConn{Conn: ends[0], raw: raw}, ends[1]
}

// TestWiresKeepFramesWhole has batches, control frames and flushes in any order
// on a connection whose client reads as it likes: the client gets every frame
// that was begun, whole and in order, and no other.
func TestWiresKeepFramesWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, client := wirePair(t.Fatal)
		var want, got []byte
		var try ws.Writer
		n := 0
		read := func(limit int64) {
			if err := client.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(io.LimitReader(client, limit))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		out := func() int64 { // bytes that are in the connection
			w.mu.Lock()
			defer w.mu.Unlock()
			return int64(len(want) - len(w.rest) - len(got))
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				var frames []*frame
				var wire []byte
				for range rapid.IntRange(1, 8).Draw(t, "frames") {
					n++
					f := newFrame(append(fmt.Appendf(nil, "%d ", n), bytes.Repeat([]byte("x"), rapid.IntRange(0, 3000).Draw(t, "size"))...))
					frames, wire = append(frames, f), append(wire, f.wire...)
				}
				owed := w.owes()
				begun, err := w.offer(&try, frames, wire)
				if err != nil || (owed && begun > 0) || (!owed && begun == 0) {
					t.Fatalf("%d of %d begun, owed before: %v, %v", begun, len(frames), owed, err)
				}
				for _, f := range frames[:begun] {
					want = append(want, f.wire...)
				}
			case 2:
				if limit := out(); limit > 0 {
					read(rapid.Int64Range(0, limit).Draw(t, "read"))
				}
			case 3: // what waits, while the client reads all there is
				control := []byte{0x8a, 1, byte(n)}
				done := make(chan error, 1)
				go func() {
					err := w.flush(time.Minute)
					if err == nil {
						err = w.control(ws.OpPong, control[2:], time.Minute)
					}
					done <- err
				}()
				want = append(want, control...)
				read(int64(len(want) - len(got)))
				if err := <-done; err != nil || w.owes() {
					t.Fatal(err)
				}
			}
		}
		done := make(chan error, 1)
		go func() { done <- errors.Join(w.flush(time.Minute), w.Close()) }()
		rest, err := io.ReadAll(client)
		if err := errors.Join(err, <-done, client.Close()); err != nil {
			t.Fatal(err)
		}
		if got = append(got, rest...); !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

// A client that takes nothing within the limit breaks the connection for good.
func TestWiresHaveALimit(t *testing.T) {
	w, client := wirePair(t.Fatal)
	defer func() { _ = errors.Join(w.Close(), client.Close()) }()
	var try ws.Writer
	f := newFrame(make([]byte, 1<<20))
	if begun, err := w.offer(&try, []*frame{f}, f.wire); begun != 1 || err != nil || !w.owes() {
		t.Fatalf("%d begun, %v", begun, err)
	}
	if err := w.flush(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	if err := w.control(ws.OpPong, nil, time.Minute); err == nil {
		t.Error("a control frame was written into the middle of another")
	}
	if begun, err := w.offer(&try, []*frame{f}, f.wire); begun != 0 || err == nil {
		t.Errorf("then %d begun, %v", begun, err)
	}
}
