package bridge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// Handler serves what local programs open: /ws/TOPIC, /ts/TOPIC, and the status
// at / and /status. It refuses whatever a browser's page asks for besides the
// status: any page could ask, and a topic here is the hardware.
func (b *Bridge) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/{topic...}", b.program(b.socket))
	mux.HandleFunc("POST /ts/{topic...}", b.program(b.transport))
	mux.HandleFunc("PUT /ts/{topic...}", b.program(b.transport))
	mux.HandleFunc("GET /status", b.status)
	mux.HandleFunc("GET /{$}", b.page)
	return mux
}

// enter counts a local program in, unless the bridge is going down.
func (b *Bridge) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life.Err() != nil {
		return false
	}
	b.programs.Add(1)
	return true
}

// program finds the stream of a request that no browser has made. What it calls
// gets a context that ends with the bridge: a hijacked request's own does not end
// with its client, whom the reader notices.
func (b *Bridge) program(next func(context.Context, http.ResponseWriter, *http.Request, *stream)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "Pages may not use this address; programs on this machine may.", http.StatusForbidden)
			return
		}
		s := b.byTopic[r.PathValue("topic")]
		switch {
		case s == nil:
			http.Error(w, "There is no stream of this name; see the list of streams in the configuration.", http.StatusNotFound)
		case s.Dial != "":
			http.Error(w, "This stream is taken from "+s.Dial+"; nothing else may send it.", http.StatusConflict)
		case !b.enter():
			http.Error(w, "The bridge is going down.", http.StatusServiceUnavailable)
		default:
			defer b.programs.Done()
			ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
			defer stop()
			defer context.AfterFunc(b.life, stop)()
			next(ctx, w, r, s)
		}
	}
}

func (b *Bridge) socket(ctx context.Context, w http.ResponseWriter, r *http.Request, s *stream) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }() // usually closed already
	err = s.serve(ctx, conn)
	b.opts.Logger.Info("a local program has left", "topic", s.Topic, "err", err)
}

// A transport stream is made of packets of this size, each of which begins with
// the sync byte (ISO/IEC 13818-1, 2.4.3.2).
const (
	packetSize = 188
	syncByte   = 0x47
	// packetsAtOnce bounds a message: 64 packets are 12 kB.
	packetsAtOnce = 64
)

var errNotTransport = errors.New("that is not MPEG-TS: a packet does not begin with its sync byte; send it with ffmpeg's -f mpegts")

// errReplaced ends a transport stream for the sake of a newer one: ffmpeg that
// was started again must not wait until the old connection is found dead.
var errReplaced = errors.New("another program sends this stream now")

// transport takes MPEG-TS from the body of a request for as long as it lasts.
func (b *Bridge) transport(ctx context.Context, w http.ResponseWriter, r *http.Request, s *stream) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.mu.Lock()
	if s.source != nil {
		s.source(errReplaced)
	}
	s.source = end
	s.sources++
	mine := s.sources
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if s.sources == mine {
			s.source = nil
		}
		s.mu.Unlock()
	}()
	// Reading does not look at the context: a deadline that has passed ends it.
	stop := context.AfterFunc(ctx, func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := s.packets(r.Body)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errReplaced):
		http.Error(w, errReplaced.Error(), http.StatusConflict)
	case errors.Is(err, errNotTransport):
		http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
	case err != nil:
		b.opts.Logger.Info("a transport stream was cut off", "topic", s.Topic, "err", err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// packets forwards whole packets, as many at once as have arrived.
func (s *stream) packets(body io.Reader) error {
	r := bufio.NewReaderSize(body, packetsAtOnce*packetSize)
	for {
		if _, err := r.Peek(packetSize); errors.Is(err, io.EOF) {
			if n := r.Buffered(); n > 0 {
				return fmt.Errorf("the last packet has %d bytes of %d", n, packetSize)
			}
			return nil
		} else if err != nil {
			return err
		}
		there, err := r.Peek(r.Buffered() / packetSize * packetSize)
		if err != nil {
			return err
		}
		for at := 0; at < len(there); at += packetSize {
			if there[at] != syncByte {
				return errNotTransport
			}
		}
		data := append([]byte(nil), there...)
		if _, err := r.Discard(len(data)); err != nil {
			return err
		}
		s.out.put(message{websocket.MessageBinary, data})
	}
}
