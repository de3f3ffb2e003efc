package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// recordLimit bounds how long Record waits for the disk.
	recordLimit = 10 * time.Second
	// anchorEvery is how often the head is written outside the database, at the
	// most.
	anchorEvery = time.Second
	// sweepEvery is how often refusals that were only counted are written down.
	sweepEvery = 15 * time.Second
)

// A Trail records events and finds what was tampered with. It is safe for
// concurrent use. Run must be running for the head to be written while it is
// used; Close writes it at the end.
type Trail struct {
	store  Store
	seal   sealer
	clock  lodge.Clock
	log    *slog.Logger
	limits limits
	news   chan struct{} // capacity 1: something was recorded

	anchorMu sync.Mutex
	anchor   anchorFile // guarded by anchorMu
	anchored Head       // guarded by anchorMu: what the file holds
}

// Open opens a trail. key is 32 secret bytes that are not in the store;
// headFile is where the head is kept outside of it. What the file and the store
// contradict each other in is logged and recorded as Broken, which Verify reports
// from then on; only a file that cannot be read or written is an error. The zero
// Rule is the usual one.
func Open(ctx context.Context, store Store, key []byte, headFile string, rule Rule, clock lodge.Clock, log *slog.Logger) (*Trail, error) {
	if len(key) < 32 {
		return nil, errors.New("audit: the key has less than 32 bytes")
	}
	t := &Trail{
		store: store, seal: sealer{key}, clock: clock, log: log, news: make(chan struct{}, 1),
		anchor: anchorFile{headFile}, limits: limits{rule: rule.withDefaults()},
	}
	t.anchorMu.Lock()
	defer t.anchorMu.Unlock()
	if err := t.adopt(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// Record writes an event down and returns when it is durable. It goes on when
// ctx ends: the decision has been made. Refusals beyond what the Rule allows are
// counted and written down together, as Omitted.
func (t *Trail) Record(ctx context.Context, e Event) error {
	now := t.clock.Now()
	events := t.limits.due(now, false)
	if e.Action.refusal() && !t.limits.allow(e, now) {
		if len(events) == 0 {
			return nil
		}
	} else {
		events = append(events, e)
	}
	return t.append(ctx, events)
}

func (t *Trail) append(ctx context.Context, events []Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	now := t.clock.Now()
	if err := t.store.Append(ctx, func(head Head) []Entry { return t.seal.seal(head, now, events) }); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	select {
	case t.news <- struct{}{}:
	default:
	}
	return nil
}

// List returns the entries of a tenant that match a filter, oldest first.
func (t *Trail) List(ctx context.Context, tenant lodge.Tenant, f Filter) ([]Entry, error) {
	entries, err := t.store.List(ctx, tenant, f)
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeUnavailable, "The audit trail cannot be read at the moment; try again.", err)
	}
	return entries, nil
}

// Run writes the head outside the database after something was recorded, at most
// once a second, until ctx ends. It returns nil.
func (t *Trail) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			t.sweep(ctx, false)
			continue
		case <-t.news:
		}
		if err := t.writeHead(ctx); err != nil && ctx.Err() == nil {
			t.log.ErrorContext(ctx, "audit: the head was not written outside the database; until it is, a cut tail is not noticed", "err", err)
			t.again()
		}
		pace.Reset(anchorEvery)
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
	}
}

// again makes Run write the head once more.
func (t *Trail) again() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// sweep writes down what was only counted; all of it, or what is due.
func (t *Trail) sweep(ctx context.Context, all bool) {
	if events := t.limits.due(t.clock.Now(), all); len(events) > 0 {
		if err := t.append(ctx, events); err != nil {
			t.log.ErrorContext(ctx, "audit: counted refusals were not recorded", "events", events, "err", err)
		}
	}
}

// Close writes down what is left and the head. Nothing may be recorded after it.
func (t *Trail) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), recordLimit)
	defer cancel()
	t.sweep(ctx, true)
	return t.writeHead(ctx)
}

// head returns the newest entry's place, the genesis for an empty trail.
func (t *Trail) head(ctx context.Context) (Head, error) {
	head, err := t.store.Head(ctx)
	if err == nil && head.Seq == 0 {
		head.MAC = t.seal.genesis()
	}
	return head, err
}

// writeHead brings the file up to the head, once it is clear that the trail still
// contains what the file says.
func (t *Trail) writeHead(ctx context.Context) error {
	t.anchorMu.Lock()
	defer t.anchorMu.Unlock()
	head, err := t.head(ctx)
	if err != nil || head == t.anchored {
		return err
	}
	contains, err := t.contains(ctx, t.anchored)
	if err != nil {
		return err
	}
	if !contains {
		return t.breakOff(ctx, fmt.Sprintf("the head written outside the database, entry %d, is not in the trail any more", t.anchored.Seq))
	}
	return t.put(head)
}

// contains reports whether the trail has an entry of that place and MAC.
func (t *Trail) contains(ctx context.Context, head Head) (bool, error) {
	if head.Seq == 0 {
		return head.MAC == t.seal.genesis(), nil
	}
	found, err := t.store.Read(ctx, head.Seq-1, 1)
	if err != nil {
		return false, err
	}
	return len(found) == 1 && found[0].Seq == head.Seq && found[0].MAC == head.MAC, nil
}

// put writes the file. anchorMu is held.
func (t *Trail) put(head Head) error {
	if err := t.anchor.write(head, t.clock.Now()); err != nil {
		return err
	}
	t.anchored = head
	return nil
}

// adopt takes over the file that an earlier run left. anchorMu is held.
func (t *Trail) adopt(ctx context.Context) error {
	head, err := t.head(ctx)
	if err != nil {
		return err
	}
	was, err := t.anchor.read()
	switch {
	case errors.Is(err, errNoAnchor) && head.Seq == 0:
		return t.put(head)
	case errors.Is(err, errNoAnchor):
		return t.breakOff(ctx, "the file that holds the head outside the database was missing")
	case errors.Is(err, errBadAnchor):
		return t.breakOff(ctx, "the file that holds the head outside the database could not be understood")
	case err != nil:
		return err
	}
	contains, err := t.contains(ctx, was)
	if err != nil {
		return err
	}
	if !contains {
		return t.breakOff(ctx, fmt.Sprintf("the head written outside the database, entry %d, was not in the trail, which ended with entry %d", was.Seq, head.Seq))
	}
	t.anchored = was
	return t.put(head)
}

// breakOff records that the trail was found tampered with, puts the file that
// shows it aside and goes on from there. anchorMu is held.
func (t *Trail) breakOff(ctx context.Context, found string) error {
	t.log.ErrorContext(ctx, "audit: the trail was tampered with, or restored from an older copy; run lodge audit verify", "found", found, "file", t.anchor.path)
	if err := t.append(ctx, []Event{{Actor: "lodge", Action: Broken, Object: "audit", Reason: found}}); err != nil {
		return err
	}
	head, err := t.head(ctx)
	return cmp.Or(err, t.anchor.putAside(head), t.put(head))
}
