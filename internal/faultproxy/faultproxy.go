// Package faultproxy stands between a client and a server for a test, and lets
// the network between them fail: cut off, hung, slow, or deaf to some
// connections only.
package faultproxy

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy carries connections to one server. Its methods say how, for those that
// are open and those to come; Pass is how it begins.
type Proxy struct {
	t        testing.TB
	target   string
	listener net.Listener
	running  sync.WaitGroup
	closed   chan struct{}

	mu    sync.Mutex
	fault fault              // guarded by mu
	next  chan struct{}      // guarded by mu: closed when fault changes
	open  map[*link]struct{} // guarded by mu
}

// fault is what is wrong; the zero value is nothing.
type fault struct {
	cut, hang bool
	delay     time.Duration
	mute      string
}

// A link is one client's connection and ours to the server.
type link struct {
	client, server net.Conn

	mu     sync.Mutex
	marked bool // guarded by mu: the client has said what is muted
}

// Start runs a proxy to a server until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("faultproxy: ", err)
	}
	p := &Proxy{t: t, target: target, listener: l, closed: make(chan struct{}), next: make(chan struct{}), open: map[*link]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns host:port for the client.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Pass carries everything at once.
func (p *Proxy) Pass() { p.set(fault{}) }

// Cut ends every connection, and each new one as soon as it is made.
func (p *Proxy) Cut() { p.set(fault{cut: true}) }

// Hang carries nothing: connections stand and are silent.
func (p *Proxy) Hang() { p.set(fault{hang: true}) }

// Delay carries what the server says so much later.
func (p *Proxy) Delay(d time.Duration) { p.set(fault{delay: d}) }

// Mute carries nothing from the server on connections whose client has said the
// mark, in one piece; to the server, and on all others, everything.
func (p *Proxy) Mute(mark string) { p.set(fault{mute: mark}) }

func (p *Proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.next)
	p.next = make(chan struct{})
	if f.cut {
		for l := range p.open {
			l.close()
		}
	}
}

func (p *Proxy) now() (fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.next
}

func (p *Proxy) close() {
	close(p.closed)
	_ = p.listener.Close() // what it could tell is of no use any more
	p.set(fault{cut: true})
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.carry(client) })
	}
}

// carry serves one client.
func (p *Proxy) carry(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close() // as the server would have it
		return
	}
	l := &link{client: client, server: server}
	p.mu.Lock()
	p.open[l] = struct{}{}
	cut := p.fault.cut
	p.mu.Unlock()
	if cut {
		l.close()
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, server, client, p.ask) })
	both.Go(func() { p.pump(l, client, server, p.answer) })
	both.Wait()
	p.mu.Lock()
	delete(p.open, l)
	p.mu.Unlock()
}

func (l *link) close() {
	_ = l.client.Close() // either may be closed already
	_ = l.server.Close()
}

// pump carries one direction, chunk by chunk, until either end closes.
func (p *Proxy) pump(l *link, to, from net.Conn, may func(*link, []byte) bool) {
	defer l.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && may(l, buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// ask holds back what a client says while everything hangs.
func (p *Proxy) ask(l *link, chunk []byte) bool {
	for {
		f, changed := p.now()
		if f.mute != "" && bytes.Contains(chunk, []byte(f.mute)) {
			l.mu.Lock()
			l.marked = true
			l.mu.Unlock()
		}
		if !f.hang {
			return true
		}
		select {
		case <-changed:
		case <-p.closed:
			return false
		}
	}
}

// answer holds back, delays or drops what the server says.
func (p *Proxy) answer(l *link, _ []byte) bool {
	f, changed := p.now()
	for f.hang {
		select {
		case <-changed:
		case <-p.closed:
			return false
		}
		f, changed = p.now()
	}
	if f.mute != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.marked
	}
	if f.delay > 0 {
		late := time.NewTimer(f.delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-p.closed:
			return false
		}
	}
	return true
}
