package s3

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// partSize is the least that a part of several may have, but the last.
	partSize = 5 << 20
	// blockSize is what a buffer grows by: who sends slowly holds little.
	blockSize = 64 << 10
	// maxBlocks bounds the buffers of all files that are on their way in, in 256 MiB:
	// beyond it they wait for one another.
	maxBlocks = 256 << 20 / blockSize
	// roomLimit is how long one waits.
	roomLimit = 30 * time.Second
)

// A buffer holds what of a file is to be sent next, at most partSize bytes.
type buffer struct {
	room   *semaphore.Weighted
	blocks [][]byte // each of blockSize
	size   int
}

// write takes as much as there is place for.
func (b *buffer) write(ctx context.Context, p []byte) (n int, err error) {
	for len(p) > 0 && b.size < partSize {
		at := b.size % blockSize
		if b.size/blockSize == len(b.blocks) {
			if err := b.grow(ctx); err != nil {
				return n, err
			}
		}
		took := copy(b.blocks[b.size/blockSize][at:], p)
		b.size, n, p = b.size+took, n+took, p[took:]
	}
	return n, nil
}

var errNoRoom = errors.New("s3: too many files are on their way in at once")

func (b *buffer) grow(ctx context.Context) error {
	if !b.room.TryAcquire(1) {
		waits, cancel := context.WithTimeout(ctx, roomLimit)
		defer cancel()
		if err := b.room.Acquire(waits, 1); err != nil {
			if ctx.Err() == nil {
				err = errNoRoom
			}
			return err
		}
	}
	b.blocks = append(b.blocks, make([]byte, blockSize))
	return nil
}

// ReadAt implements io.ReaderAt: each try to send reads by itself.
func (b *buffer) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := int(off) + n
		if at >= b.size {
			return n, io.EOF
		}
		n += copy(p[n:], b.blocks[at/blockSize][at%blockSize:min(blockSize, b.size-at/blockSize*blockSize)])
	}
	return n, nil
}

func (b *buffer) reader() *io.SectionReader { return io.NewSectionReader(b, 0, int64(b.size)) }

// sent makes place.
func (b *buffer) sent() { b.size = 0 }

// free gives all up.
func (b *buffer) free() {
	b.room.Release(int64(len(b.blocks)))
	b.blocks, b.size = nil, 0
}
