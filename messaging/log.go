package messaging

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// A Topic is the physical name of a totally ordered log of entries, as a back
// end stores it: an opaque, fixed-length name that Topics derives from tenant
// and logical name. Back ends compare topics for equality only.
type Topic string

// A Tag tells apart two entries that carry the same epoch and sequence, which a
// back end that loses its last entries in a failover can produce. The caller
// supplies it; a back end stores and compares it.
type Tag [8]byte

// A Pos is a place in a topic: just behind the entry with this sequence number.
// The zero Pos stands before the first entry of whatever epoch the topic has.
type Pos struct {
	Epoch uint64 // changes when the topic is dropped and made again
	Seq   uint64 // 1 for the first entry
	Tag   Tag
}

// IsZero reports whether p stands before everything.
func (p Pos) IsZero() bool { return p == Pos{} }

// String returns the form a client keeps and sends back: opaque outside the
// server, safe in a URL; the zero Pos is "".
func (p Pos) String() string {
	if p.IsZero() {
		return ""
	}
	var b [24]byte
	binary.BigEndian.PutUint64(b[0:], p.Epoch)
	binary.BigEndian.PutUint64(b[8:], p.Seq)
	copy(b[16:], p.Tag[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParsePos reads what String wrote. Anything else is an error, never the start.
func ParsePos(s string) (Pos, error) {
	if s == "" {
		return Pos{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 24 {
		return Pos{}, errors.New("messaging: that is not a position")
	}
	p := Pos{Epoch: binary.BigEndian.Uint64(b[0:]), Seq: binary.BigEndian.Uint64(b[8:]), Tag: Tag(b[16:])}
	if p.IsZero() {
		return Pos{}, errors.New("messaging: that is not a position")
	}
	return p, nil
}

// MaxBody is the largest body a Log accepts, in bytes.
const MaxBody = 1 << 20

// A Msg is what a caller appends.
type Msg struct {
	// ID identifies the message within its topic: appending the same ID again
	// returns the position of the entry that is there and adds nothing. Back
	// ends remember IDs for as long as the entry itself.
	ID   string
	Tag  Tag
	Body []byte
}

// An Entry is a Msg at its place.
type Entry struct {
	Pos  Pos
	ID   string
	Body []byte
}

// Appended says where a Msg is.
type Appended struct {
	Pos       Pos
	Duplicate bool // the same ID was there already, at Pos
}

// A Page is a run of consecutive entries, and the bounds of its topic at the
// moment it was read.
type Page struct {
	Entries []Entry
	// More says that there are further entries in the direction read. A page
	// may hold fewer than were asked for (large bodies) and still have More.
	More  bool
	Floor Pos // reading can start here or later; zero when nothing was discarded
	Head  Pos // the position of the newest entry; Floor when there is none
}

// A Snapshot is the folded state of a topic up to and including At.
type Snapshot struct {
	At   Pos
	Data []byte
}

// A Rev is the revision of a topic's snapshot; 0 means there is none.
type Rev uint64

// A Log stores topics. Several back ends implement it, all behind the
// conformance suite messagingtest.Run.
//
// All methods are safe for concurrent use. A method that returns
// ErrUnavailable, or its context's error, did nothing; one that returns
// ErrUncertain may have done all of it, and Append may then be repeated with
// the same IDs. Slices that go in or come out are not shared with the log.
//
// A position is in a topic when it names an entry that is there, with the
// entry's own epoch, sequence and tag, or when it is the floor. The zero Pos is
// in a topic as long as nothing was discarded from it: it stands before its
// first entry, so that who reads from there misses nothing unawares. Any other
// position gives *PosLostError, whose Floor says where reading can go on.
type Log interface {
	// Append adds msgs in order, all or none, and returns when they are as
	// durable as the back end can make them. An ID that is there already, or
	// earlier in msgs, adds nothing and is answered with its position. A body
	// over MaxBody gives ErrTooLarge, an empty ID ErrNoID.
	//
	// With ifHead set, it adds msgs only when the topic's head is exactly *ifHead
	// (zero for a topic that nobody wrote to since it was dropped or made) and
	// none of their IDs is there already, else ErrConflict: what is added then
	// follows on *ifHead without a break. A batch all of whose IDs are there
	// already succeeds whatever the head is.
	Append(ctx context.Context, topic Topic, msgs []Msg, ifHead *Pos) ([]Appended, error)

	// Read returns up to limit entries after a position, oldest first. A
	// position that is not in the topic (older than the floor, of another
	// epoch or topic, from the future, or with another tag) gives *PosLostError. A
	// topic nobody wrote to is an empty page. With a limit of 0 the page has
	// its bounds and More only.
	Read(ctx context.Context, topic Topic, after Pos, limit int) (Page, error)

	// ReadBack returns up to limit entries before a position, newest first: the
	// entry at the position itself is not among them. The zero Pos means behind
	// the head. Errors are those of Read.
	ReadBack(ctx context.Context, topic Topic, before Pos, limit int) (Page, error)

	// Heads returns the head of each topic, in order, in one call: the zero Pos
	// for one that nobody wrote to.
	Heads(ctx context.Context, topics []Topic) ([]Pos, error)

	// Changes yields topics that may have new entries or were dropped, until
	// ctx ends or the back end closes (which yields ErrClosed last). It yields
	// hints only: one may be missing or doubled. Those of appends that returned
	// before the iteration began are not yielded.
	Changes(ctx context.Context) iter.Seq2[Topic, error]

	// Discard removes the entries up to and including through and keeps that
	// position as the floor, from which reading still works. It may be
	// repeated; a position below the floor, and the zero Pos, change nothing.
	// Any other position that is not in the topic gives *PosLostError.
	Discard(ctx context.Context, topic Topic, through Pos) error

	// Drop removes the topic with all it has. The next Append starts a new
	// epoch; positions of the old one are lost. Dropping nothing is no error.
	Drop(ctx context.Context, topic Topic) error

	// LoadSnapshot returns the newest snapshot and its revision, or a zero
	// Snapshot and Rev 0.
	LoadSnapshot(ctx context.Context, topic Topic) (Snapshot, Rev, error)

	// SaveSnapshot replaces the snapshot when its revision is still expect,
	// else ErrConflict; so does one whose At is before the stored one's. At
	// must be in the topic and not zero, else *PosLostError. A snapshot belongs
	// to its topic's epoch and goes with it. Discarding does not touch it.
	SaveSnapshot(ctx context.Context, topic Topic, expect Rev, s Snapshot) (Rev, error)

	// Close ends every call under way with ErrClosed and releases what the log
	// holds. It may be repeated.
	Close() error
}

// The errors of a Log.
var (
	ErrUncertain   = errors.New("messaging: the outcome is not known; repeat with the same ID")
	ErrConflict    = errors.New("messaging: the topic has moved on")
	ErrTooLarge    = errors.New("messaging: the message is too large")
	ErrNoID        = errors.New("messaging: a message needs an ID")
	ErrDropped     = errors.New("messaging: the topic was dropped")
	ErrClosed      = errors.New("messaging: the log is closed")
	ErrUnavailable = errors.New("messaging: the log cannot be reached")
)

// A PosLostError says that a position is not in its topic, and from where
// reading can go on.
type PosLostError struct {
	Floor, Head Pos
}

func (e *PosLostError) Error() string {
	return fmt.Sprintf("messaging: that position is not in the topic any more (floor %d, head %d)", e.Floor.Seq, e.Head.Seq)
}
