package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"
)

// A buffer gives back what was written, up to a part, however it was cut.
func TestABufferHoldsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := semaphore.NewWeighted(maxBlocks)
		b := buffer{room: room}
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			var want []byte
			for i := range rapid.IntRange(0, 12).Draw(t, "writes") {
				piece := bytes.Repeat([]byte{byte(i), 7, byte(i * 3)}, rapid.IntRange(0, 300_000).Draw(t, "size"))
				n, err := b.write(context.Background(), piece)
				if err != nil || n != min(len(piece), partSize-len(want)) {
					t.Fatalf("%d of %d, %v", n, len(piece), err)
				}
				want = append(want, piece[:n]...)
			}
			got, err := io.ReadAll(b.reader())
			if err != nil || !bytes.Equal(got, want) || b.size != len(want) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
			}
			b.sent()
		}
		b.free()
		b.free()
		if !room.TryAcquire(maxBlocks) {
			t.Fatal("it keeps room")
		}
	})
}

// Those for whom there is no room wait, for as long as they are wanted.
func TestBuffersShareTheirRoom(t *testing.T) {
	room := semaphore.NewWeighted(2)
	one, two := buffer{room: room}, buffer{room: room}
	if _, err := one.write(t.Context(), make([]byte, 2*blockSize)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := two.write(ctx, []byte("x")); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { _, err := two.write(t.Context(), []byte("x")); ended <- err }()
	one.free()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	two.free()
}
