package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A wire is a websocket of which nothing is asked but to be cheap: the server's
// share of the machine is what its clients leave.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

// The opcodes of RFC 6455 §5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// dialWire opens a websocket at a path of a server, from a local address of its
// own where from names one.
func dialWire(ctx context.Context, addr, path string, header http.Header, from net.IP) (*wire, error) {
	d := net.Dialer{}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	conn, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	var key [16]byte
	rand.Read(key[:]) // never fails
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	w := &wire{conn: conn, r: bufio.NewReaderSize(conn, 2048)}
	if err := w.upgrade(req); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return w, nil
}

func (w *wire) upgrade(req *http.Request) error {
	if err := w.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if err := req.Write(w.conn); err != nil {
		return err
	}
	res, err := http.ReadResponse(w.r, req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(io.LimitReader(res.Body, 1000))
		return errors.Join(fmt.Errorf("the websocket was refused: %s: %s", res.Status, body), err, res.Body.Close())
	}
	return w.conn.SetDeadline(time.Time{})
}

// next returns the next text message, good until the next call. It answers pings
// on the way. The end of the stream is io.EOF.
func (w *wire) next() ([]byte, error) {
	for {
		op, payload, err := w.frame()
		switch {
		case err != nil:
			return nil, err
		case op == opText:
			return payload, nil
		case op == opPing:
			if err := w.send(opPong, payload); err != nil {
				return nil, err
			}
		case op == opClose:
			return nil, io.EOF
		}
	}
}

// frame reads one frame; servers neither mask nor, here, fragment.
func (w *wire) frame() (op byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(w.r, head[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		_, err = io.ReadFull(w.r, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		_, err = io.ReadFull(w.r, head[2:10])
		n = binary.BigEndian.Uint64(head[2:10])
	}
	switch {
	case err != nil:
		return 0, nil, err
	case n > 1<<20 || head[0]&0x80 == 0 || head[1]&0x80 != 0:
		return 0, nil, errors.New("a frame that no Lodge sends")
	case n > uint64(cap(w.buf)):
		w.buf = make([]byte, n)
	}
	payload = w.buf[:n]
	_, err = io.ReadFull(w.r, payload)
	return head[0] & 0x0f, payload, err
}

// send writes a frame of up to 125 bytes under a mask of zeros, which RFC 6455
// §5.3 allows to look like this.
func (w *wire) send(op byte, payload []byte) error {
	_, err := w.conn.Write(append([]byte{0x80 | op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
	return err
}

// appendFrame appends a server's text frame.
func appendFrame(b, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|opText, byte(n))
	case n < 1<<16:
		b = append(b, 0x80|opText, 126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|opText, 127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, payload...)
}
