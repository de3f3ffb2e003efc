// Package bridge stands beside an experiment's hardware and carries its local
// streams to the relay: what programs on the machine know is one address on
// loopback that is always there; what the relay sees is a host that always comes
// back.
//
// A local program takes part in one of three ways. It opens a websocket at the
// bridge (/ws/TOPIC) and sends and receives messages; or it is a websocket server
// itself, and the bridge connects to it (Stream.Dial); or it sends MPEG-TS in the
// body of a POST (/ts/TOPIC), as ffmpeg does, and receives nothing. Messages keep
// their boundaries and their type; a transport stream is cut between its packets.
//
// Nothing waits for anything: what the relay does not take in time, and whatever
// comes while it cannot be reached, is dropped, the oldest first, and counted,
// because measurements and pictures of a minute ago are worth less than those of
// now. The status page says what was dropped, and why.
//
// The bridge holds the code of the host and never shows it. Programs that can
// reach its address can drive the experiment's streams: it listens on loopback,
// and refuses browsers, whose pages could be anybody's.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge/relay"
)

// A Stream is one relay topic and where its messages come from on this machine.
type Stream struct {
	// Topic is the relay topic.
	Topic string
	// Dial is the address (ws://…) of a local websocket server to connect to.
	// Without it, programs come to the bridge.
	Dial string
}

// Options tune a Bridge; the zero value of a field means its default.
type Options struct {
	// Relay is the gateway's address, "https://lab.example".
	Relay string
	// Code returns what opens the topics. It is asked at each attempt, so that
	// a changed code is taken up.
	Code func() (string, error)
	// Streams are those carried.
	Streams []Stream
	// MaxMessage bounds a message, in bytes. Default: 10 MiB.
	MaxMessage int64
	// QueueBytes bounds what waits for the relay, in each stream. Default: 4 MiB.
	QueueBytes int
	// Client reaches the relay and local servers. Default: one without redirects.
	Client *http.Client
	// Logger is told of what changes. Default: slog.Default().
	Logger *slog.Logger
}

// A Bridge carries streams while it runs. It runs once.
type Bridge struct {
	opts    Options
	streams []*stream
	byTopic map[string]*stream

	life context.Context // ends with Run
	stop context.CancelFunc

	mu       sync.Mutex     // orders enter and the end of life
	programs sync.WaitGroup // local programs that came to Handler
}

// New returns a Bridge. What is wrong with the options is returned all at once.
func New(o Options) (*Bridge, error) {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 10 << 20
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 4 << 20
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var faults []error
	if u, err := url.Parse(o.Relay); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		faults = append(faults, fmt.Errorf("relay: %q is not the http or https address of a gateway", o.Relay))
	}
	if o.Code == nil {
		faults = append(faults, errors.New("a host needs a code"))
	}
	if len(o.Streams) == 0 {
		faults = append(faults, errors.New("there is no stream to carry; list one at least"))
	}
	b := &Bridge{opts: o, byTopic: map[string]*stream{}}
	b.life, b.stop = context.WithCancel(context.Background())
	for _, s := range o.Streams {
		switch {
		case !relay.ValidTopic(s.Topic):
			faults = append(faults, fmt.Errorf("stream %q: that is not a relay topic", s.Topic))
		case b.byTopic[s.Topic] != nil:
			faults = append(faults, fmt.Errorf("stream %q: it is listed twice", s.Topic))
		}
		if u, err := url.Parse(s.Dial); s.Dial != "" && (err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss") {
			faults = append(faults, fmt.Errorf("stream %q: %q is not a websocket address; write it like ws://127.0.0.1:9000/data", s.Topic, s.Dial))
		}
		one := newStream(s, &b.opts)
		b.streams = append(b.streams, one)
		b.byTopic[s.Topic] = one
	}
	if err := errors.Join(faults...); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// Run carries the streams until ctx ends, and then returns nil. It gives up on
// nothing: nobody stands beside the hardware to start it again.
func (b *Bridge) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range b.streams {
		group.Go(func() error { return s.carry(ctx) })
		if s.Dial != "" {
			group.Go(func() error { s.dialLocal(ctx); return nil })
		}
	}
	err := group.Wait()
	b.mu.Lock()
	b.stop()
	b.mu.Unlock()
	b.programs.Wait()
	return err
}

// backOff is how long to wait after a number of failures: a random part of a time
// that doubles up to eight seconds.
func backOff(failures int, random func() float64) time.Duration {
	ceiling := 250 * time.Millisecond << min(failures, 5)
	return time.Duration(random() * float64(ceiling))
}
