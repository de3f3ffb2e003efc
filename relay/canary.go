package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
)

// CanaryTopic is the relay topic of the canary: a stream of the relay's own, by
// which it measures itself. No code opens it.
const CanaryTopic = "lodge-canary"

// kindCanary is the Kind of the canary's grants. They are of no tenant, so that no
// status and no room of anybody's has them.
const kindCanary = "canary"

// canaryWait is how long a message of the canary may take before it is lost.
const canaryWait = 2 * time.Second

// canary sends a message from one connection of the relay's own to another, again
// and again until ctx ends, and tells how long each took. They are connections as
// all others: over TCP, through tickets, rooms, queues and writers.
func (r *Relay) canary(ctx context.Context) {
	silent := false
	for {
		err := r.sing(ctx, func() { silent = false })
		if ctx.Err() != nil || r.rooms.drained() {
			return
		}
		r.opts.Canary(0, true)
		if !silent {
			silent = true
			r.opts.Logger.WarnContext(ctx, "relay: the canary is silent", "err", err)
		}
		timer := time.NewTimer(r.opts.CanaryEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// sing connects both ends and measures until something fails or ctx ends. heard is
// called after each message that arrived.
func (r *Relay) sing(ctx context.Context, heard func()) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(r.Session), ReadHeaderTimeout: canaryWait,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), ofCanary{}, true) },
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends with Close
	defer serving.Wait()
	defer func() { _ = server.Close() }() // nobody but the canary was there
	host, err := r.perch(ctx, listener.Addr(), true)
	if err != nil {
		return err
	}
	defer func() { _ = host.CloseNow() }()
	viewer, err := r.perch(ctx, listener.Addr(), false)
	if err != nil {
		return err
	}
	defer func() { _ = viewer.CloseNow() }()
	_ = listener.Close() // both are there, and nobody else is expected
	host.CloseRead(ctx)  // nobody answers it, but there are pings

	tick := time.NewTicker(r.opts.CanaryEvery)
	defer tick.Stop()
	for number := uint64(0); ; number++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		delay, err := chirp(ctx, host, viewer, number)
		if err != nil {
			return err
		}
		r.opts.Canary(delay, false)
		heard()
	}
}

// ofCanary marks the context of the canary's requests.
type ofCanary struct{}

// tenantOf returns the tenant of a request to open an address: none, for the
// canary.
func (r *Relay) tenantOf(req *http.Request) lodge.Tenant {
	if req.Context().Value(ofCanary{}) != nil {
		return ""
	}
	return r.opts.Tenant(req)
}

// perch opens one end.
func (r *Relay) perch(ctx context.Context, at net.Addr, host bool) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, canaryWait)
	defer cancel()
	code, err := r.tickets.issue(Grant{Session: "canary", Kind: kindCanary, Topic: CanaryTopic, Read: !host, Write: host}, r.clock.Now())
	if err != nil {
		return nil, err
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+at.String()+topicPath(CanaryTopic)+"?code="+code, nil)
	if err != nil {
		return nil, fmt.Errorf("canary: %w", withoutURL(err))
	}
	return conn, nil
}

// chirp sends one message and waits for it.
func chirp(ctx context.Context, host, viewer *websocket.Conn, number uint64) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, canaryWait)
	defer cancel()
	begun := time.Now()
	if err := host.Write(ctx, websocket.MessageBinary, binary.BigEndian.AppendUint64(nil, number)); err != nil {
		return 0, fmt.Errorf("canary: send: %w", err)
	}
	_, body, err := viewer.Read(ctx)
	if err != nil {
		return 0, fmt.Errorf("canary: receive: %w", err)
	}
	if len(body) != 8 || binary.BigEndian.Uint64(body) != number {
		return 0, errors.New("canary: another message arrived than was sent")
	}
	return time.Since(begun), nil
}
