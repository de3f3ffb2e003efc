package ws

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// The opcodes of RFC 6455 §5.2.
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xA
)

const (
	// FinBit is set in the first byte of a message's last frame.
	FinBit  = 0x80
	maskBit = 0x80
	// MaxControl bounds a control frame's payload, in bytes.
	MaxControl = 125
	// MaxReason bounds the reason in a close frame, in bytes.
	MaxReason = MaxControl - 2
	// MaxHead is the longest head of a client's frame, in bytes.
	MaxHead = 14
)

// A Breach is how a client breaks the protocol, and the close code that tells it.
type Breach struct {
	Code   websocket.StatusCode
	Reason string
}

// Error returns the reason.
func (b *Breach) Error() string { return "ws: " + b.Reason }

// What a frame, or a sequence of them, may break.
var (
	ErrUnmasked = &Breach{websocket.StatusProtocolError, "frames of a client must be masked"}
	ErrReserved = &Breach{websocket.StatusProtocolError, "a frame has reserved bits or an unknown opcode"}
	ErrControl  = &Breach{websocket.StatusProtocolError, "control frames are short and whole"}
	ErrSequence = &Breach{websocket.StatusProtocolError, "a message begins amid another, or without a beginning"}
	ErrLength   = &Breach{websocket.StatusProtocolError, "a frame has an impossible length"}
	ErrClose    = &Breach{websocket.StatusProtocolError, "a close frame has a code and words"}
)

// A Head is what stands before the payload of a client's frame.
type Head struct {
	Fin  bool
	Op   byte
	N    int64 // bytes of payload
	Mask [4]byte
}

// ParseHead reads a head (RFC 6455 §5.2) from the beginning of b and returns how
// many bytes it takes. When that is more than there are, b holds no whole head
// yet, and h is not good. An error is a *Breach.
func ParseHead(b []byte) (h Head, size int, err error) {
	if len(b) < 2 {
		return h, 2, nil
	}
	h.Fin, h.Op, h.N = b[0]&FinBit != 0, b[0]&0x0f, int64(b[1]&^maskBit)
	switch {
	case b[0]&0x70 != 0 || h.Op > OpBinary && h.Op < OpClose || h.Op > OpPong:
		return h, 0, ErrReserved
	case b[1]&maskBit == 0:
		return h, 0, ErrUnmasked
	case h.Op >= OpClose && (h.N > MaxControl || !h.Fin):
		return h, 0, ErrControl
	}
	size = 2 + 4
	switch h.N {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if len(b) < size {
		return h, size, nil
	}
	switch h.N {
	case 126:
		h.N = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		n := binary.BigEndian.Uint64(b[2:])
		if n > math.MaxInt64 {
			return h, 0, ErrLength
		}
		h.N = int64(n)
	}
	copy(h.Mask[:], b[size-4:])
	return h, size, nil
}

// AppendHead appends the head of a server's frame: op with FinBit, where the
// message ends with it, and the length of the payload, which is never masked.
func AppendHead(b []byte, op byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, op, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, op, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, op, 127), uint64(n))
	}
}

// AppendClose appends a close frame; a reason that is too long is cut, at
// whatever byte.
func AppendClose(b []byte, code websocket.StatusCode, reason string) []byte {
	reason = reason[:min(len(reason), MaxReason)]
	b = append(b, FinBit|OpClose, byte(2+len(reason)))
	return append(binary.BigEndian.AppendUint16(b, uint16(code)), reason...)
}

// CloseAnswer returns the payload of the frame that answers a client's close frame
// (RFC 6455 §5.5.1): its code, if that may be sent, and no words. An error is a
// *Breach.
func CloseAnswer(payload []byte) ([]byte, error) {
	switch {
	case len(payload) == 0:
		return nil, nil
	case len(payload) == 1 || !utf8.Valid(payload[2:]):
		return nil, ErrClose
	case !maySend(websocket.StatusCode(binary.BigEndian.Uint16(payload))):
		return binary.BigEndian.AppendUint16(nil, uint16(websocket.StatusProtocolError)), nil
	}
	return payload[:2], nil
}

// maySend reports whether a close code may stand in a frame (RFC 6455 §7.4).
func maySend(code websocket.StatusCode) bool {
	switch code {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// Unmask takes the mask off src and writes the result to dst, which has the same
// length. They may be the same memory, and dst may begin anywhere before src.
func Unmask(dst, src []byte, mask [4]byte) {
	dst = dst[:len(src)]
	m := uint64(binary.LittleEndian.Uint32(mask[:]))
	m |= m << 32
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^m)
		dst, src = dst[8:], src[8:]
	}
	for i := range src {
		dst[i] = src[i] ^ mask[i&3]
	}
}
