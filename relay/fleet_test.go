package relay_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/relay/relaytest"
)

// everybody is an Access that gives every code every right.
type everybody struct{ kind string }

func (e everybody) Grant(_ context.Context, tenant lodge.Tenant, code, topic string) (relay.Grant, error) {
	g := relay.Grant{Tenant: tenant, Session: code, Kind: e.kind, Topic: topic, Read: true, Write: true, Name: "Name of " + code}
	if e.kind == "experiment" {
		g.Person = lodge.PersonID("person-" + code)
		g.Experiment, _, _ = strings.Cut(topic, "-")
	}
	return g, nil
}

func (everybody) Renew(_ context.Context, g relay.Grant) (relay.Grant, error) { return g, nil }
func (everybody) Watch(relay.Grant, func()) (stop func())                     { return func() {} }

// A fleet is some nodes on pipes. They share a store, each at its own end.
type fleet struct {
	t      *testing.T
	shared *relaytest.Memory

	kind    string                    // of the grants
	distant map[string]relay.Observer // by node
	hints   *bus                      // nil: each node for itself

	mu    sync.Mutex
	nodes map[string]*fleetNode // by host
}

type fleetNode struct {
	*relay.Relay
	end    *relaytest.End
	server *wstest.Server
	stop   func() // as a crash would
}

const life = 6 * time.Second

// pass lets time pass, which in a bubble takes none.
func pass(d time.Duration) { <-time.After(d) }

// inFleet runs a test in a bubble of its own.
func inFleet(t *testing.T, test func(*testing.T, *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, &fleet{t: t, kind: "service", shared: relaytest.NewMemory(), nodes: map[string]*fleetNode{}})
	})
}

// node starts one more node, and waits until it has been heard of. A name that
// begins with "gateway" is of one that carries nothing.
func (f *fleet) node(name string) *fleetNode {
	f.t.Helper()
	n := &fleetNode{end: f.shared.End()}
	self := relay.Node{ID: name, URL: "ws://" + name, Life: life}
	if strings.HasPrefix(name, "gateway") {
		self.URL = ""
	}
	options := relay.Options{
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Allowed: func(context.Context, lodge.Tenant, string, string) (bool, error) { return true, nil },
		Fleet:   &relay.Fleet{Self: self, Tenants: []lodge.Tenant{lodge.DefaultTenant}, Leases: n.end, Notes: n.end, Asks: n.end},
		Distant: f.distant[name],
	}
	if f.hints != nil {
		options.Hints = f.hints
	}
	n.Relay = relay.New(everybody{f.kind}, lodge.SystemClock{}, options)
	mux := http.NewServeMux()
	mux.HandleFunc("/session/", n.Session)
	mux.HandleFunc("/status", n.Status)
	n.server = wstest.Serve(mux)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.Run(ctx) }) // it returns nil
	n.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	f.t.Cleanup(func() {
		if err := n.Drain(context.Background()); err != nil {
			f.t.Error(err)
		}
		n.stop()
		n.server.Close()
	})
	if err := n.Joined(context.Background()); err != nil {
		f.t.Fatal(err)
	}
	pass(life / 6) // within which the others have heard of it too
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[name] = n
	return n
}

// ask does the exchange at a node.
func (f *fleet) ask(n *fleetNode, topic, code string) (uri string, status int) {
	f.t.Helper()
	req, err := http.NewRequest(http.MethodPost, n.server.URL+"/session/"+topic, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", code)
	resp, err := n.server.Client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ URI string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		f.t.Fatal(err)
	}
	return answer.URI, resp.StatusCode
}

// at returns the node that an address names.
func (f *fleet) at(uri string) *fleetNode {
	f.t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[u.Host]
	if n == nil {
		f.t.Fatalf("%q names no node", uri)
	}
	return n
}

// join does the whole exchange, asking n, and returns where it led to.
func (f *fleet) join(n *fleetNode, topic, code string) (*websocket.Conn, *fleetNode) {
	f.t.Helper()
	uri, status := f.ask(n, topic, code)
	if status != http.StatusOK {
		f.t.Fatalf("asked for %s: %d", topic, status)
	}
	at := f.at(uri)
	return wstest.Dial(f.t, at.server.Client, uri, nil), at
}

// meet fails unless what one sends reaches the other.
func (f *fleet) meet(one, other *websocket.Conn) {
	f.t.Helper()
	synctest.Wait()
	wstest.Write(f.t, one, websocket.MessageText, "hello")
	if _, got := wstest.Read(f.t, other); got != "hello" {
		f.t.Errorf("got %q", got)
	}
}

func TestFleetMeetsWhoeverIsAsked(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		nodes := []*fleetNode{f.node("one"), f.node("two"), f.node("gateway")}
		led := map[*fleetNode]int{}
		for _, topic := range []string{"pend00-data", "pend01-data", "pend02-data", "spin-data", "truss-data", "a", "b", "c", "d", "e"} {
			host, at := f.join(nodes[0], topic, "host")
			led[at]++
			for _, asked := range nodes {
				viewer, there := f.join(asked, topic, "viewer")
				if there != at {
					t.Errorf("%s is at two nodes", topic)
				}
				f.meet(host, viewer)
				f.meet(viewer, host)
				if err := viewer.CloseNow(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if led[nodes[0]] < 2 || led[nodes[1]] < 2 {
			t.Errorf("of ten topics the nodes have %d and %d", led[nodes[0]], led[nodes[1]])
		}
	})
}

func TestSec27_TicketsAreGoodAtTheNodeTheyName(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two := f.node("one"), f.node("two")
		_, at := f.join(one, "pend00-data", "host")
		other := map[*fleetNode]*fleetNode{one: two, two: one}[at]
		refused := func(at *fleetNode, uri string) {
			t.Helper()
			if conn, status := wstest.TryDial(t, at.server.Client, uri, nil); conn != nil || status != http.StatusUnauthorized {
				t.Errorf("opened with status %d", status)
			}
		}
		uri := func(asked *fleetNode, topic string) string {
			t.Helper()
			uri, status := f.ask(asked, topic, "viewer")
			if status != http.StatusOK {
				t.Fatal(status)
			}
			return uri
		}
		mine, foreign := uri(at, "pend00-data"), uri(other, "pend00-data")
		refused(other, mine)
		refused(other, foreign) // which spends it
		refused(at, foreign)
		foreign = uri(other, "pend00-data")
		refused(at, strings.Replace(foreign, "pend00-data", "pend00-video", 1))
		refused(at, foreign)
		refused(at, strings.Replace(uri(other, "pend00-data"), "code=~", "code=", 1))
		foreign = uri(other, "pend00-data")
		wstest.Dial(t, at.server.Client, foreign, nil)
		refused(at, foreign)
		foreign = uri(other, "pend00-data")
		pass(31 * time.Second)
		refused(at, foreign)
		// What is asked for and not opened is bounded at either.
		for i := 0; ; i++ {
			_, status := f.ask(other, "pend00-data", "greedy")
			if status == http.StatusTooManyRequests {
				break
			}
			if status != http.StatusOK || i > 100 {
				t.Fatalf("the %dth is answered %d", i, status)
			}
		}
	})
}

// A node that is cut off from the others ends its connections before another can
// have their topics; they meet there, and when it is back it follows.
func TestFleetFencesANodeThatIsCutOff(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two := f.node("one"), f.node("two")
		host, at := f.join(one, "pend00-data", "host")
		viewer, _ := f.join(two, "pend00-data", "viewer")
		other := map[*fleetNode]*fleetNode{one: two, two: one}[at]
		cutAt := time.Now()
		at.end.Cut(true)

		moved := make(chan time.Time, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(moved)
			for time.Since(cutAt) < time.Minute {
				uri, status := f.ask(other, "pend00-data", "other-host")
				if status == http.StatusOK && f.at(uri) == other {
					moved <- time.Now()
					return
				}
				pass(100 * time.Millisecond)
			}
		})
		for _, conn := range []*websocket.Conn{host, viewer} {
			if frame := wstest.Closed(t, conn, time.Minute); frame.Code != relay.StatusLeaseLost {
				t.Errorf("closed with %v", frame)
			}
		}
		closed := time.Now()
		wg.Wait()
		took := <-moved
		if !took.After(closed) || took.Sub(cutAt) > life+500*time.Millisecond {
			t.Errorf("closed after %s, at the other node after %s", closed.Sub(cutAt), took.Sub(cutAt))
		}
		if uri, status := f.ask(at, "pend00-data", "host"); status != http.StatusServiceUnavailable {
			t.Errorf("the node that is cut off answers %d %s", status, uri)
		}
		host, there := f.join(other, "pend00-data", "host")
		viewer, _ = f.join(other, "pend00-data", "viewer")
		f.meet(host, viewer)

		at.end.Cut(false)
		pass(life)
		if _, again := f.join(at, "pend00-data", "third"); again != there {
			t.Error("a node that is back has a room of its own")
		}
		f.meet(host, viewer)
	})
}

// While a node may have died, nobody is sent to it; soon after, the next one has
// its topics.
func TestFleetOutlivesANode(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two := f.node("one"), f.node("two")
		_, at := f.join(one, "pend00-data", "host")
		other := map[*fleetNode]*fleetNode{one: two, two: one}[at]
		died := time.Now()
		at.end.Cut(true)
		at.stop() // without a word
		pass(3 * time.Second)
		uri, status := f.ask(other, "pend00-data", "host")
		if status != http.StatusOK || f.at(uri) != other {
			t.Fatalf("%d %s", status, uri)
		}
		if took := time.Since(died); took < 4*time.Second || took > life+500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

func TestFleetIsDrainedAtOnce(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two := f.node("one"), f.node("two")
		host, at := f.join(one, "pend00-data", "host")
		other := map[*fleetNode]*fleetNode{one: two, two: one}[at]
		begun := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := at.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if frame := wstest.Closed(t, host, time.Minute); frame.Code != relay.StatusGoingAway {
			t.Errorf("closed with %v", frame)
		}
		wg.Wait()
		for _, asked := range []*fleetNode{at, other} {
			if _, there := f.join(asked, "pend00-data", "host"); there != other {
				t.Error("led back to the node that stops")
			}
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A store that has forgotten who held what is told with the next beats; where two
// nodes hold a topic by then, one of them ends its connections.
func TestFleetSurvivesAStoreThatForgets(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two := f.node("one"), f.node("two")
		host, at := f.join(one, "pend00-data", "host")
		viewer, _ := f.join(one, "pend00-data", "viewer")
		f.shared.Forget()
		pass(life)
		f.meet(host, viewer)
		if _, again := f.join(two, "pend00-data", "third"); again != at {
			t.Error("it is at another node now")
		}

		other := map[*fleetNode]*fleetNode{one: two, two: one}[at]
		f.shared.Forget()
		self := relay.Node{ID: map[*fleetNode]string{one: "one", two: "two"}[other], Life: life}
		if _, err := other.end.Beat(t.Context(), lodge.DefaultTenant, self, []string{"pend00-data"}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if frame := wstest.Closed(t, host, time.Minute); frame.Code != relay.StatusLeaseLost || time.Since(begun) > life/2 {
			t.Errorf("closed with %v after %s", frame, time.Since(begun))
		}
	})
}

// Nobody can be led anywhere without a node that carries streams.
func TestFleetWithoutARelay(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		gateway := f.node("gateway")
		for _, topic := range []string{"pend00-data", relay.StatsTopic} {
			if _, status := f.ask(gateway, topic, "host"); status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d", topic, status)
			}
		}
		one := f.node("one")
		if _, at := f.join(gateway, "pend00-data", "host"); at != one {
			t.Error("led elsewhere")
		}
		if _, at := f.join(gateway, relay.StatsTopic, "operator"); at != one {
			t.Error("the statistics are elsewhere")
		}
	})
}

// A topic that nobody has used for a minute is nobody's.
func TestFleetGivesUpIdleTopics(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one := f.node("one")
		host, _ := f.join(one, "pend00-data", "host")
		host.CloseRead(t.Context()) // it answers pings
		_, err := one.end.Hold(t.Context(), lodge.DefaultTenant, "pend00-data", nil)
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute)
		if _, err := one.end.Hold(t.Context(), lodge.DefaultTenant, "pend00-data", nil); err != nil {
			t.Errorf("while it is used: %v", err)
		}
		if err := host.CloseNow(); err != nil {
			t.Fatal(err)
		}
		pass(50 * time.Second)
		if _, err := one.end.Hold(t.Context(), lodge.DefaultTenant, "pend00-data", nil); err != nil {
			t.Errorf("soon after: %v", err)
		}
		pass(30 * time.Second)
		if _, err := one.end.Hold(t.Context(), lodge.DefaultTenant, "pend00-data", nil); err == nil {
			t.Error("it is held for good")
		}
	})
}

func TestFleetStatus(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		one, two, gateway := f.node("one"), f.node("two"), f.node("gateway")
		hosts := map[string]*fleetNode{}
		for _, topic := range []string{"a", "b", "c", "d", "e", "f"} {
			_, hosts[topic] = f.join(gateway, topic, "host-of-"+topic)
		}
		status := func(n *fleetNode) (topics map[string]bool, silent string) {
			t.Helper()
			pass(time.Second) // past what was answered last
			req, err := http.NewRequest(http.MethodGet, n.server.URL+"/status", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "operator")
			resp, err := n.server.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var list []relay.PeerStatus
			if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp.StatusCode, err)
			}
			topics = map[string]bool{}
			for _, p := range list {
				topics[p.Topic] = true
			}
			if len(list) != len(topics) {
				t.Errorf("%d connections on %d topics", len(list), len(topics))
			}
			return topics, resp.Header.Get(relay.SilentHeader)
		}
		for _, n := range []*fleetNode{one, two, gateway} {
			if topics, silent := status(n); len(topics) != 6 || silent != "" {
				t.Errorf("%v are connected, silent %q", topics, silent)
			}
		}
		if peers, silent := gateway.AllPeers(t.Context(), lodge.DefaultTenant); len(peers) != 6 || len(silent) != 0 || !strings.HasPrefix(peers[0].Name, "Name of host-of-") || peers[0].Kind != "service" {
			t.Errorf("%+v, silent %q", peers, silent)
		}
		report, _ := f.join(one, relay.StatsTopic, "operator")
		var reports []struct{ Topic string }
		if _, text := wstest.Read(t, report); json.Unmarshal([]byte(text), &reports) != nil || len(reports) < 6 {
			t.Errorf("reported is %s", text)
		}

		// One says nothing: it is named, in bounded time, and the others are told of.
		two.end.Cut(true)
		begun := time.Now()
		topics, silent := status(one)
		if silent != "two" || time.Since(begun) > 3*time.Second {
			t.Errorf("silent %q after %s", silent, time.Since(begun))
		}
		for topic, at := range hosts {
			if topics[topic] != (at == one) {
				t.Errorf("%s: in the status %v", topic, topics[topic])
			}
		}
		one.end.Cut(true)
		if topics, silent := status(one); silent != "all others" || len(topics) == 0 {
			t.Errorf("without the store: %v, silent %q", topics, silent)
		}
	})
}
