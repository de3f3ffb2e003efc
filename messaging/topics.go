package messaging

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// TopicsOptions tune a Topics. The zero value is good for a server.
type TopicsOptions struct {
	// Poll is how often the heads of all open topics are compared with what
	// this node has read, so that a lost hint delays a message by no more than
	// that; 2 s when zero.
	Poll time.Duration
	// Ring is how many of a topic's newest entries an open Tail keeps, shared by
	// all its readers; 256 when zero.
	Ring int
	// SnapshotEvery is after how many folded entries a Projection stores its
	// state; 1,000 when zero.
	SnapshotEvery int
	// Unlisted keeps topics out of their tenant's directory: for a log whose
	// retention is nobody's business, such as one that is measured.
	Unlisted bool
	// Logger gets what an operator should know; slog.Default() when nil.
	Logger *slog.Logger
}

// A Message is what a caller wants in a topic.
type Message struct {
	// ID identifies the message within its topic. Appending an ID that is there
	// adds nothing and returns the position of the entry that has it. Empty
	// means a new random one, which also is the cheapest. The back end sees it
	// in the clear.
	ID string
	// Body is sealed before it reaches the back end.
	Body []byte
}

// MaxMessage is the largest body of a Message, in bytes.
const MaxMessage = MaxBody - maxOverhead

// An Item is an entry that was opened and found genuine and in its place, or,
// with Gap set, the news that one or more entries were not.
type Item struct {
	Pos  Pos // of a gap: of the last rejected entry, from where reading goes on
	ID   string
	Body []byte // shared with other readers: not to be changed
	Gap  bool   // ID and Body are empty
}

// An OpenPage is a run of Items.
type OpenPage struct {
	Items []Item
	More  bool // there are further items in the direction read
	Floor Pos  // reading can start here or later; zero when nothing was discarded
	Head  Pos  // the position of the newest entry, or Floor when there is none
}

// Topics is what the rest of Lodge uses of a Log: topics by tenant and logical
// name, sealed on the way in, verified on the way out. It is safe for
// concurrent use.
type Topics struct {
	log   Log           // static
	seals *sealerCache  // has its own lock
	opts  TopicsOptions // static, completed
	out   *slog.Logger  // static
	n     counters      // atomic
	work  feedQueue     // has its own lock
	head  headCache     // has its own lock
	dirs  directories   // has its own lock

	mu        sync.RWMutex
	tails     map[Topic]*Tail     // the open ones; guarded by mu
	appenders map[Topic]*appender // those in use; guarded by mu
}

// NewTopics returns Topics over a log, which stays the caller's to close. It
// starts nothing: Append, Read and ReadBack work at once, tails are fed while
// Run runs. A keyring that cannot be used is an error that names all its faults.
func NewTopics(log Log, keys Keyring, opts TopicsOptions) (*Topics, error) {
	if err := keys.check(); err != nil {
		return nil, err
	}
	if opts.Poll <= 0 {
		opts.Poll = 2 * time.Second
	}
	if opts.Ring <= 0 {
		opts.Ring = 256
	}
	if opts.SnapshotEvery <= 0 {
		opts.SnapshotEvery = 1000
	}
	out := opts.Logger
	if out == nil {
		out = slog.Default()
	}
	return &Topics{
		log: log, opts: opts, out: out,
		work:      feedQueue{wake: make(chan struct{}, 1)},
		seals:     newSealerCache(keys.clone()),
		head:      headCache{heads: make(map[Topic]Pos)},
		dirs:      directories{books: make(map[lodge.Tenant]*Projection[listing]), known: make(map[Topic]struct{})},
		tails:     make(map[Topic]*Tail),
		appenders: make(map[Topic]*appender),
	}, nil
}

// Append seals messages and adds them to a topic, in order and all or none,
// except those whose IDs are there already. It returns when they are durable,
// and says of each where it is. Appends to one topic that wait at the same time
// go to the back end together.
//
// Errors are a *lodge.Error around ErrTooLarge, ErrUnavailable, ErrClosed or
// ErrUncertain (repeat with the same IDs; so does a context that ends while the
// back end is at work), or the context's error when nothing was done.
func (t *Topics) Append(ctx context.Context, tenant lodge.Tenant, name string, msgs ...Message) ([]Appended, error) {
	call, err := newAppendCall(msgs)
	if err != nil {
		return nil, outward(err)
	}
	if len(msgs) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := t.seals.of(tenant, name)
	if err := t.enlist(ctx, s); err != nil {
		return nil, err
	}
	a := t.acquire(s)
	defer t.release(a)
	if err := a.add(ctx, call); err != nil {
		return nil, outward(err)
	}
	return call.added(), nil
}

// appendIf is Append under the condition that the topic's head is exactly head;
// else it is ErrConflict.
func (t *Topics) appendIf(ctx context.Context, s *sealer, head Pos, msgs []Message) error {
	call, err := newAppendCall(msgs)
	if err != nil {
		return outward(err)
	}
	if err := t.enlist(ctx, s); err != nil {
		return err
	}
	a := t.acquire(s)
	defer t.release(a)
	if err := a.addIf(ctx, call, head); err != nil {
		return outward(err)
	}
	return nil
}

// Stats returns what was counted since the start.
func (t *Topics) Stats() Stats { return t.n.stats() }

// newID returns a random message ID, of 130 bits.
func newID() string { return rand.Text() }

// outward gives the errors of a Log the code and the message that the outside
// may see. Lost positions, conflicts and ended contexts are for the caller.
func outward(err error) error {
	switch {
	case errors.Is(err, ErrTooLarge):
		return lodge.Wrap(lodge.CodeTooLarge, "The message is too large; shorten it.", err)
	case errors.Is(err, ErrUncertain):
		return lodge.Wrap(lodge.CodeUnavailable, "It is not certain that the message was stored; send the same one again.", err)
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed), errors.Is(err, ErrDropped):
		return lodge.Wrap(lodge.CodeUnavailable, "Messages cannot be reached at the moment; try again shortly.", err)
	default:
		return err
	}
}
