package messaging

import (
	"encoding/binary"
	"time"
)

// A frame is an event as it goes over the wire, encoded once for all who get
// it. It is immutable.
type frame struct {
	pos  Pos       // of an entry; zero for what is not stored
	time time.Time // when the event happened
	end  time.Time // when it expires; zero: never
	gap  bool      // stands for an entry that cannot be given to anybody
	wire []byte    // a whole text frame as RFC 6455 §5.2 has it
	head int       // bytes of wire before the payload
}

// payload is the event's JSON, on one line.
func (f *frame) payload() []byte { return f.wire[f.head:] }

// newFrame makes a frame of an event's JSON.
func newFrame(payload []byte) *frame {
	const finText = 0x80 | 0x1
	wire := make([]byte, 0, 10+len(payload))
	switch n := len(payload); {
	case n < 126:
		wire = append(wire, finText, byte(n))
	case n < 1<<16:
		wire = append(wire, finText, 126)
		wire = binary.BigEndian.AppendUint16(wire, uint16(n))
	default:
		wire = append(wire, finText, 127)
		wire = binary.BigEndian.AppendUint64(wire, uint64(n))
	}
	return &frame{head: len(wire), wire: append(wire, payload...)}
}

// entryFrame makes the frame of an entry of a topic. One that holds no event is
// a gap to whoever reads the topic; the error says why.
func entryFrame(topic string, item Item) (*frame, error) {
	if item.Gap {
		return &frame{pos: item.Pos, gap: true}, nil
	}
	e, err := ParseEvent(item.Body)
	if err != nil {
		return &frame{pos: item.Pos, gap: true}, err
	}
	b, err := e.encode(topic, item.Pos.String(), "")
	if err != nil {
		return &frame{pos: item.Pos, gap: true}, err
	}
	f := newFrame(b)
	f.pos, f.time, f.end = item.Pos, e.Time, e.Expires()
	return f, nil
}
