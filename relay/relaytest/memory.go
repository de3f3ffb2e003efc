package relaytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// A Memory is what the nodes of a fleet share, within one process. Each node uses
// an End of its own, which a test can cut off.
type Memory struct {
	mu      sync.Mutex
	nodes   map[holderKey]living      // guarded by mu, as the rest
	topics  map[holderKey]string      // node by topic
	notes   map[holderKey]memoryNote  // by name
	answers map[int]chan memoryAnswer // by question
	asked   map[chan memoryAsk]struct{}
	next    int
}

type holderKey struct {
	tenant lodge.Tenant
	name   string
}

type living struct {
	relay.Node
	until time.Time
}

type memoryNote struct {
	body  []byte
	until time.Time
}

type memoryAsk struct {
	tenant lodge.Tenant
	number int
}

type memoryAnswer struct {
	node string
	body []byte
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		nodes: map[holderKey]living{}, topics: map[holderKey]string{}, notes: map[holderKey]memoryNote{},
		answers: map[int]chan memoryAnswer{}, asked: map[chan memoryAsk]struct{}{},
	}
}

// Forget empties the store, as one does that comes back from an older copy.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.nodes)
	clear(m.topics)
	clear(m.notes)
}

// End is the store as one node reaches it.
func (m *Memory) End() *End { return &End{m: m} }

// An End implements relay.Leases, relay.Notes and relay.Asks.
type End struct {
	m *Memory

	mu  sync.Mutex
	cut bool // guarded by mu
}

var (
	_ relay.Leases = (*End)(nil)
	_ relay.Notes  = (*End)(nil)
	_ relay.Asks   = (*End)(nil)
)

// Cut lets every call fail from now on, or no more.
func (e *End) Cut(cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = cut
}

var errCut = errors.New("relaytest: cut off")

func (e *End) reach(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cut {
		return errCut
	}
	return ctx.Err()
}

// lives reports whether a node does; m.mu is held.
func (m *Memory) lives(tenant lodge.Tenant, id string) bool {
	n, known := m.nodes[holderKey{tenant, id}]
	return known && time.Now().Before(n.until)
}

// Beat implements relay.Leases.
func (e *End) Beat(ctx context.Context, tenant lodge.Tenant, node relay.Node, topics []string) (lost []string, err error) {
	if err := e.reach(ctx); err != nil {
		return nil, err
	}
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[holderKey{tenant, node.ID}] = living{node, time.Now().Add(node.Life)}
	for _, topic := range topics {
		key := holderKey{tenant, topic}
		if holder := m.topics[key]; holder != node.ID && m.lives(tenant, holder) {
			lost = append(lost, topic)
		} else {
			m.topics[key] = node.ID
		}
	}
	return lost, nil
}

// Hold implements relay.Leases.
func (e *End) Hold(ctx context.Context, tenant lodge.Tenant, topic string, candidates []string) (relay.Holding, error) {
	if err := e.reach(ctx); err != nil {
		return relay.Holding{}, err
	}
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	key := holderKey{tenant, topic}
	for _, id := range append([]string{m.topics[key]}, candidates...) {
		if m.lives(tenant, id) {
			m.topics[key] = id
			n := m.nodes[holderKey{tenant, id}]
			return relay.Holding{Node: n.Node, Left: time.Until(n.until)}, nil
		}
	}
	return relay.Holding{}, relay.ErrNobody
}

// Free implements relay.Leases.
func (e *End) Free(ctx context.Context, tenant lodge.Tenant, node string, topics []string) error {
	if err := e.reach(ctx); err != nil {
		return err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	for _, topic := range topics {
		if key := (holderKey{tenant, topic}); e.m.topics[key] == node {
			delete(e.m.topics, key)
		}
	}
	return nil
}

// Leave implements relay.Leases.
func (e *End) Leave(ctx context.Context, tenant lodge.Tenant, node string) error {
	if err := e.reach(ctx); err != nil {
		return err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	delete(e.m.nodes, holderKey{tenant, node})
	return nil
}

// Nodes implements relay.Leases.
func (e *End) Nodes(ctx context.Context, tenant lodge.Tenant) ([]relay.Node, error) {
	if err := e.reach(ctx); err != nil {
		return nil, err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	var nodes []relay.Node
	for key, n := range maps.All(e.m.nodes) {
		if key.tenant == tenant && e.m.lives(tenant, n.ID) {
			nodes = append(nodes, n.Node)
		}
	}
	slices.SortFunc(nodes, func(a, b relay.Node) int { return strings.Compare(a.ID, b.ID) })
	return nodes, nil
}

// Put implements relay.Notes.
func (e *End) Put(ctx context.Context, tenant lodge.Tenant, name string, body []byte, life time.Duration) error {
	if err := e.reach(ctx); err != nil {
		return err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	e.m.notes[holderKey{tenant, name}] = memoryNote{slices.Clone(body), time.Now().Add(life)}
	return nil
}

// Take implements relay.Notes.
func (e *End) Take(ctx context.Context, tenant lodge.Tenant, name string) ([]byte, error) {
	if err := e.reach(ctx); err != nil {
		return nil, err
	}
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	key := holderKey{tenant, name}
	n, known := e.m.notes[key]
	delete(e.m.notes, key)
	if !known || !time.Now().Before(n.until) {
		return nil, nil
	}
	return n.body, nil
}

// Ask implements relay.Asks.
func (e *End) Ask(ctx context.Context, tenant lodge.Tenant, got func(node string, answer []byte) bool) error {
	if err := e.reach(ctx); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	m := e.m
	m.mu.Lock()
	m.next++
	number, answers := m.next, make(chan memoryAnswer, 64)
	m.answers[number] = answers
	for asked := range m.asked {
		select {
		case asked <- memoryAsk{tenant, number}:
		default: // a node that does not answer is what callers reckon with
		}
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.answers, number)
	}()
	for {
		select {
		case a := <-answers:
			if !got(a.node, a.body) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Answer implements relay.Asks.
func (e *End) Answer(ctx context.Context, node string, fn func(lodge.Tenant) []byte) error {
	asked := make(chan memoryAsk, 64)
	m := e.m
	m.mu.Lock()
	m.asked[asked] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.asked, asked)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ask := <-asked:
			if e.reach(ctx) != nil {
				continue
			}
			body := fn(ask.tenant)
			m.mu.Lock()
			if to := m.answers[ask.number]; to != nil {
				to <- memoryAnswer{node, body}
			}
			m.mu.Unlock()
		}
	}
}
