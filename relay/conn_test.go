package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that takes a byte now and then is slow; one that takes none for
// the whole wait is broken.
func TestWritesWaitForProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		w := newWire(server, 10*time.Second)
		defer w.Close()
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
		n, err := w.Write([]byte("0123456789"))
		if n != 8 || !errors.Is(err, os.ErrDeadlineExceeded) || !w.broken.Load() {
			t.Errorf("wrote %d: %v", n, err)
		}
		if took := time.Since(begun); took < 58*time.Second || took > 69*time.Second {
			t.Errorf("gave up after %v", took)
		}
		reader.Wait()
	})
}

func TestCorkGathersWholeFrames(t *testing.T) {
	client, server := net.Pipe()
	w := newWire(server, 10*time.Second)
	writes := make(chan string)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(writes)
		buf := make([]byte, 4*batchBytes)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			writes <- string(buf[:n])
		}
	})
	var writer sync.WaitGroup
	large := strings.Repeat("L", batchBytes+1)
	writer.Go(func() {
		defer w.Close()
		w.cork()
		for _, part := range []string{"a", "b", "c", large, "d"} {
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
		}
		if err := w.uncork(); err != nil {
			t.Errorf("uncork: %v", err)
		}
		if _, err := w.Write([]byte("e")); err != nil {
			t.Errorf("write: %v", err)
		}
	})
	var got []string
	for s := range writes {
		got = append(got, s)
	}
	writer.Wait()
	reader.Wait()
	if want := []string{"abc", large, "d", "e"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%d writes", len(got))
	}
	if n := w.out.Load(); n != uint64(len(large)+4) {
		t.Errorf("%d bytes of messages counted", n)
	}
}

// What the HTTP server has read beyond the handshake is not lost.
func TestBytesReadAheadComeFirst(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	w := newWire(server, time.Second)
	w.head = []byte("ahead")
	defer w.Close()
	buf := make([]byte, 3)
	var got strings.Builder
	for got.Len() < 5 {
		n, err := w.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
	}
	if got.String() != "ahead" {
		t.Errorf("got %q", got.String())
	}
}

// A connection that is closed while it gathers still says its last word, unless
// the other side does not listen.
func TestCloseSendsTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := newWire(server, 10*time.Second)
		w.cork()
		if _, err := w.Write([]byte("bye")); err != nil {
			t.Fatal(err)
		}
		var closer sync.WaitGroup
		closer.Go(func() {
			if err := w.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		if got, err := io.ReadAll(client); err != nil || string(got) != "bye" {
			t.Errorf("read %q, %v", got, err)
		}
		closer.Wait()

		_, server = net.Pipe()
		w = newWire(server, time.Hour)
		var writer sync.WaitGroup
		writer.Go(func() {
			if _, err := w.Write([]byte("nobody reads this")); err == nil {
				t.Error("written")
			}
		})
		synctest.Wait()
		begun := time.Now()
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(begun); took > flushWait {
			t.Errorf("took %v", took)
		}
		writer.Wait()
	})
}
