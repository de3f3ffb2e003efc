package hubnode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/freeport"
)

// deadline bounds every wait of these tests.
const deadline = 2 * time.Minute

// A fleet is three nodes on one log, with sockets.
type fleet struct {
	t       *testing.T
	url     string
	at      [3]string // the nodes' addresses
	nodes   [3]*process
	clients []*process
	http    *http.Client

	mu    sync.Mutex
	ready []string // addresses of nodes that take requests; guarded by mu
}

// A process is a node or a number of clients.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  chan []byte   // all that it said, at its end
	gone chan struct{} // closed when it has ended
	err  error         // how, with what it complained of, once gone
}

// startFleet starts nodes, and clients with so many sockets, all connected.
func startFleet(t *testing.T, url string, sockets int) *fleet {
	t.Helper()
	f := &fleet{t: t, url: url, http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	t.Cleanup(f.http.CloseIdleConnections)
	for i := range f.nodes {
		f.at[i] = freeAddress(t)
		f.start(i)
		t.Cleanup(func() { f.nodes[i].kill() })
	}
	ctx, stop := context.WithCancel(context.Background())
	var balancing sync.WaitGroup
	balancing.Go(func() { f.balance(ctx) })
	t.Cleanup(func() { stop(); balancing.Wait() })
	for i := range f.nodes {
		f.awaitReady(i)
	}
	const parts = 2
	for part := range parts {
		c := spawn(t, "HUBNODE=clients", "HUBNODE_NODES="+strings.Join(f.at[:], ","),
			fmt.Sprintf("HUBNODE_SESSIONS=%d-%d", part*sockets/parts, (part+1)*sockets/parts))
		t.Cleanup(c.kill)
		f.clients = append(f.clients, c)
	}
	f.awaitSockets(sockets)
	return f
}

func freeAddress(t *testing.T) string {
	t.Helper()
	const host = "127.0.0.1"
	port, err := freeport.On(host)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// spawn starts this test binary as something else.
func spawn(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{out: make(chan []byte, 1), gone: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = dieWithParent()
	var complaint bytes.Buffer
	p.cmd.Stderr = &complaint
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		said, _ := io.ReadAll(out) // what is missing shows where it is read
		p.out <- said
		if err := p.cmd.Wait(); err != nil {
			p.err = fmt.Errorf("%w: %s", err, complaint.Bytes())
		}
		if t.Failed() {
			_, _ = os.Stderr.Write(complaint.Bytes())
		}
	}()
	return p
}

// kill ends the process at once. It may be repeated.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it is gone
	<-p.gone
}

// start runs node i, at its address, once it is not running.
func (f *fleet) start(i int) {
	f.t.Helper()
	f.nodes[i] = spawn(f.t, "HUBNODE=node", "HUBNODE_LOG="+f.url, "HUBNODE_ADDRESS="+f.at[i])
}

// roll stops node i in order and starts it again.
func (f *fleet) roll(i int) {
	f.t.Helper()
	p := f.nodes[i]
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-p.gone:
	case <-time.After(deadline):
		f.t.Fatal("a node does not stop")
	}
	if p.err != nil {
		f.t.Errorf("a node that was to stop in order: %v", p.err)
	}
	f.start(i)
}

// get asks a node, and returns what it says when that is OK.
func (f *fleet) get(ctx context.Context, address, path string) (string, bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", false
	}
	res, err := f.http.Do(r)
	if err != nil {
		return "", false
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err == nil && res.StatusCode == http.StatusOK
}

// balance keeps the list of nodes that take requests, as a balancer would.
func (f *fleet) balance(ctx context.Context) {
	for pause(ctx, 50*time.Millisecond) {
		var ready []string
		for _, address := range f.at {
			asking, cancel := context.WithTimeout(ctx, time.Second)
			if _, ok := f.get(asking, address, "/ready"); ok {
				ready = append(ready, address)
			}
			cancel()
		}
		f.mu.Lock()
		f.ready = ready
		f.mu.Unlock()
	}
}

func (f *fleet) isReady(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.ready, address)
}

// pick returns a node to send a request to; "" when there is none.
func (f *fleet) pick() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ready) == 0 {
		return ""
	}
	return f.ready[rand.IntN(len(f.ready))]
}

func (f *fleet) await(what string, ok func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for !ok() {
		if !pause(ctx, 20*time.Millisecond) {
			f.t.Fatalf("never: %s", what)
		}
	}
}

// awaitReady waits until a node takes requests and is sent some. What the balancer
// says may be of the process before, so the node is asked too.
func (f *fleet) awaitReady(i int) {
	f.t.Helper()
	f.await("node "+strconv.Itoa(i)+" is ready", func() bool {
		_, ok := f.get(context.Background(), f.at[i], "/ready")
		return ok && f.isReady(f.at[i])
	})
}

// awaitSockets waits until all nodes together have so many sockets.
func (f *fleet) awaitSockets(want int) {
	f.t.Helper()
	f.await("all sockets are connected", func() bool {
		total := 0
		for _, address := range f.at {
			text, _ := f.get(context.Background(), address, "/sockets")
			n, _ := strconv.Atoi(text) // a node that is not there has none
			total += n
		}
		return total == want
	})
}

// finish tells the clients where the topics end and returns what they got.
func (f *fleet) finish(ends map[string]uint64) report {
	f.t.Helper()
	var line strings.Builder
	for topic, seq := range ends {
		_, _ = fmt.Fprintf(&line, "%s=%d ", topic, seq)
	}
	all := report{Ends: make(map[string]int)}
	for _, c := range f.clients {
		if _, err := fmt.Fprintln(c.in, line.String()); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, c := range f.clients {
		var r report
		if err := json.Unmarshal(<-c.out, &r); err != nil {
			f.t.Fatalf("clients: %v", err)
		}
		all.Sockets += r.Sockets
		all.Delivered += r.Delivered
		all.Doubled += r.Doubled
		all.Lost += r.Lost
		all.Connected += r.Connected
		all.Refused += r.Refused
		all.Missing += r.Missing
		for at, n := range r.Ends {
			all.Ends[at] += n
		}
	}
	return all
}
