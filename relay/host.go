package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// A Connector is what an experiment's hardware uses: it keeps one relay topic
// connected for as long as it runs, with the same exchange as any other client.
// It gives up on nothing, because nobody stands beside the hardware to start it
// again; but it waits longer where it was refused than where it met nobody.
type Connector struct {
	// BaseURL is the gateway's address, "https://lab.example".
	BaseURL string
	// Topic is the relay topic, and Code what opens it.
	Topic string
	Code  string
	// Fresh, if set, is asked for the code at each attempt instead, so that one
	// that was changed is taken up.
	Fresh func() (string, error)
	// Failed, if set, is told why the topic is not connected, before each pause.
	Failed func(error)

	// Client does the exchange and the handshake. Default: one without
	// redirects, which would carry the code elsewhere.
	Client *http.Client
	// Wait is the longest pause after the first failure; it doubles with each
	// further one up to MaxWait, or to RefusedWait where the code was refused.
	// Each pause is a random part of that (full jitter), so that many hosts do
	// not come back at once. Defaults: 500 ms, 8 s, 1 min.
	Wait        time.Duration
	MaxWait     time.Duration
	RefusedWait time.Duration
	// Rand returns a number in [0,1). Default: math/rand/v2.
	Rand func() float64
	// MaxMessage bounds a message from the relay, in bytes. Default: 10 MiB.
	MaxMessage int64
	// Logger is told of what changes, not of every attempt. Default:
	// slog.Default().
	Logger *slog.Logger
}

const (
	// dialWait bounds one exchange with its handshake.
	dialWait = 10 * time.Second
	// settled is how long a connection must last for its end to count as a
	// new trouble rather than the old one.
	settled = 10 * time.Second

	hostPingEvery = 20 * time.Second
	hostPingWait  = 15 * time.Second
)

// Run connects, calls handle with the connection, and connects again when
// handle has returned, until ctx ends; then it returns nil. handle must read
// from the connection, or it is not noticed when the relay closes it; its ctx
// ends with Run's, and the connection is closed when it returns. Run reports an
// error only for what no further attempt would mend: a Connector that cannot
// work.
func (c *Connector) Run(ctx context.Context, handle func(context.Context, *websocket.Conn) error) error {
	cfg, err := c.checked()
	if err != nil {
		return err
	}
	log := cfg.Logger.With("topic", cfg.Topic)
	failures := 0
	for ctx.Err() == nil {
		conn, err := cfg.dial(ctx)
		if err == nil {
			log.Info("connected to the relay")
			begun := time.Now()
			err = attend(ctx, conn, handle)
			if time.Since(begun) >= settled {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if cfg.Failed != nil {
			cfg.Failed(err)
		}
		pause := cfg.pause(failures, err)
		failures++
		log.Warn("not connected to the relay", "err", err, "again_in", pause.Round(time.Millisecond), "failures", failures)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// attend lets handle use the connection, sees to it that a connection whose
// other side has vanished ends, and closes it after handle.
func attend(ctx context.Context, conn *websocket.Conn, handle func(context.Context, *websocket.Conn) error) error {
	pinging, cancel := context.WithCancel(ctx)
	var pings sync.WaitGroup
	pings.Go(func() { ping(pinging, conn) })
	err := handle(ctx, conn)
	cancel()
	pings.Wait()
	if ctx.Err() != nil {
		_ = conn.Close(websocket.StatusNormalClosure, "The host is going down.") // a courtesy
		return err
	}
	_ = conn.CloseNow() // handle is done with it
	return err
}

// ping asks now and then whether the relay is still there, and closes the
// connection when it does not answer. TCP would take a quarter of an hour.
func ping(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(hostPingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wait, cancel := context.WithTimeout(ctx, hostPingWait)
		err := conn.Ping(wait)
		cancel()
		if err != nil && ctx.Err() == nil {
			_ = conn.CloseNow() // what handle does with it fails from now on
			return
		}
	}
}

func (c *Connector) checked() (*Connector, error) {
	cfg := *c
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("relay: %q is not the http or https address of a gateway", cfg.BaseURL)
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	if !ValidTopic(cfg.Topic) {
		return nil, fmt.Errorf("relay: %q is not a relay topic", cfg.Topic)
	}
	if cfg.Fresh == nil {
		cfg.Fresh = func() (string, error) { return cfg.Code, nil }
	}
	if c.Code == "" && c.Fresh == nil {
		return nil, errors.New("relay: a host needs a code")
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	cfg.Wait = positive(cfg.Wait, 500*time.Millisecond)
	cfg.MaxWait = positive(cfg.MaxWait, 8*time.Second)
	cfg.RefusedWait = positive(cfg.RefusedWait, time.Minute)
	cfg.MaxMessage = positive(cfg.MaxMessage, 10<<20)
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &cfg, nil
}

// pause returns how long to wait after a number of earlier failures and err.
func (c *Connector) pause(failures int, err error) time.Duration {
	most, atLeast := c.MaxWait, time.Duration(0)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		atLeast = refused.retryAfter
		if refused.final() {
			most = c.RefusedWait
		}
	}
	switch websocket.CloseStatus(err) {
	case StatusExpired, StatusRevoked, StatusOffline:
		most = c.RefusedWait
	}
	ceiling := c.Wait
	for range failures {
		if ceiling >= most {
			break
		}
		ceiling *= 2
	}
	pause := time.Duration(c.Rand() * float64(min(ceiling, most)))
	return min(atLeast, c.RefusedWait) + pause
}

// A refusedError is an answer other than 200 or 101.
type refusedError struct {
	status     int
	message    string
	retryAfter time.Duration
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("refused with status %d: %s", e.status, e.message)
}

// final reports whether the same code is likely to be refused again.
func (e *refusedError) final() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

// dial does the exchange and opens the address.
func (c *Connector) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	uri, err := c.exchange(ctx)
	if err != nil {
		return nil, err
	}
	conn, resp, err := websocket.Dial(ctx, uri, &websocket.DialOptions{HTTPClient: c.Client, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, refusedBy(resp)
		}
		return nil, fmt.Errorf("open the relay's address: %w", withoutURL(err))
	}
	conn.SetReadLimit(c.MaxMessage)
	return conn, nil
}

func (c *Connector) exchange(ctx context.Context) (string, error) {
	code, err := c.Fresh()
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BaseURL+topicPath(c.Topic), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", code)
	resp, err := c.Client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for the relay's address: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", refusedBy(resp)
	}
	var answer struct {
		URI string `json:"uri"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil {
		return "", errors.New("the answer to the exchange is not the JSON of a relay")
	}
	uri, err := url.Parse(answer.URI)
	if err != nil || uri.Host == "" || uri.Scheme != "ws" && uri.Scheme != "wss" {
		return "", errors.New("the answer to the exchange holds no websocket address")
	}
	if uri.Scheme == "ws" && strings.HasPrefix(c.BaseURL, "https:") {
		return "", errors.New("the relay's address is not encrypted although the gateway's is; it is not opened")
	}
	return answer.URI, nil
}

func refusedBy(resp *http.Response) *refusedError {
	e := &refusedError{status: resp.StatusCode, message: http.StatusText(resp.StatusCode)}
	var answer struct {
		Message string `json:"message"`
	}
	if resp.Body != nil {
		// A body that is not a relay's leaves the status to speak.
		if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer) == nil && answer.Message != "" {
			e.message = answer.Message
		}
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.retryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	return e
}

// withoutURL returns what lies under the errors of net/http, whose text holds
// the address and with it the ticket.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
