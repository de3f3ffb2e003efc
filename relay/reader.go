package relay

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/ws"
)

const (
	// batchFrames bounds the messages that are handed on together: a sender is held
	// back between two batches only.
	batchFrames = 16
	// largeStep is how much memory is made at a time for a message that is larger
	// than what is borrowed, and largeKept how large a piece is used again.
	largeStep = 64 << 10
	largeKept = 1 << 20
	// headRoom is the longest head of a frame that goes out.
	headRoom = 10
)

// larges is memory for large messages that nobody held on to.
var larges = sync.Pool{New: func() any { b := make([]byte, 0, largeStep); return &b }}

// A clientClosed is how reading ends when the client has closed the websocket in
// order: with the frame that answers it.
type clientClosed struct{ answer []byte }

func (clientClosed) Error() string { return "relay: the client has closed the websocket" }

// A reader makes messages of what arrives on one connection, and hands them on:
// those that have arrived together in one batch. They are unmasked where they are,
// and moved together so that the frames that go out stand in one piece.
type reader struct {
	p     *peer
	in    *intake
	w     ws.Writer
	batch batch

	maxFrames int // of a batch
	maxBytes  int

	op       byte   // of the message whose fragments have begun to arrive; 0: none
	fragment []byte // what has arrived of it
}

func newReader(p *peer, in *intake) *reader {
	return &reader{
		p: p, in: in,
		// A batch fills no more than a quarter of a queue, so that the sender is held
		// back before anything has to be dropped.
		maxFrames: min(max(p.out.queue.maxMessages/4, 1), batchFrames),
		maxBytes:  max(p.out.queue.maxBytes/4, 1),
	}
}

// run reads until the connection fails, the client closes it (clientClosed) or
// breaks the protocol (*ws.Breach).
func (r *reader) run() error {
	defer r.in.giveBack()
	for {
		if err := r.in.more(); err != nil {
			return err
		}
		err := r.frames()
		r.pass()
		if err != nil {
			return err
		}
		r.in.begun = r.op != 0
	}
}

// frames handles the frames that are there, up to one that is not whole.
func (r *reader) frames() error {
	in := r.in
	for in.at < in.end {
		h, size, err := ws.ParseHead(in.buf[in.at:in.end])
		if err != nil {
			return err
		}
		if size > in.end-in.at {
			return nil
		}
		if h.Op < ws.OpClose {
			if err := r.admit(h); err != nil {
				return err
			}
		}
		// Never size + h.N, which a client can have overflow.
		whole := h.N <= int64(in.end-in.at-size)
		switch {
		case whole && h.Op >= ws.OpClose:
			payload := in.buf[in.at+size:][:h.N]
			in.at += size + len(payload)
			ws.Unmask(payload, payload, h.Mask)
			err = r.control(h.Op, payload)
		case whole && h.Fin && h.Op != ws.OpContinuation:
			r.message(h, size)
		case whole || h.N > int64(len(in.buf)-size):
			r.pass()
			in.at += size
			err = r.piece(h)
		default:
			return nil // the rest of it comes with the next read
		}
		if err != nil {
			return err
		}
		if len(r.batch.ends) >= r.maxFrames || len(r.batch.bytes) >= r.maxBytes {
			r.pass()
		}
	}
	return nil
}

// admit says whether a frame of a message may come now. One that is too long ends
// the connection, and is read to its end for the close frame's sake.
func (r *reader) admit(h ws.Head) error {
	if (h.Op == ws.OpContinuation) != (r.op != 0) {
		return ws.ErrSequence
	}
	if limit := r.p.limit(); h.N > limit-int64(max(len(r.fragment)-headRoom, 0)) {
		r.end(websocket.StatusMessageTooBig, fmt.Sprintf("Messages of this stream may have %d bytes.", limit))
	}
	return nil
}

// end ends the connection, behind what was good.
func (r *reader) end(code websocket.StatusCode, reason string) {
	r.pass()
	r.p.shut(code, reason)
}

// message adds a message that is there in one frame to the batch, which never ends
// behind the frame itself: that has a head longer by its mask.
func (r *reader) message(h ws.Head, size int) {
	in := r.in
	src := in.buf[in.at+size:][:h.N]
	in.at += size + len(src)
	in.ended = true
	frame := ws.AppendHead(in.buf[:len(r.batch.bytes)], ws.FinBit|h.Op, len(src))
	payload := in.buf[len(frame):][:len(src)]
	ws.Unmask(payload, src, h.Mask)
	switch {
	case h.Op == ws.OpText && !r.text(payload):
	case r.p.room.key.topic == StatsTopic:
		r.p.count.in.Add(1)
		r.p.command(payload)
	default:
		r.batch.bytes = in.buf[:len(frame)+len(payload)]
		r.batch.add(len(r.batch.bytes))
	}
}

// piece reads a fragment, or a message that is larger than what is borrowed.
func (r *reader) piece(h ws.Head) error {
	in, ending := r.in, r.p.ending.Load() != nil
	if ending {
		r.fragment = nil
		if err := r.skip(h.N); err != nil {
			return err
		}
	} else {
		if r.fragment == nil {
			r.fragment = (*larges.Get().(*[]byte))[:headRoom]
		}
		from := len(r.fragment)
		if err := r.payload(h.N); err != nil {
			return err
		}
		ws.Unmask(r.fragment[from:], r.fragment[from:], h.Mask)
	}
	if r.op == 0 {
		r.op = h.Op
	}
	if !h.Fin {
		return nil
	}
	op, fragment := r.op, r.fragment
	r.op, r.fragment = 0, nil
	in.ended = true
	if ending {
		return nil
	}
	data := fragment[headRoom:]
	switch {
	case op == ws.OpText && !r.text(data):
	case r.p.room.key.topic == StatsTopic:
		r.p.count.in.Add(1)
		r.p.command(data)
	default:
		r.large(op, fragment)
	}
	return nil
}

// text reports whether a text message is one (RFC 6455 §8.1); what is not ends the
// connection.
func (r *reader) text(data []byte) bool {
	if utf8.Valid(data) {
		return true
	}
	r.end(StatusNotText, "A text message was not UTF-8; send such data as binary.")
	return false
}

// large hands on one message, before which there is room for the frame's head.
func (r *reader) large(op byte, fragment []byte) {
	var room [headRoom]byte
	head := ws.AppendHead(room[:0], ws.FinBit|op, len(fragment)-headRoom)
	frame := fragment[headRoom-len(head):]
	copy(frame, head)
	r.batch.bytes, r.batch.whole = frame, true
	r.batch.add(len(frame))
	if kept := r.pass(); !kept && cap(fragment) <= largeKept {
		larges.Put(&fragment)
	}
}

// payload appends n bytes to the fragment. Memory is made as they come: a head
// alone, which can promise anything, costs nothing.
func (r *reader) payload(n int64) error {
	for n > 0 {
		f := r.fragment
		if len(f) == cap(f) {
			f = slices.Grow(f, int(min(n, int64(max(largeStep, len(f))))))
		}
		got, err := r.in.read(f[len(f):min(int64(cap(f)), int64(len(f))+n)])
		r.fragment = f[:len(f)+got]
		n -= int64(got)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

// skip reads n bytes that nobody wants any more.
func (r *reader) skip(n int64) error {
	var bin [4 << 10]byte
	for n > 0 {
		got, err := r.in.read(bin[:min(n, int64(len(bin)))])
		n -= int64(got)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

// drain reads on, until the connection ends, what the client has been told not to
// send: to close on unread bytes resets a connection, and what told it would be
// lost with it.
func (r *reader) drain() {
	var bin [4 << 10]byte
	for {
		if _, err := r.in.read(bin[:]); err != nil {
			return
		}
	}
}

// pass hands on the batch, and reports whether others hold on to its bytes.
func (r *reader) pass() (kept bool) {
	n := uint64(len(r.batch.ends))
	if n == 0 {
		return false
	}
	p := r.p
	p.count.in.Add(n)
	switch {
	case p.ending.Load() != nil: // too late; what matters now is the other side's close frame
	case !p.writes.Load():
		p.count.refused.Add(n)
	default:
		p.room.send(p, &r.w, &r.batch)
	}
	kept = r.batch.kept != nil
	r.batch.reset()
	return kept
}

// control handles a control frame.
func (r *reader) control(op byte, payload []byte) error {
	switch op {
	case ws.OpPing:
		r.p.sendControl(ws.OpPong, payload)
		return nil
	case ws.OpPong:
		return nil // its bytes have been counted, which is what the pinger looks at
	}
	answer, err := ws.CloseAnswer(payload)
	if err != nil {
		return err
	}
	return clientClosed{append([]byte{ws.FinBit | ws.OpClose, byte(len(answer))}, answer...)}
}

// finish does what the end of reading asks for.
func (r *reader) finish(err error) {
	p := r.p
	if breach, ok := errors.AsType[*ws.Breach](err); ok {
		p.shut(breach.Code, breach.Reason)
		r.drain()
		return
	}
	p.shut(0, "")
	if closed, ok := errors.AsType[clientClosed](err); ok {
		p.sayClose(closed.answer)
		return
	}
	p.out.sever()
}
