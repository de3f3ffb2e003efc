package main

import (
	"context"
	"crypto/sha1" // RFC 6455 §4.2.2 wants it
	"encoding/base64"
	"encoding/binary"
	"flag"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// rawrelay is the bare limit of a relay: it reads a message and writes it to each
// reader of the room, one after the other, before it reads the next. It asks
// nobody, drops nothing, and its slowest reader holds up all others.
func rawrelay(ctx context.Context, args []string) error {
	if err := flag.NewFlagSet("rawrelay", flag.ContinueOnError).Parse(args); err != nil {
		return err
	}
	r := &rawRooms{readers: map[string][]net.Conn{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /read", r.read)
	mux.HandleFunc("GET /write", r.write)
	return serveUntilClosed(ctx, "127.0.0.1:0", mux)
}

type rawRooms struct {
	mu      sync.Mutex
	readers map[string][]net.Conn // guarded by mu
}

// upgradeRaw takes a connection over and answers the handshake of RFC 6455.
func upgradeRaw(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n"); err != nil {
		_ = conn.Close() // it is of no use
		return nil, err
	}
	return conn, nil
}

func (rr *rawRooms) read(w http.ResponseWriter, r *http.Request) {
	conn, err := upgradeRaw(w, r)
	if err != nil {
		return
	}
	room := r.URL.Query().Get("room")
	rr.mu.Lock()
	rr.readers[room] = append(rr.readers[room], conn)
	rr.mu.Unlock()
	var buf [512]byte
	for {
		if _, err := conn.Read(buf[:]); err != nil {
			_ = conn.Close() // the writer notices
			return
		}
	}
}

func (rr *rawRooms) write(w http.ResponseWriter, r *http.Request) {
	conn, err := upgradeRaw(w, r)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	room := r.URL.Query().Get("room")
	var head [8]byte // of the clients here: masked by zeros, 126 to 65535 bytes
	frame := make([]byte, 4)
	for {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(head[2:]))
		if cap(frame) < 4+n {
			frame = make([]byte, 4+n)
		}
		frame = frame[:4+n]
		frame[0], frame[1], frame[2], frame[3] = head[0], 126, head[2], head[3]
		if _, err := io.ReadFull(conn, frame[4:]); err != nil {
			return
		}
		rr.mu.Lock()
		readers := rr.readers[room]
		rr.mu.Unlock()
		for _, reader := range readers {
			if reader.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
				_, _ = reader.Write(frame) // its reader notices
			}
		}
	}
}
