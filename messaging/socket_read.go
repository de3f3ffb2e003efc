package messaging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/ws"
)

var errTooBig = &ws.Breach{Code: websocket.StatusMessageTooBig, Reason: fmt.Sprintf("frames may have %d bytes", maxFrame)}

// errClosed says that the client has closed the websocket in order.
var errClosed = errors.New("messaging: the client has closed the websocket")

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

// head reads a frame's head.
func (r *socketReader) head() (ws.Head, error) {
	for size := 2; ; {
		if err := r.fill(size); err != nil {
			return ws.Head{}, err
		}
		h, n, err := ws.ParseHead(r.room[r.at:r.end])
		switch {
		case err != nil:
			return h, err
		case n > r.end-r.at:
			size = n
			continue
		case h.N > maxFrame:
			return h, errTooBig
		}
		r.at += n
		return h, nil
	}
}

// payload reads a frame's payload into dst, and takes its mask off.
func (r *socketReader) payload(h ws.Head, dst []byte) error {
	n := copy(dst, r.room[r.at:r.end])
	r.at += n
	if _, err := io.ReadFull(r.from, dst[n:]); err != nil {
		return err
	}
	ws.Unmask(dst, dst, h.Mask)
	return nil
}

// next returns the next message. Control frames that come before it go to control,
// with their payload. Errors are those of reading, a *ws.Breach, or control's.
func (r *socketReader) next(control func(op byte, payload []byte) error) (op byte, message []byte, err error) {
	for {
		h, err := r.head()
		if err != nil {
			return 0, nil, err
		}
		if h.Op >= ws.OpClose {
			var b [ws.MaxControl]byte
			if err := r.payload(h, b[:h.N]); err != nil {
				return 0, nil, err
			}
			if err := control(h.Op, b[:h.N]); err != nil {
				return 0, nil, err
			}
			continue
		}
		switch {
		case (h.Op == ws.OpContinuation) != (op != 0):
			return 0, nil, ws.ErrSequence
		case len(message)+int(h.N) > maxFrame:
			return 0, nil, errTooBig
		case op == 0:
			op = h.Op
		}
		message = append(message, make([]byte, h.N)...)
		if err := r.payload(h, message[len(message)-int(h.N):]); err != nil {
			return 0, nil, err
		}
		if h.Fin {
			return op, message, nil
		}
	}
}

// control handles the control frames of a client.
func (s *socket) control(op byte, payload []byte) error {
	switch op {
	case ws.OpPing:
		return s.wire.control(ws.OpPong, payload, s.conn.hub.opts.WriteLimit)
	case ws.OpPong:
		s.conn.asked.Store(0)
		s.conn.alive()
		return nil
	}
	// What closes it is answered, unless this side has said so first.
	answer, err := ws.CloseAnswer(payload)
	if err != nil {
		return err
	}
	if !s.closing.Swap(true) {
		_ = s.wire.control(ws.OpClose, answer, s.conn.hub.opts.WriteLimit) // it ends either way
	}
	return errClosed
}

// sayClose writes a close frame, after which nothing of the client's counts but its
// own, for which a moment is left.
func (s *socket) sayClose(code websocket.StatusCode, reason string) error {
	if s.closing.Swap(true) {
		return nil
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, ws.MaxControl), uint16(code))
	payload = append(payload, reason[:min(len(reason), maxReason)]...)
	if err := s.wire.control(ws.OpClose, payload, s.conn.hub.opts.WriteLimit); err != nil {
		return err
	}
	return s.wire.SetReadDeadline(time.Now().Add(closeLimit))
}

// closeLimit is how long a client may take to answer a close frame.
const closeLimit = 5 * time.Second
