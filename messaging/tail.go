package messaging

import "context"

// A Tail is one topic as this node follows it: the newest items, opened once
// and kept in a ring that all readers of the node share.
//
// A reader subscribes first and then loops: After(cursor) until it returns
// nothing, then wait to be woken. Older items come from the log through the
// same call, so catching up and live delivery are one loop.
type Tail struct{}

// Subscribe registers a channel for news: whenever the topic has moved, or the
// reader's position may be lost, it gets a value if it has room (so give it a
// buffer of one). One channel may be subscribed to several tails.
func (tl *Tail) Subscribe(wake chan<- struct{}) (unsubscribe func())

// After returns up to limit items after a position, from the ring when they
// are all there, else from the log. It is empty when this node knows of
// nothing newer. *PosLostError says that the position is not in the topic.
func (tl *Tail) After(ctx context.Context, pos Pos, limit int) ([]Item, error)

// Head returns the topic's head as the back end has it now.
func (tl *Tail) Head(ctx context.Context) (Pos, error)

// Release gives the tail back; its ring goes with the last one.
func (tl *Tail) Release()

// Encoded returns the frame that make builds from the item, and builds it once
// for all readers of this node that got the item from the same ring. make must
// depend on nothing but the item and its topic, and the frame must not be
// changed.
func (it Item) Encoded(make func(Item) []byte) []byte
