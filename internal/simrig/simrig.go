// Package simrig is a pendulum rig that does not exist: it connects to a gateway
// exactly as an experiment's hardware does, with a host code and over the
// network, sends what its sensor and its camera would, and obeys the commands
// it is sent.
//
// Its relay topics are named after its stub, as in the catalogue: "<stub>-data"
// carries a JSON text message 20 times a second and takes commands,
// "<stub>-video" carries pictures (JPEG, binary), one a message. Both show the
// same pendulum. There is no picture drawn while nobody is connected.
package simrig

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge/relay"
)

const (
	dataEvery  = 50 * time.Millisecond // 20 Hz
	videoEvery = 80 * time.Millisecond // 12.5 pictures a second
	// sendWait is how long the relay may take over one message.
	sendWait = 10 * time.Second
)

// A Config says which rig to be.
type Config struct {
	BaseURL string // the gateway's http or https address
	Stub    string // "pend00" for the relay topics pend00-data and pend00-video
	Code    string // a host code of the experiment
	// Client does the exchanges. Default: as relay.Connector.
	Client *http.Client
	// Logger receives what an operator of the rig would want. Default:
	// slog.Default().
	Logger *slog.Logger
}

// A Rig is one simulated rig.
type Rig struct {
	cfg      Config
	pendulum *pendulum
	ignored  atomic.Uint64
	drawn    atomic.Uint64
}

// New returns a rig at rest. Run connects it.
func New(cfg Config) *Rig {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Rig{cfg: cfg, pendulum: newPendulum(time.Now())}
}

// Ignored returns how many commands the rig has not understood.
func (r *Rig) Ignored() uint64 { return r.ignored.Load() }

// Run keeps both streams connected until ctx ends; then it returns nil. An
// error means that the Config can never work.
func (r *Rig) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.connector("data").Run(ctx, r.data) })
	g.Go(func() error { return r.connector("video").Run(ctx, r.video) })
	return g.Wait()
}

func (r *Rig) connector(stream string) *relay.Connector {
	return &relay.Connector{
		BaseURL: r.cfg.BaseURL, Topic: r.cfg.Stub + "-" + stream, Code: r.cfg.Code,
		Client: r.cfg.Client, Logger: r.cfg.Logger,
	}
}

// A sample is what the data stream says 20 times a second.
type sample struct {
	T        int64   `json:"t"`        // milliseconds since 1970
	Angle    float64 `json:"angle"`    // degrees, counter-clockwise from hanging down
	Velocity float64 `json:"velocity"` // degrees a second
	Drive    float64 `json:"drive"`    // -1…1
	Brake    bool    `json:"brake"`
}

func (r *Rig) sample(now time.Time) sample {
	s := r.pendulum.at(now)
	return sample{
		T: now.UnixMilli(), Angle: hundredths(s.degrees()), Velocity: hundredths(s.omega * 180 / math.Pi),
		Drive: s.drive, Brake: s.brake,
	}
}

func hundredths(v float64) float64 { return math.Round(v*100) / 100 }

// data sends samples and obeys commands.
func (r *Rig) data(ctx context.Context, conn *websocket.Conn) error {
	return r.stream(ctx, conn, dataEvery, r.obey, func(now time.Time) (websocket.MessageType, []byte, error) {
		body, err := json.Marshal(r.sample(now))
		return websocket.MessageText, body, err
	})
}

// video sends pictures.
func (r *Rig) video(ctx context.Context, conn *websocket.Conn) error {
	var camera camera
	ignore := func(websocket.MessageType, []byte) {}
	return r.stream(ctx, conn, videoEvery, ignore, func(now time.Time) (websocket.MessageType, []byte, error) {
		picture, err := camera.take(r.pendulum.at(now), now)
		r.drawn.Add(1)
		return websocket.MessageBinary, picture, err
	})
}

// stream sends what next returns at every tick, and gives receive what comes,
// until the connection or ctx ends.
func (r *Rig) stream(ctx context.Context, conn *websocket.Conn, every time.Duration,
	receive func(websocket.MessageType, []byte), next func(time.Time) (websocket.MessageType, []byte, error),
) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for {
			kind, body, err := conn.Read(ctx)
			if err != nil {
				return err
			}
			receive(kind, body)
		}
	})
	g.Go(func() error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case now := <-tick.C:
				kind, body, err := next(now)
				if err != nil {
					return err
				}
				if err := send(ctx, conn, kind, body); err != nil {
					return err
				}
			}
		}
	})
	return g.Wait()
}

func send(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	return conn.Write(ctx, kind, body)
}
