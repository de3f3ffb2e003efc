package bridge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

// packets are transport stream packets that can be told apart.
func packets(n int) []byte {
	var b []byte
	for i := range n {
		packet := bytes.Repeat([]byte{byte(i)}, packetSize)
		packet[0] = syncByte
		b = append(b, packet...)
	}
	return b
}

// post sends a body as ffmpeg does and returns the answer's status when there is
// one.
func (r *rig) post(t *testing.T, topic string, body io.Reader) <-chan int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, r.local.URL+"/ts/"+topic, body)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		res, err := r.local.Client().Do(req)
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close() // its status is all that matters
		answered <- res.StatusCode
	}()
	return answered
}

func TestTransportStreamIsCutBetweenPackets(t *testing.T) {
	r := start(t, "good", Stream{Topic: "pend00-video"})
	r.connected(t)
	ada := r.viewer(t, "pend00-video")
	body, ffmpeg := io.Pipe()
	answered := r.post(t, "pend00-video", body)
	stream := packets(50)
	var got []byte
	// Chunks that end anywhere.
	for _, cut := range [][2]int{{0, 100}, {100, 188}, {188, 1000}, {1000, 1001}, {1001, len(stream)}} {
		if _, err := ffmpeg.Write(stream[cut[0]:cut[1]]); err != nil {
			t.Fatal(err)
		}
		for whole := cut[1] / packetSize * packetSize; len(got) < whole; {
			_, message := wstest.Read(t, ada)
			if len(message)%packetSize != 0 || len(message) > packetsAtOnce*packetSize {
				t.Fatalf("a message of %d bytes", len(message))
			}
			got = append(got, message...)
		}
	}
	if !bytes.Equal(got, stream) {
		t.Error("the stream was changed")
	}
	if err := ffmpeg.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusNoContent {
		t.Errorf("status %d, want 204", status)
	}
	wstest.Eventually(t, "no source any more", func() bool { return !r.Status()[0].Source })
}

func TestNewerTransportStreamReplacesTheOlder(t *testing.T) {
	r := start(t, "good", Stream{Topic: "pend00-video"})
	r.connected(t)
	ada := r.viewer(t, "pend00-video")
	hung, first := io.Pipe() // as a connection whose other side has lost power
	older := r.post(t, "pend00-video", hung)
	if _, err := first.Write(packets(1)); err != nil {
		t.Fatal(err)
	}
	wstest.Read(t, ada)
	body, second := io.Pipe()
	newer := r.post(t, "pend00-video", body)
	if _, err := second.Write(packets(2)[packetSize:]); err != nil {
		t.Fatal(err)
	}
	if _, message := wstest.Read(t, ada); message[1] != 1 {
		t.Errorf("packet %d came", message[1])
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-older; status != http.StatusConflict && status != 0 { // 0: cut while it was sending
		t.Errorf("the older one got %d, want 409", status)
	}
	if !r.Status()[0].Source {
		t.Error("the newer one is not the source")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-newer; status != http.StatusNoContent {
		t.Errorf("the newer one got %d, want 204", status)
	}
}

func TestOtherThingsAreNoTransportStream(t *testing.T) {
	r := start(t, "good", Stream{Topic: "pend00-video"})
	r.connected(t)
	if status := <-r.post(t, "pend00-video", strings.NewReader(strings.Repeat("JPEG", 200))); status != http.StatusUnsupportedMediaType {
		t.Errorf("status %d, want 415", status)
	}
	if up := r.Status()[0].Up.Messages; up != 0 {
		t.Errorf("%d messages of it were sent", up)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(packets(3), 7)
	f.Add([]byte("G"), 1)
	f.Add([]byte(nil), 200)
	f.Fuzz(func(t *testing.T, body []byte, step int) {
		s := newStream(Stream{}, &Options{QueueBytes: 1 << 30})
		s.out.set(true)
		err := s.packets(&steps{body, max(1, step)})
		var sent []byte
		for _, m := range s.out.take() {
			sent = append(sent, m.data...)
		}
		if len(sent)%packetSize != 0 || !bytes.HasPrefix(body, sent) {
			t.Fatalf("%d bytes were sent that are not the beginning of the body in whole packets", len(sent))
		}
		if err == nil && len(sent) != len(body) {
			t.Fatalf("%d of %d bytes were sent, and no error told", len(sent), len(body))
		}
	})
}

// steps is a reader that gives so many bytes at a time.
type steps struct {
	rest []byte
	n    int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(s.n, len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}
