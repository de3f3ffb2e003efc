package messaging

import (
	"context"
	"log/slog"
	"time"

	lodge "github.com/lodge-gateway/lodge"
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
	// Logger gets what an operator should know; slog.Default() when nil.
	Logger *slog.Logger
}

// A Message is what a caller wants in a topic.
type Message struct {
	// ID identifies the message within its topic. Appending an ID that is there
	// adds nothing and returns the position of the entry that has it. Empty
	// means a new random one. The back end sees it in the clear.
	ID string
	// Body is sealed before it reaches the back end.
	Body []byte
}

// An Item is an entry that was opened and found genuine and in its place, or,
// with Gap set, the news that one or more entries up to Pos were not.
type Item struct {
	Pos  Pos
	ID   string
	Body []byte // shared with other readers: not to be changed
	Gap  bool   // something up to Pos was forged, altered or removed; ID and Body are empty

	shared *sharedFrame // set for items that came through a Tail
}

// An OpenPage is a run of Items.
type OpenPage struct {
	Items []Item
	More  bool // there are further items in the direction read
	Floor Pos  // reading can start here or later; zero when nothing was discarded
	Head  Pos  // the position of the newest entry, or Floor when there is none
}

// Topics is what the rest of Lodge uses of a Log: topics by tenant and logical
// name, sealed on the way in, verified on the way out.
type Topics struct{}

// NewTopics returns Topics over a log. It starts nothing: Append, Read and
// ReadBack work at once, tails are fed while Run runs.
func NewTopics(log Log, keys Keyring, opts TopicsOptions) (*Topics, error)

// Run follows the log until ctx ends: it feeds the open tails from hints and
// from the repair poll, and returns when all its goroutines have.
func (t *Topics) Run(ctx context.Context) error

// Append seals messages and adds them to a topic, in order and all or none,
// except those whose IDs are there already. It returns when they are durable.
// Appends to one topic that wait at the same time go to the back end together.
//
// Errors are a *lodge.Error around ErrTooLarge, ErrUnavailable, ErrUncertain
// (repeat with the same IDs) or ErrClosed.
func (t *Topics) Append(ctx context.Context, tenant lodge.Tenant, name string, msgs ...Message) ([]Appended, error)

// Read returns up to limit items after a position, oldest first; the zero Pos
// means from the start. A position that is not in the topic gives *PosLostError.
func (t *Topics) Read(ctx context.Context, tenant lodge.Tenant, name string, after Pos, limit int) (OpenPage, error)

// ReadBack returns up to limit items before a position, newest first; the zero
// Pos means from the head.
func (t *Topics) ReadBack(ctx context.Context, tenant lodge.Tenant, name string, before Pos, limit int) (OpenPage, error)

// Open returns the node's Tail of a topic, which all its readers share. Each
// Open needs one Release.
func (t *Topics) Open(tenant lodge.Tenant, name string) *Tail

// Stats returns what was counted since the start.
func (t *Topics) Stats() Stats
