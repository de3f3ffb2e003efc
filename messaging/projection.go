package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// A Codec turns the state of a Projection into a snapshot and back.
type Codec[S any] struct {
	// Version names the shape of the state and the rules of its fold, such as
	// "survey/1". A snapshot of another version is not used, unless Unmarshal
	// reads that, too.
	Version   string
	Earlier   []string // versions that Unmarshal reads beside Version
	Marshal   func(*S) ([]byte, error)
	Unmarshal func([]byte, *S) error
}

// JSON returns the Codec that stores a state as JSON, and reads snapshots of
// earlier versions in the same way.
func JSON[S any](version string, earlier ...string) Codec[S] {
	return Codec[S]{
		Version:   version,
		Earlier:   earlier,
		Marshal:   func(state *S) ([]byte, error) { return json.Marshal(state) },
		Unmarshal: func(data []byte, state *S) error { return json.Unmarshal(data, state) },
	}
}

// A Projection is the state that the entries of one topic fold into. At most
// one kind of Projection of a topic may exist, since they share its snapshot;
// any number of nodes may have it. It is safe for concurrent use and needs no
// goroutine.
type Projection[S any] struct {
	t     *Topics        // static
	s     *sealer        // static
	fold  func(*S, Item) // static
	codec Codec[S]       // static
	tail  *Tail          // static
	unsub func()         // static
	news  chan struct{}  // static
	turn  chan struct{}  // capacity 1: filled by who owns the fields below

	state  S
	at     Pos  // everything up to here is in state
	loaded bool // the snapshot was looked for
	rev    Rev  // of the snapshot that was seen last
	since  int  // items folded since a snapshot
	alien  bool // the snapshot is of a version that is not known here
}

// Project returns the projection of a topic. fold applies one item to the
// state: it depends on nothing but the two (no clock, no randomness), skips
// what it does not know, and is never given a gap. The state starts as the zero
// S, or as codec's Unmarshal makes it from a snapshot.
func Project[S any](t *Topics, tenant lodge.Tenant, name string, fold func(*S, Item), codec Codec[S]) *Projection[S] {
	p := project(t, tenant, name, fold, codec)
	p.tail = t.Open(tenant, name)
	p.unsub = p.tail.Subscribe(p.news)
	return p
}

// project returns a projection that is not told of changes and holds nothing.
func project[S any](t *Topics, tenant lodge.Tenant, name string, fold func(*S, Item), codec Codec[S]) *Projection[S] {
	return &Projection[S]{
		t: t, s: t.seals.of(tenant, name), fold: fold, codec: codec,
		news: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

// View brings the state up to the topic's head and shows it to fn, which must
// neither change nor keep it, nor call the projection.
func (p *Projection[S]) View(ctx context.Context, fn func(*S)) error {
	return p.own(ctx, func() error {
		if err := p.catchUp(ctx); err != nil {
			return err
		}
		fn(&p.state)
		return nil
	})
}

// Append adds messages to the topic. When it returns, every View and Decide,
// on whatever node, begins with them folded.
func (p *Projection[S]) Append(ctx context.Context, msgs ...Message) error {
	_, err := p.t.Append(ctx, p.s.tenant, p.s.name, msgs...)
	return err
}

// Decide lets fn decide on the state at the topic's head which messages to
// add, and adds them, all or none, only if the head is still the same;
// otherwise fn is called again on the newer state. So of deciders that race, on
// whatever nodes, each sees what the winners before it added. fn must neither
// change nor keep the state, nor call the projection; its error ends Decide
// with nothing added.
func (p *Projection[S]) Decide(ctx context.Context, fn func(*S) ([]Message, error)) error {
	return p.own(ctx, func() error {
		for try := 0; ; try++ {
			if err := p.catchUp(ctx); err != nil {
				return err
			}
			msgs, err := fn(&p.state)
			if err != nil || len(msgs) == 0 {
				return err
			}
			err = p.t.appendIf(ctx, p.s, p.at, msgs)
			if !errors.Is(err, ErrConflict) {
				return err
			}
			if err := pause(ctx, try); err != nil {
				return err
			}
		}
	})
}

// Changed is sent to when the topic may have moved since it was last received
// from, as long as the Topics runs. It is never closed.
func (p *Projection[S]) Changed() <-chan struct{} { return p.news }

// Close releases what the projection holds of its topic. It is called once.
func (p *Projection[S]) Close() {
	p.unsub()
	p.tail.Release()
}

// own calls fn with the state, which one caller at a time owns.
func (p *Projection[S]) own(ctx context.Context, fn func() error) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// catchUp folds everything up to the topic's head.
func (p *Projection[S]) catchUp(ctx context.Context) error {
	if !p.loaded {
		if err := p.load(ctx); err != nil {
			return err
		}
	}
	for {
		page, err := p.t.read(ctx, p.s, p.at, maxRead)
		var lost *PosLostError
		switch {
		case errors.As(err, &lost):
			if err := p.restart(ctx, lost); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		for _, it := range page.Items {
			if !it.Gap {
				p.fold(&p.state, it)
			}
			p.at = it.Pos
			p.since++
		}
		if !page.More {
			break
		}
	}
	if p.since >= p.t.opts.SnapshotEvery {
		p.save(ctx)
	}
	return nil
}

// restart makes a start further back, after the position it was at turned out
// to be in the topic no more: from the snapshot, else from the very first
// entry, else from the floor. What another version of Lodge has put into the
// snapshot alone is not to be guessed: that is ErrUnavailable.
func (p *Projection[S]) restart(ctx context.Context, lost *PosLostError) error {
	at := p.at
	p.reset(Pos{})
	if at.IsZero() {
		if lost.Floor.IsZero() {
			return outward(fmt.Errorf("%w: it refuses its own beginning", ErrUnavailable))
		}
		if p.alien {
			p.loaded = false
			return outward(fmt.Errorf("%w: its beginning is in a snapshot of another version of Lodge alone", ErrUnavailable))
		}
		p.t.out.Warn("the beginning of a topic was discarded and no snapshot has it", p.s.attr(), slog.Uint64("floor", lost.Floor.Seq))
		p.reset(lost.Floor)
		return nil
	}
	if err := p.load(ctx); err != nil {
		return err
	}
	if p.at == at { // this snapshot is what was tried
		p.reset(Pos{})
	}
	return nil
}

func (p *Projection[S]) reset(at Pos) {
	var zero S
	p.state, p.at, p.since = zero, at, 0
}

// load starts from the snapshot, if there is one that can be used.
func (p *Projection[S]) load(ctx context.Context) error {
	snap, rev, err := p.t.log.LoadSnapshot(ctx, p.s.topic)
	if err != nil {
		return outward(err)
	}
	p.loaded, p.rev, p.alien = true, rev, false
	if rev == 0 {
		return nil
	}
	version, data, err := p.s.openSnapshot(snap)
	if err != nil {
		p.t.n.rejected.Add(1)
		p.t.out.Error("a snapshot was rejected; somebody may have tampered with the back end",
			p.s.attr(), slog.String("why", err.Error()))
		return nil
	}
	if version != p.codec.Version && !slices.Contains(p.codec.Earlier, version) {
		p.alien = true
		p.t.out.Info("a snapshot is of another version; starting from the first entry",
			p.s.attr(), slog.String("snapshot", version), slog.String("version", p.codec.Version))
		return nil
	}
	if err := p.codec.Unmarshal(data, &p.state); err != nil {
		p.t.out.Warn("a snapshot cannot be read; starting from the first entry", p.s.attr(), slog.Any("error", err))
		p.reset(Pos{})
		return nil
	}
	p.at = snap.At
	return nil
}

// save stores the state as the topic's snapshot. That is for the next start
// alone, so a failure is no more than logged, and tried again as many entries
// later.
func (p *Projection[S]) save(ctx context.Context) {
	p.since = 0
	data, err := p.codec.Marshal(&p.state)
	if err == nil {
		data, err = p.s.sealSnapshot(p.at, p.codec.Version, data)
	}
	if err == nil {
		err = p.store(ctx, Snapshot{At: p.at, Data: data})
	}
	if err != nil && ctx.Err() == nil {
		p.t.out.Warn("a snapshot could not be stored", p.s.attr(), slog.Any("error", err))
	}
}

// store replaces the snapshot that was seen last. Should another node have
// replaced it, then that one is good, too.
func (p *Projection[S]) store(ctx context.Context, snap Snapshot) error {
	rev, err := p.t.log.SaveSnapshot(ctx, p.s.topic, p.rev, snap)
	switch {
	case err == nil:
		p.t.n.snapshots.Add(1)
	case errors.Is(err, ErrConflict):
		_, rev, err = p.t.log.LoadSnapshot(ctx, p.s.topic)
	}
	if err != nil {
		return err
	}
	p.rev = rev
	return nil
}
