package messaging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// The opcodes of RFC 6455 §5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	finBit     = 0x80
	maskBit    = 0x80
	maxControl = 125 // bytes of a control frame's payload
)

// A breach is how a client breaks the protocol, and the close code that tells it.
type breach struct {
	code   websocket.StatusCode
	reason string
}

func (b *breach) Error() string { return "messaging: " + b.reason }

var (
	errUnmasked = &breach{websocket.StatusProtocolError, "frames of a client must be masked"}
	errReserved = &breach{websocket.StatusProtocolError, "a frame has reserved bits or an unknown opcode"}
	errControl  = &breach{websocket.StatusProtocolError, "control frames are short and whole"}
	errSequence = &breach{websocket.StatusProtocolError, "a message begins amid another, or without a beginning"}
	errTooBig   = &breach{websocket.StatusMessageTooBig, fmt.Sprintf("frames may have %d bytes", maxFrame)}
)

// errClosed says that the client has closed the websocket in order.
var errClosed = errors.New("messaging: the client has closed the websocket")

// A frameHead is what stands before a frame's payload.
type frameHead struct {
	fin  bool
	op   byte
	n    int
	mask [4]byte
}

// A socketReader reads the frames of one client: they are few and small, so it
// has little room of its own and makes room for a message when one comes.
type socketReader struct {
	from io.Reader
	room [readBuffer]byte
	at   int // of room: what was not used yet begins here
	end  int // and ends here
}

// fill reads until there are n bytes in the room, n being at most its size.
func (r *socketReader) fill(n int) error {
	if r.end-r.at >= n {
		return nil
	}
	r.end = copy(r.room[:], r.room[r.at:r.end])
	r.at = 0
	for r.end < n {
		got, err := r.from.Read(r.room[r.end:])
		r.end += got
		if err != nil && r.end < n {
			return err
		}
	}
	return nil
}

// take returns the next n bytes of the room, which fill has brought in; they are
// good until the next fill.
func (r *socketReader) take(n int) []byte {
	b := r.room[r.at : r.at+n]
	r.at += n
	return b
}

// head reads a frame's head (RFC 6455 §5.2).
func (r *socketReader) head() (h frameHead, err error) {
	if err := r.fill(2); err != nil {
		return h, err
	}
	b := r.take(2)
	h.fin, h.op, h.n = b[0]&finBit != 0, b[0]&0x0f, int(b[1]&^maskBit)
	masked := b[1]&maskBit != 0
	switch {
	case b[0]&0x70 != 0 || h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, errReserved
	case !masked:
		return h, errUnmasked
	case h.op >= opClose && (h.n > maxControl || !h.fin):
		return h, errControl
	}
	size := 0 // of the length, where that stands behind
	switch h.n {
	case 126:
		size = 2
	case 127:
		size = 8
	}
	if size > 0 {
		if err := r.fill(size); err != nil {
			return h, err
		}
		var long [8]byte
		copy(long[8-size:], r.take(size))
		n := binary.BigEndian.Uint64(long[:])
		if n > maxFrame {
			return h, errTooBig
		}
		h.n = int(n)
	}
	if err := r.fill(4); err != nil {
		return h, err
	}
	copy(h.mask[:], r.take(4))
	return h, nil
}

// payload reads a frame's payload into dst, and takes its mask off.
func (r *socketReader) payload(h frameHead, dst []byte) error {
	n := copy(dst, r.room[r.at:r.end])
	r.at += n
	if _, err := io.ReadFull(r.from, dst[n:]); err != nil {
		return err
	}
	for i := range dst {
		dst[i] ^= h.mask[i&3]
	}
	return nil
}

// next returns the next message. Control frames that come before it go to control,
// with their payload. Errors are those of reading, a *breach, or control's.
func (r *socketReader) next(control func(op byte, payload []byte) error) (op byte, message []byte, err error) {
	for {
		h, err := r.head()
		if err != nil {
			return 0, nil, err
		}
		if h.op >= opClose {
			var b [maxControl]byte
			if err := r.payload(h, b[:h.n]); err != nil {
				return 0, nil, err
			}
			if err := control(h.op, b[:h.n]); err != nil {
				return 0, nil, err
			}
			continue
		}
		switch {
		case (h.op == opContinuation) != (op != 0):
			return 0, nil, errSequence
		case len(message)+h.n > maxFrame:
			return 0, nil, errTooBig
		case op == 0:
			op = h.op
		}
		message = append(message, make([]byte, h.n)...)
		if err := r.payload(h, message[len(message)-h.n:]); err != nil {
			return 0, nil, err
		}
		if h.fin {
			return op, message, nil
		}
	}
}

// control handles the control frames of a client.
func (s *socket) control(op byte, payload []byte) error {
	switch op {
	case opPing:
		return s.wire.control(opPong, payload, s.conn.hub.opts.WriteLimit)
	case opPong:
		s.conn.asked.Store(0)
		s.conn.alive()
		return nil
	}
	// What closes it is answered with the same code (§5.5.1), unless this side
	// has said so first.
	switch {
	case len(payload) == 1 || len(payload) > 2 && !utf8.Valid(payload[2:]):
		return &breach{websocket.StatusProtocolError, "a close frame has a code and words"}
	case s.closing.Swap(true):
	case len(payload) == 0:
		_ = s.wire.control(opClose, nil, s.conn.hub.opts.WriteLimit) // it ends either way
	default:
		if code := binary.BigEndian.Uint16(payload); !maySend(websocket.StatusCode(code)) {
			payload = binary.BigEndian.AppendUint16(nil, uint16(websocket.StatusProtocolError))
		}
		_ = s.wire.control(opClose, payload[:2], s.conn.hub.opts.WriteLimit) // the same
	}
	return errClosed
}

// maySend reports whether a close code may stand in a frame (RFC 6455 §7.4).
func maySend(code websocket.StatusCode) bool {
	switch code {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// sayClose writes a close frame, after which nothing of the client's counts but its
// own, for which a moment is left.
func (s *socket) sayClose(code websocket.StatusCode, reason string) error {
	if s.closing.Swap(true) {
		return nil
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, maxControl), uint16(code))
	payload = append(payload, reason[:min(len(reason), maxReason)]...)
	if err := s.wire.control(opClose, payload, s.conn.hub.opts.WriteLimit); err != nil {
		return err
	}
	return s.wire.SetReadDeadline(time.Now().Add(closeLimit))
}

// closeLimit is how long a client may take to answer a close frame.
const closeLimit = 5 * time.Second
