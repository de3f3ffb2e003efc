package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A practableClient keeps a stream open as practable's programs do: it ignores the
// status of the exchange, comes back at once when its connection ends, and after
// one to ten seconds, longer each time, when it cannot be opened.
type practableClient struct {
	url, token string
	client     *http.Client

	mu   sync.Mutex
	conn *websocket.Conn // guarded by mu; nil while it is not connected
	host string          // guarded by mu; where it is connected
	got  chan string     // what arrived; the newest few
}

// practable starts one on a stream, until the test ends.
func practable(t *testing.T, url, token string) *practableClient {
	c := &practableClient{url: url, token: token, client: &http.Client{Timeout: 15 * time.Second}, got: make(chan string, 1024)}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.keep(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		c.client.CloseIdleConnections()
	})
	return c
}

func (c *practableClient) keep(ctx context.Context) {
	wait := time.Second
	for ctx.Err() == nil {
		if c.open(ctx) {
			wait = time.Second
			c.read(ctx)
			continue
		}
		timer := time.NewTimer(time.Second + rand.N(wait)) // jittered, as theirs
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		wait = min(2*wait, 9*time.Second)
	}
}

func (c *practableClient) open(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", c.token)
	res, err := c.client.Do(req)
	if err != nil {
		return false
	}
	var answer struct{ URI string }
	err = json.NewDecoder(res.Body).Decode(&answer)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return false
	}
	conn, _, err := websocket.Dial(ctx, answer.URI, nil)
	if err != nil {
		return false
	}
	at, err := url.Parse(answer.URI)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.host = conn, at.Host
	return true
}

// read reads until the connection ends.
func (c *practableClient) read(ctx context.Context) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			break
		}
		for sent := false; !sent; {
			select {
			case c.got <- string(body):
				sent = true
			default:
				<-c.got
			}
		}
	}
	_ = conn.CloseNow() // it is of no use any more
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
}

// say sends if it is connected.
func (c *practableClient) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.conn.Write(ctx, websocket.MessageText, []byte(text)) // whether it arrives is what is waited for
}

// at returns where it is connected, "" while it is not.
func (c *practableClient) at() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return ""
	}
	return c.host
}
