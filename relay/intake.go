package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

const (
	// intakeSize is the memory that a connection borrows while there is something
	// in it, and ownIntake what one keeps of which it cannot be told when there is.
	intakeSize = 32 << 10
	ownIntake  = 4 << 10
	// messageWait is how long a message that has begun to arrive may take.
	messageWait = time.Minute
)

var intakes = sync.Pool{New: func() any { return new([intakeSize]byte) }}

// An intake is what has arrived on one connection and was not used yet. A
// connection that is silent holds no memory for it.
type intake struct {
	conn  net.Conn
	raw   syscall.RawConn // nil where nothing can be tried
	count *atomic.Uint64  // of bytes
	ahead []byte          // what came with the request

	lent  *[intakeSize]byte // nil while nothing is in it
	buf   []byte            // lent, or the connection's own
	at    int               // of buf: what was not used yet begins here
	end   int               // and ends here
	begun bool              // a message has begun to arrive
	timed bool              // one has to end in time
	ended bool              // one has, since the last read

	poll    func(fd uintptr) bool // try, made once
	got     int
	err     error
	stalled bool // nothing more of a message is there
}

func newIntake(conn net.Conn, raw syscall.RawConn, ahead []byte, count *atomic.Uint64) *intake {
	in := &intake{conn: conn, raw: raw, ahead: ahead, count: count}
	if raw == nil {
		in.buf = make([]byte, ownIntake)
	}
	in.poll = in.try
	return in
}

// more waits for more bytes. Those that were not used yet move to the front, of
// which there must be fewer than buf holds. A message that is long in coming is an
// error, so that nobody holds memory by dribbling.
func (in *intake) more() error {
	in.end = copy(in.buf, in.buf[in.at:in.end])
	in.at = 0
	if in.end > 0 {
		in.begun = true
	}
	if in.timed && in.ended { // the next has a time of its own
		if err := in.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		in.timed = false
	}
	in.ended = false
	switch {
	case len(in.ahead) > 0:
		in.borrow()
		in.got, in.err = copy(in.buf[in.end:], in.ahead), nil
		in.ahead = in.ahead[in.got:]
	case in.raw == nil:
		if err := in.hurry(); err != nil {
			return err
		}
		in.got, in.err = in.conn.Read(in.buf[in.end:])
	default:
		if err := in.wait(); err != nil {
			return err
		}
	}
	in.end += in.got
	in.count.Add(uint64(in.got))
	if in.got > 0 {
		return nil // an error comes again
	}
	return in.err
}

// wait reads, once there is something to read.
func (in *intake) wait() error {
	for {
		in.stalled = false
		if err := in.raw.Read(in.poll); err != nil {
			return err
		}
		if !in.stalled {
			return nil
		}
		if err := in.hurry(); err != nil {
			return err
		}
	}
}

// try reads what is there; false has it called again when there is more.
func (in *intake) try(fd uintptr) bool {
	in.borrow()
	n, ok, err := ws.TryRead(fd, in.buf[in.end:])
	switch {
	case ok:
		in.got, in.err = n, err
		return true
	case in.begun && !in.timed:
		in.stalled = true
		return true
	case in.end == 0:
		in.giveBack()
	}
	return false
}

// hurry sets a message that has begun a time to end in.
func (in *intake) hurry() error {
	if !in.begun || in.timed {
		return nil
	}
	in.timed = true
	return in.conn.SetReadDeadline(time.Now().Add(messageWait))
}

func (in *intake) borrow() {
	if in.buf == nil {
		in.lent = intakes.Get().(*[intakeSize]byte)
		in.buf = in.lent[:]
	}
}

func (in *intake) giveBack() {
	if in.lent != nil {
		intakes.Put(in.lent)
		in.lent, in.buf = nil, nil
	}
}

// read reads the next bytes of a message, whatever they are, into memory of the
// caller's.
func (in *intake) read(b []byte) (int, error) {
	if in.at < in.end {
		n := copy(b, in.buf[in.at:in.end])
		in.at += n
		return n, nil
	}
	if len(in.ahead) > 0 {
		n := copy(b, in.ahead)
		in.ahead = in.ahead[n:]
		in.count.Add(uint64(n))
		return n, nil
	}
	in.begun = true
	if err := in.hurry(); err != nil {
		return 0, err
	}
	n, err := in.conn.Read(b)
	in.count.Add(uint64(n))
	return n, err
}
