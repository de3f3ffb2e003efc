package booknode

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// A fleet is nodes on one store.
type fleet struct {
	t     *testing.T
	store string
	at    []string // the nodes' addresses

	mu    sync.Mutex
	nodes []*process // guarded by mu
}

// A process is a node.
type process struct {
	cmd  *exec.Cmd
	said *bytes.Buffer // what it complained of; read once it is gone
	gone chan struct{} // closed when it has ended
}

func startFleet(t *testing.T, store string, nodes int) *fleet {
	t.Helper()
	f := &fleet{t: t, store: store, nodes: make([]*process, nodes)}
	for i := range nodes {
		f.at = append(f.at, freeAddress(t))
		f.nodes[i] = f.spawn(i)
	}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, p := range f.nodes {
			p.kill()
		}
	})
	return f
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// spawn starts this test binary as node i.
func (f *fleet) spawn(i int) *process {
	f.t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), said: &bytes.Buffer{}, gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "BOOKNODE=node", "BOOKNODE_STORE="+f.store, "BOOKNODE_ADDRESS="+f.at[i])
	p.cmd.SysProcAttr = dieWithParent()
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // it is killed
	}()
	return p
}

// kill ends the process at once. It may be repeated.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it is gone
	<-p.gone
}

// crash kills node i and starts it again.
func (f *fleet) crash(i int) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.nodes[i].gone:
		f.t.Errorf("node %d ended by itself: %s", i, f.nodes[i].said)
	default:
	}
	f.nodes[i].kill()
	f.nodes[i] = f.spawn(i)
}
