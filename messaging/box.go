package messaging

import (
	"context"
	"errors"
	"log/slog"

	"github.com/lodge-gateway/lodge"
)

// maxBox bounds what a Box holds, in bytes: it is read and written whole.
const maxBox = 16 << 20

// A Box is one sealed value under a topic's name, of which only the newest
// version is kept: it has no entries, so it keeps neither the order in which
// things came into it nor when. That is what a ballot box needs and a log is
// made not to give. It is safe for concurrent use, on any number of nodes.
//
// What the back end keeps beside it (a count of the versions, and in some the
// time of the last) says how much was put in, never what came when. Versions that
// were replaced would: whoever finds them learns the order. A back end that still
// has them somewhere, and can take them away, is a Forgetter.
type Box struct {
	t *Topics // static
	s *sealer // static
}

// A Forgetter is a Log that keeps, for a while and for its own ends, what snapshots
// were before they were replaced: in a write-ahead log, say.
type Forgetter interface {
	// Forget takes that away, as far as nobody is reading it. It may be repeated, and
	// costs little when there is nothing.
	Forget(ctx context.Context) error
}

// boxVersion names the form of what stands in the snapshot.
const boxVersion = "box/1"

// boxMark is the id of the one entry of the topic: a snapshot needs a position.
const boxMark = "box"

// Box returns the box of that name. No projection may have the same topic.
func (t *Topics) Box(tenant lodge.Tenant, name string) *Box {
	return &Box{t: t, s: t.seals.of(tenant, name)}
}

// Read returns what is in the box; nil when nothing was ever put in.
func (b *Box) Read(ctx context.Context) ([]byte, error) {
	data, _, _, err := b.load(ctx)
	return data, err
}

// Update replaces what is in the box by what fn makes of it: fn gets nil at first,
// and returns nil to leave it as it is. When another was faster, fn is called again
// on the newer version; after an attempt of unknown outcome, too, so it has to know
// its own work. Its error ends Update with nothing changed.
func (b *Box) Update(ctx context.Context, fn func(old []byte) ([]byte, error)) error {
	for try := 0; ; try++ {
		old, at, rev, err := b.load(ctx)
		if err != nil {
			return err
		}
		next, err := fn(old)
		if err != nil || next == nil {
			return err
		}
		if len(next) > maxBox {
			return outward(ErrTooLarge)
		}
		if rev == 0 {
			if at, err = b.begin(ctx); err != nil {
				return err
			}
		}
		sealed, err := b.s.sealSnapshot(at, boxVersion, next)
		if err != nil {
			return err
		}
		_, err = b.t.log.SaveSnapshot(ctx, b.s.topic, rev, Snapshot{At: at, Data: sealed})
		_, lost := errors.AsType[*PosLostError](err)
		uncertain := errors.Is(err, ErrUncertain)
		if err == nil {
			b.forget(ctx)
			return nil
		}
		if !lost && !uncertain && !errors.Is(err, ErrConflict) || try == uncertainTries && !errors.Is(err, ErrConflict) {
			return outward(err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// forget takes away what the box was before. What cannot be now goes with the next
// version; to say so in the log would tell when one came.
func (b *Box) forget(ctx context.Context) {
	if log, ok := b.t.log.(Forgetter); ok {
		_ = log.Forget(ctx) // see above
	}
}

func (b *Box) load(ctx context.Context) ([]byte, Pos, Rev, error) {
	snap, rev, err := b.t.log.LoadSnapshot(ctx, b.s.topic)
	if err != nil || rev == 0 {
		return nil, Pos{}, 0, outward(err)
	}
	version, data, err := b.s.openSnapshot(snap)
	if err != nil || version != boxVersion {
		// Whoever altered it is not to have it replaced by one that looks whole.
		b.t.n.rejected.Add(1)
		b.t.out.Error("a box was rejected; somebody may have tampered with the back end", b.s.attr(), slog.Any("why", err))
		return nil, Pos{}, 0, outward(ErrUnavailable)
	}
	return data, snap.At, rev, nil
}

// begin makes the topic's one entry, in whose place the box stands.
func (b *Box) begin(ctx context.Context) (Pos, error) {
	done, err := b.t.Append(ctx, b.s.tenant, b.s.name, Message{ID: boxMark, Body: []byte(`{}`)})
	if err != nil {
		return Pos{}, err
	}
	return done[0].Pos, nil
}
