package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/relay"
)

// A stream joins the connection to the relay with those of local programs.
type stream struct {
	Stream
	opts *Options
	out  *outbox // towards the relay

	up, down counter       // messages to and from the relay
	unheard  atomic.Uint64 // messages from the relay that no local program was there for, or could take

	mu        sync.Mutex
	since     time.Time // connected to the relay since then; zero: not; guarded by mu, as is what follows
	failure   string    // why it is not
	listeners map[*local]struct{}
	source    context.CancelCauseFunc // ends the transport stream that is being taken, if any
	sources   int                     // how many there have been
}

// A counter counts messages and their bytes.
type counter struct{ messages, bytes atomic.Uint64 }

func (c *counter) add(m message) {
	c.messages.Add(1)
	c.bytes.Add(uint64(len(m.data)))
}

func newStream(s Stream, o *Options) *stream {
	return &stream{Stream: s, opts: o, out: newOutbox(o.QueueBytes), listeners: map[*local]struct{}{}, failure: "not tried yet"}
}

// carry keeps the stream connected to the relay until ctx ends.
func (s *stream) carry(ctx context.Context) error {
	c := &relay.Connector{
		BaseURL: s.opts.Relay, Topic: s.Topic, Fresh: s.opts.Code, Client: s.opts.Client,
		MaxMessage: s.opts.MaxMessage, Logger: s.opts.Logger, Failed: s.lost,
	}
	return c.Run(ctx, s.attend)
}

// lost notes why the relay cannot be reached.
func (s *stream) lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.failure = time.Time{}, err.Error()
}

// attend carries messages both ways over one connection to the relay.
func (s *stream) attend(ctx context.Context, conn *websocket.Conn) error {
	s.mu.Lock()
	s.since, s.failure = time.Now(), ""
	s.mu.Unlock()
	s.out.set(true)
	writing, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { s.write(writing, conn) })
	err := s.read(ctx, conn)
	stop()
	writer.Wait()
	s.out.set(false)
	return err
}

// write sends what local programs sent. A connection that fails is noticed by
// read.
func (s *stream) write(ctx context.Context, conn *websocket.Conn) {
	for {
		select {
		case <-s.out.wake:
		case <-ctx.Done():
			return
		}
		for _, m := range s.out.take() {
			limited, cancel := context.WithTimeout(ctx, writeLimit)
			err := conn.Write(limited, m.kind, m.data)
			cancel()
			if err != nil {
				_ = conn.CloseNow() // so that read ends
				return
			}
			s.up.add(m)
		}
	}
}

// writeLimit is how long one message may take to be written.
const writeLimit = 10 * time.Second

// read hands what comes from the relay to every local program.
func (s *stream) read(ctx context.Context, conn *websocket.Conn) error {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("the relay: %w", err)
		}
		m := message{kind, data}
		s.down.add(m)
		s.mu.Lock()
		heard := len(s.listeners) > 0
		for l := range s.listeners {
			if !l.offer(m) {
				heard = false
			}
		}
		s.mu.Unlock()
		if !heard {
			s.unheard.Add(1)
		}
	}
}

// localQueue is how many messages may wait for one local program.
const localQueue = 256

// A local is one local program, over a websocket.
type local struct {
	conn  *websocket.Conn
	queue chan message
}

// offer leaves a message for the program, false when it is too slow.
func (l *local) offer(m message) bool {
	select {
	case l.queue <- m:
		return true
	default:
		return false
	}
}

// serve carries messages between a local program and the stream until the
// connection or ctx ends.
func (s *stream) serve(ctx context.Context, conn *websocket.Conn) error {
	conn.SetReadLimit(s.opts.MaxMessage)
	l := &local{conn: conn, queue: make(chan message, localQueue)}
	s.mu.Lock()
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	writing, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { l.write(writing) })
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
		stop()
		writer.Wait()
	}()
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("a local program: %w", err)
		}
		s.out.put(message{kind, data})
	}
}

func (l *local) write(ctx context.Context) {
	for {
		select {
		case m := <-l.queue:
			limited, cancel := context.WithTimeout(ctx, writeLimit)
			err := l.conn.Write(limited, m.kind, m.data)
			cancel()
			if err != nil {
				_ = l.conn.CloseNow() // so that the reader ends
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// dialLocal keeps the stream connected to a local websocket server until ctx
// ends.
func (s *stream) dialLocal(ctx context.Context) {
	log := s.opts.Logger.With("topic", s.Topic, "local", s.Dial)
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := s.dialOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > writeLimit {
			failures = 0
		}
		pause := backOff(failures, rand.Float64)
		log.Warn("not connected to the local program", "err", err, "again_in", pause.Round(time.Millisecond))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (s *stream) dialOnce(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	conn, _, err := websocket.Dial(limited, s.Dial, &websocket.DialOptions{HTTPClient: s.opts.Client, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return fmt.Errorf("open it: %w", err)
	}
	s.opts.Logger.Info("connected to the local program", "topic", s.Topic)
	defer func() { _ = conn.CloseNow() }() // usually closed already
	return s.serve(ctx, conn)
}
