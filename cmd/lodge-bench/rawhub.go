package main

import (
	"context"
	"crypto/sha1" // RFC 6455 section 4.2.2 wants it
	"encoding/base64"
	"flag"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// rawhub is the bare limit of a hub: websockets taken over from net/http with
// nothing kept of them but the connection and a small reader, and frames that
// are prepared once and written to each, several in one write when several are
// due. It stores nothing, knows nobody, and loses what a connection cannot take
// within the write limit, with the connection.
func rawhub(ctx context.Context, args []string) error {
	if err := flag.NewFlagSet("rawhub", flag.ContinueOnError).Parse(args); err != nil {
		return err
	}
	h := &rawHub{wake: make([]chan struct{}, runtime.GOMAXPROCS(0))}
	h.shards = make([]rawShard, len(h.wake))
	for i := range h.wake {
		h.wake[i] = make(chan struct{}, 1)
		go h.shards[i].run(ctx, h.wake[i])
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", h.connect)
	mux.HandleFunc("POST /publish", h.publish)
	return serveUntilClosed(ctx, "127.0.0.1:0", mux)
}

type rawHub struct {
	wake   []chan struct{}
	shards []rawShard

	mu   sync.Mutex
	next int // the shard of the next connection; guarded by mu
}

type rawShard struct {
	mu    sync.Mutex // guards both
	conns []net.Conn
	due   []byte
}

func (h *rawHub) connect(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	if err != nil {
		_ = conn.Close()
		return
	}
	h.mu.Lock()
	s := &h.shards[h.next%len(h.shards)]
	h.next++
	h.mu.Unlock()
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	go func() { // the reader, with what it needs and no more
		var buf [512]byte
		for {
			if _, err := conn.Read(buf[:]); err != nil {
				_ = conn.Close()
				return
			}
		}
	}()
}

func (h *rawHub) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	frame := appendFrame(nil, body)
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		s.due = append(s.due, frame...)
		s.mu.Unlock()
		select {
		case h.wake[i] <- struct{}{}:
		default:
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// run writes what is due to every connection of the shard until ctx ends.
func (s *rawShard) run(ctx context.Context, wake <-chan struct{}) {
	for {
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		due, conns := s.due, s.conns
		s.due = nil
		s.mu.Unlock()
		for _, conn := range conns {
			if conn.SetWriteDeadline(time.Now().Add(5*time.Second)) != nil {
				continue // closed by its reader
			}
			if _, err := conn.Write(due); err != nil {
				_ = conn.Close()
			}
		}
	}
}
