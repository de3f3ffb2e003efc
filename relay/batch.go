package relay

import (
	"bytes"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// A batch is messages of one client that arrived together, as the frames that go
// out, each of them whole, encoded once for all who receive them. Whoever takes
// all of it at once takes it from the sender's own memory; it is copied, once, for
// those who cannot.
type batch struct {
	bytes []byte
	ends  []int // of the frames in bytes

	kept  []byte // what others hold on to; nil: nobody does
	whole bool   // bytes itself may be kept
}

// batchOf makes a batch of one message.
func batchOf(op byte, data []byte) *batch {
	frame := append(ws.AppendHead(make([]byte, 0, 10+len(data)), ws.FinBit|op, len(data)), data...)
	return &batch{bytes: frame, ends: []int{len(frame)}, whole: true}
}

// add ends a frame.
func (b *batch) add(end int) { b.ends = append(b.ends, end) }

// reset makes the batch an empty one.
func (b *batch) reset() { *b = batch{ends: b.ends[:0]} }

// start returns where a frame begins.
func (b *batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

// keep returns a part of the batch that stays as it is.
func (b *batch) keep(from, to int) []byte {
	if b.kept == nil {
		if b.kept = b.bytes; !b.whole {
			b.kept = bytes.Clone(b.bytes)
		}
	}
	return b.kept[from:to:to]
}
