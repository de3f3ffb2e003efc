package hubnode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/messaging"
)

// A report is what a process of clients has to say at the end.
type report struct {
	Sockets   int
	Delivered int64          // messages, each counted once a socket
	Doubled   int64          // messages that came again
	Lost      int64          // places in a topic that were passed over, and gaps
	Connected int64          // connections that were made
	Refused   int64          // endings after which a client must not come back
	Missing   int            // sockets that did not get everything
	Ends      map[string]int // sockets by where they are in a topic: topic, sequence, hash
}

// A client is one socket: it comes back wherever it can, from where it was.
type client struct {
	session string
	nodes   []string
	tally   *tally

	mu     sync.Mutex
	cursor map[string]*cursor // by topic
}

// A cursor is how far a client is in a topic.
type cursor struct {
	pos  string
	seq  uint64
	hash uint64 // of the ids of everything so far, in order
}

type tally struct{ delivered, doubled, lost, connected, refused atomic.Int64 }

// runClients is so many sockets, until a line on in says where the topics end,
// "topic=sequence …"; it waits until all have got there, or no more comes.
func runClients(nodes []string, sessions string, in io.Reader, out io.Writer) error {
	first, last, _ := strings.Cut(sessions, "-")
	from, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	to, err := strconv.Atoi(last)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var all []*client
	var tally tally
	var running sync.WaitGroup
	for n := from; n < to; n++ {
		c := &client{session: strconv.Itoa(n), nodes: nodes, tally: &tally, cursor: make(map[string]*cursor)}
		topics, err := entitled(c.session)
		if err != nil {
			return err
		}
		for _, topic := range topics {
			c.cursor[topic] = &cursor{}
		}
		all = append(all, c)
		running.Go(func() { c.run(ctx) })
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return err
	}
	ends := make(map[string]uint64)
	for _, field := range strings.Fields(line) {
		topic, seq, _ := strings.Cut(field, "=")
		if ends[topic], err = strconv.ParseUint(seq, 10, 64); err != nil {
			return err
		}
	}
	r := report{Sockets: len(all), Ends: make(map[string]int)}
	for quiet, before := 0, int64(-1); quiet < 100; {
		r.Missing = 0
		for _, c := range all {
			if !c.has(ends) {
				r.Missing++
			}
		}
		if r.Missing == 0 || !pause(ctx, 200*time.Millisecond) {
			break
		}
		quiet++
		if now := tally.delivered.Load(); now != before {
			quiet, before = 0, now
		}
	}
	stop()
	running.Wait()
	for _, c := range all {
		for topic, at := range c.cursor {
			r.Ends[fmt.Sprintf("%s %d %x", topic, at.seq, at.hash)]++
		}
	}
	r.Delivered, r.Doubled, r.Lost = tally.delivered.Load(), tally.doubled.Load(), tally.lost.Load()
	r.Connected, r.Refused = tally.connected.Load(), tally.refused.Load()
	return json.NewEncoder(out).Encode(r)
}

// run keeps the socket connected.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := c.connect(ctx)
		if code := websocket.CloseStatus(err); code >= 4400 && code != messaging.CloseLost {
			c.tally.refused.Add(1)
			return
		}
		if wait == 0 {
			wait = rand.N(500 * time.Millisecond) // full jitter
		}
		pause(ctx, wait)
	}
}

// connect is one connection; it returns for how long the server asks to stay
// away, and why it ended.
func (c *client) connect(ctx context.Context) (wait time.Duration, err error) {
	dialling, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	node := c.nodes[rand.IntN(len(c.nodes))]
	ws, _, err := websocket.Dial(dialling, "ws://"+node+"/ws?"+c.query(), nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = ws.CloseNow() }()
	c.tally.connected.Add(1)
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return wait, err
		}
		var e struct {
			ID    string
			Type  string
			Topic string `json:"lodgetopic"`
			Pos   string `json:"lodgepos"`
			Data  struct {
				AfterMS int64 `json:"after_ms"`
			}
		}
		if err := json.Unmarshal(frame, &e); err != nil {
			return 0, err
		}
		switch {
		case e.Type == messaging.TypeGap:
			c.tally.lost.Add(1)
		case e.Type == "lodge.reconnect":
			wait = time.Duration(e.Data.AfterMS) * time.Millisecond
		case e.Type != messaging.TypeNotice:
		case !c.take(e.Topic, e.Pos, e.ID):
			return 0, errors.New("what comes is out of order")
		case rand.IntN(200) == 0:
			ack := fmt.Sprintf(`{"type":"ack","topic":%q,"pos":%q}`, e.Topic, e.Pos)
			if err := ws.Write(ctx, websocket.MessageText, []byte(ack)); err != nil {
				return 0, err
			}
		}
	}
}

// query says who the client is and where it was.
func (c *client) query() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := url.Values{"session": {c.session}}
	for topic, at := range c.cursor {
		q.Add("resume", url.QueryEscape(topic)+"~"+at.pos)
	}
	return q.Encode()
}

// take notes a message, and reports whether it is the next one of its topic.
func (c *client) take(topic, text, id string) bool {
	pos, err := messaging.ParsePos(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.cursor[topic]
	switch {
	case err != nil || at == nil || pos.Seq > at.seq+1:
		c.tally.lost.Add(1)
		return false
	case pos.Seq <= at.seq:
		c.tally.doubled.Add(1)
		return true
	}
	c.tally.delivered.Add(1)
	at.pos, at.seq, at.hash = text, pos.Seq, chain(at.hash, id)
	return true
}

// has reports whether the client has everything up to these ends.
func (c *client) has(ends map[string]uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, at := range c.cursor {
		if at.seq < ends[topic] {
			return false
		}
	}
	return true
}

// chain adds an id to the hash of those before it.
func chain(hash uint64, id string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%x %s", hash, id) // a hash takes everything
	return h.Sum64()
}
