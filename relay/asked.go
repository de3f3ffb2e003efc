package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// askedFresh is how long what other nodes have answered is used again: whoever
	// asks many times over costs them no more than a few answers a second.
	askedFresh = 250 * time.Millisecond
	// maxAnswer bounds the answer of a node, in bytes unpacked.
	maxAnswer = 64 << 20
)

// asked gathers the other nodes' connections.
type asked struct {
	fleet *fleet

	mu sync.Mutex
	by map[lodge.Tenant]*gathering // guarded by mu; the newest
}

// A gathering is one question to all nodes, and what came of it.
type gathering struct {
	done   chan struct{} // closed when the rest is set
	at     time.Time
	peers  []PeerStatus
	silent []string
	mute   map[string]bool // the same by id
	failed bool            // the other nodes are not known
}

func (a *asked) init(f *fleet) { a.fleet, a.by = f, map[lodge.Tenant]*gathering{} }

// wirePeer is a PeerStatus as nodes tell one another, with what is left out of
// the status.
type wirePeer struct {
	PeerStatus
	Session    string         `json:"session"`
	Kind       string         `json:"kind"`
	Person     lodge.PersonID `json:"person"`
	Name       string         `json:"name"`
	Booking    string         `json:"booking"`
	Experiment string         `json:"experiment"`
	Unseen     bool           `json:"unseen"` // no Observer is told of it
}

// AllPeers returns the open connections of a tenant on all nodes, in no particular
// order, and the names of the nodes that did not answer in time: theirs are
// missing.
func (r *Relay) AllPeers(ctx context.Context, tenant lodge.Tenant) (peers []PeerStatus, silent []string) {
	peers = r.Peers(tenant)
	if r.fleet == nil || r.fleet.Asks == nil {
		return peers, nil
	}
	g := r.fleet.asked.gather(ctx, tenant)
	return append(peers, g.peers...), g.silent
}

// gather joins the question under way, uses the one just answered, or puts a new
// one.
func (a *asked) gather(ctx context.Context, tenant lodge.Tenant) *gathering {
	a.mu.Lock()
	g := a.by[tenant]
	fresh := g == nil
	if !fresh {
		select {
		case <-g.done:
			fresh = time.Since(g.at) >= askedFresh
		default:
		}
	}
	if !fresh {
		a.mu.Unlock()
		<-g.done // within AskWait
		return g
	}
	g = &gathering{done: make(chan struct{})}
	a.by[tenant] = g
	a.mu.Unlock()
	defer close(g.done)
	// Others may wait for it whose client has not left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.fleet.AskWait)
	defer cancel()
	a.ask(ctx, tenant, g)
	g.at = time.Now()
	return g
}

// ask puts the question of g to every node that lives.
func (a *asked) ask(ctx context.Context, tenant lodge.Tenant, g *gathering) {
	nodes, err := a.fleet.Leases.Nodes(ctx, tenant)
	if err != nil {
		a.fleet.relay.opts.Logger.WarnContext(ctx, "relay: the other nodes are not known", "err", err)
		g.silent, g.failed = []string{"all others"}, true
		return
	}
	missing := map[string]string{} // host by id
	for _, n := range nodes {
		if n.ID != a.fleet.Self.ID {
			missing[n.ID] = n.host()
		}
	}
	if len(missing) == 0 {
		return
	}
	err = a.fleet.Asks.Ask(ctx, tenant, func(node string, answer []byte) bool {
		if _, awaited := missing[node]; !awaited {
			return true
		}
		of, err := unpack(answer)
		if err != nil {
			a.fleet.relay.opts.Logger.WarnContext(ctx, "relay: answer of another node", "node", missing[node], "err", err)
			return true
		}
		delete(missing, node)
		for i := range of {
			of[i].node = node
		}
		g.peers = append(g.peers, of...)
		return len(missing) > 0
	})
	g.mute = map[string]bool{}
	for id, host := range missing {
		g.silent, g.mute[id] = append(g.silent, host), true
	}
	slices.Sort(g.silent)
	if err != nil || len(g.silent) > 0 {
		a.fleet.relay.opts.Logger.WarnContext(ctx, "relay: nodes that did not answer", "nodes", g.silent, "err", err)
	}
}

// host is what a node is called.
func (n Node) host() string {
	if u, err := url.Parse(n.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return n.ID
}

// answer tells other nodes of this one's connections until ctx ends.
func (f *fleet) answer(ctx context.Context) {
	const most = 5 * time.Second
	wait := 50 * time.Millisecond
	for {
		begun := time.Now()
		err := f.Asks.Answer(ctx, f.Self.ID, f.pack)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > most {
			wait = 50 * time.Millisecond
		}
		f.relay.opts.Logger.WarnContext(ctx, "relay: other nodes cannot ask this one", "err", err)
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) // nodes must not come back in step
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, most)
	}
}

// pack is the answer: JSON, packed, since it is the same few words many times.
func (f *fleet) pack(tenant lodge.Tenant) []byte {
	var list []wirePeer
	for _, p := range f.relay.Peers(tenant) {
		list = append(list, wirePeer{p, p.Session, p.Kind, p.Person, p.Name, p.Booking, p.Experiment, f.relay.unseen})
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a level that there is
	if err := json.NewEncoder(z).Encode(list); err != nil {
		f.relay.opts.Logger.Error("relay: status for other nodes", "err", err) // a time past the year 9999
		return nil
	}
	_ = z.Close() // a buffer takes everything
	return b.Bytes()
}

func unpack(answer []byte) ([]PeerStatus, error) {
	z, err := gzip.NewReader(bytes.NewReader(answer))
	if err != nil {
		return nil, fmt.Errorf("not packed: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(z, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, err
	}
	var list []wirePeer
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	peers := make([]PeerStatus, len(list))
	for i, p := range list {
		peers[i] = p.PeerStatus
		s := &peers[i]
		s.Session, s.Kind, s.Person, s.Name, s.Booking, s.Experiment = p.Session, p.Kind, p.Person, p.Name, p.Booking, p.Experiment
		s.unseen = p.Unseen
	}
	return peers, nil
}
