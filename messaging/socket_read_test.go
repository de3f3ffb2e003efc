package messaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// clientWire is a frame as a client sends it.
func clientWire(first, second byte, payload []byte) []byte {
	b := []byte{first, second | 0x80}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// However messages are cut into frames, with whatever control frames between, and
// however they arrive, they are read as they were sent.
func TestSocketReaderPutsMessagesTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want, got, pings, ponged []string
		for range rapid.IntRange(1, 6).Draw(t, "messages") {
			message := []byte(strings.Repeat("m", rapid.SampledFrom([]int{0, 1, 125, 126, 255, 256, 257, 1000, maxFrame}).Draw(t, "size")))
			want = append(want, string(message))
			op := byte(ws.OpText)
			for {
				if rapid.Bool().Draw(t, "ping") {
					ping := rapid.StringN(0, 20, ws.MaxControl).Draw(t, "payload")
					pings = append(pings, ping)
					stream = append(stream, clientWire(ws.FinBit|ws.OpPing, 0, []byte(ping))...)
				}
				n := rapid.IntRange(0, len(message)).Draw(t, "cut")
				if rapid.Bool().Draw(t, "last") {
					stream = append(stream, clientWire(ws.FinBit|op, 0, message)...)
					break
				}
				stream = append(stream, clientWire(op, 0, message[:n])...)
				message, op = message[n:], ws.OpContinuation
			}
		}
		var from io.Reader = bytes.NewReader(stream)
		if rapid.Bool().Draw(t, "slowly") {
			from = iotest.HalfReader(from)
		}
		r := &socketReader{from: from}
		for {
			op, message, err := r.next(func(op byte, payload []byte) error {
				ponged = append(ponged, string(payload))
				return nil
			})
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || op != ws.OpText {
				t.Fatal(op, err)
			}
			got = append(got, string(message))
		}
		if !slices.Equal(got, want) || !slices.Equal(ponged, pings) {
			t.Fatalf("%d messages and %d pings of %d and %d", len(got), len(ponged), len(want), len(pings))
		}
	})
}

func TestSocketReaderRefusesBreaches(t *testing.T) {
	whole := clientWire(ws.FinBit|ws.OpText, 0, []byte("x"))
	unmasked := slices.Clone(whole)
	unmasked[1] &^= 0x80
	for name, c := range map[string]struct {
		stream []byte
		want   error
	}{
		"unmasked":                  {unmasked, ws.ErrUnmasked},
		"a reserved bit":            {clientWire(ws.FinBit|0x40|ws.OpText, 0, nil), ws.ErrReserved},
		"an unknown opcode":         {clientWire(ws.FinBit|0x3, 0, nil), ws.ErrReserved},
		"an unknown control opcode": {clientWire(ws.FinBit|0xB, 0, nil), ws.ErrReserved},
		"a long ping":               {clientWire(ws.FinBit|ws.OpPing, 0, make([]byte, 126)), ws.ErrControl},
		"half a ping":               {clientWire(ws.OpPing, 0, nil), ws.ErrControl},
		"no beginning":              {clientWire(ws.FinBit|ws.OpContinuation, 0, nil), ws.ErrSequence},
		"two beginnings":            {append(clientWire(ws.OpText, 0, nil), whole...), ws.ErrSequence},
		"a long frame":              {clientWire(ws.FinBit|ws.OpText, 0, make([]byte, maxFrame+1)), errTooBig},
		"a long message":            {append(clientWire(ws.OpText, 0, make([]byte, maxFrame)), clientWire(ws.FinBit|ws.OpContinuation, 0, []byte("x"))...), errTooBig},
		"a length beyond all":       {[]byte{ws.FinBit | ws.OpText, 0x80 | 127, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, ws.ErrLength},
		"half a head":               {whole[:1], io.EOF},
		"half a payload":            {whole[:len(whole)-1], io.EOF},
	} {
		r := &socketReader{from: bytes.NewReader(c.stream)}
		if _, _, err := r.next(func(byte, []byte) error { return nil }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSocketReader(f *testing.F) {
	f.Add(clientWire(ws.FinBit|ws.OpText, 0, []byte("x")))
	f.Add(append(clientWire(ws.OpText, 0, make([]byte, 300)), clientWire(ws.FinBit|ws.OpContinuation, 0, nil)...))
	f.Add([]byte{ws.FinBit | ws.OpText, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := &socketReader{from: bytes.NewReader(stream)}
		read := 0
		for {
			_, message, err := r.next(func(_ byte, payload []byte) error {
				read += len(payload)
				return nil
			})
			if err != nil {
				break
			}
			read += len(message)
		}
		if read > len(stream) {
			t.Errorf("%d bytes read of %d", read, len(stream))
		}
	})
}
