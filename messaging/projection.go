package messaging

import (
	"context"

	lodge "github.com/lodge-gateway/lodge"
)

// A Codec turns the state of a Projection into a snapshot and back.
type Codec[S any] struct {
	// Version names the shape of the state and the rules of its fold, such as
	// "survey/1". A snapshot of another version is not used.
	Version   string
	Marshal   func(*S) ([]byte, error)
	Unmarshal func([]byte, *S) error
}

// JSON returns the Codec that stores a state as JSON.
func JSON[S any](version string) Codec[S]

// A Projection is the state that the entries of one topic fold into. At most
// one kind of Projection of a topic may exist, since they share its snapshot.
type Projection[S any] struct{}

// Project returns the projection of a topic. fold applies one item to the
// state: it depends on nothing but the two (no clock, no randomness), skips
// what it does not know, and never sees a gap. The state starts as the zero S,
// or as codec's Unmarshal made it from a snapshot.
func Project[S any](t *Topics, tenant lodge.Tenant, name string, fold func(*S, Item), codec Codec[S]) *Projection[S]

// View brings the state up to the topic's head and shows it to fn, which must
// neither change nor keep it, nor call the projection.
func (p *Projection[S]) View(ctx context.Context, fn func(*S)) error

// Append adds messages to the topic; any later View or Decide has them folded.
func (p *Projection[S]) Append(ctx context.Context, msgs ...Message) error

// Decide lets fn decide on the state at the topic's head which messages to
// add, and adds them, all or none, only if the head is still the same;
// otherwise fn is called again on the newer state. So of deciders that race, on
// whatever nodes, each sees what the winners before it added. fn must neither
// change nor keep the state; an error of fn ends Decide with nothing added.
func (p *Projection[S]) Decide(ctx context.Context, fn func(*S) ([]Message, error)) error

// Changed is sent to when the topic may have moved since it was last received
// from. It is never closed.
func (p *Projection[S]) Changed() <-chan struct{}

// Close releases what the projection holds of its topic.
func (p *Projection[S]) Close()
