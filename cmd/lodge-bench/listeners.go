package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A listenPlan is what one process of listeners is to do; it is the first line it
// is sent. After it come orders, one a line, each answered with a line.
type listenPlan struct {
	URL     string // of a Lodge, or of the bare limit
	Raw     bool   // the bare limit: nobody signs in
	First   int    // number of the first socket, over all processes
	Sockets int
	Slow    int // sockets besides, which read one byte a second and of which nothing is noted
}

// An order is what listeners are told.
type order struct {
	Do     string // connect, disconnect, await, report
	Each   int    // await: until every socket has got so many messages since it connected
	Within time.Duration
}

// A heard is what listeners saw since the last report, or what an order took.
type heard struct {
	Took       time.Duration
	Deliveries int
	Bytes      int64
	Doubled    int // messages that one socket got twice since its first connection
	Latency    latencies
	Lost       int // sockets that the server closed
	Error      string
}

// marker stands in front of the number and the time of a message, in its text.
var marker = []byte("bench#")

// A listener is one person with a message socket.
type listener struct {
	plan   *listenPlan
	n      int
	cookie string
	resume string // positions by topic, as the server said last

	w       *wire
	done    chan struct{} // closed when the reader has ended
	leaving atomic.Bool

	got atomic.Int64 // since it connected

	mu     sync.Mutex // guards what follows
	times  []time.Duration
	bytes  int64
	seen   map[int64]bool
	twice  int
	lost   bool
	topics map[string]string
}

// listeners keeps sockets open and does as it is told.
func listeners(ctx context.Context, _ []string) error {
	in := json.NewDecoder(os.Stdin)
	var plan listenPlan
	if err := in.Decode(&plan); err != nil {
		return err
	}
	all := make([]*listener, plan.Sockets+plan.Slow)
	err := each(len(all), 16, func(i int) (err error) {
		all[i] = &listener{plan: &plan, n: plan.First + i, seen: map[int64]bool{}, topics: map[string]string{}}
		if !plan.Raw {
			all[i].cookie, err = signIn(ctx, signInTransport(plan.First+i), plan.URL, person(plan.First+i))
		}
		return err
	})
	if err != nil {
		return err
	}
	all, slow := all[:plan.Sockets], all[plan.Sockets:]
	fmt.Println("ready")
	out := json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		began := time.Now()
		var answer heard
		if err := obey(ctx, o, all, slow, &answer); err != nil {
			answer.Error = err.Error()
		}
		answer.Took = time.Since(began)
		fmt.Print("heard ")
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return errors.Join(disconnect(slow), disconnect(all))
}

func obey(ctx context.Context, o order, all, slow []*listener, answer *heard) error {
	switch o.Do {
	case "connect":
		for _, l := range slow {
			if err := l.crawl(ctx); err != nil {
				return err
			}
		}
		return each(len(all), 64, func(i int) error { return all[i].connect(ctx) })
	case "storm": // everybody at once
		if err := each(len(all), len(all), func(i int) error { return all[i].connect(ctx) }); err != nil {
			return err
		}
		return await(ctx, o, all)
	case "disconnect":
		return disconnect(all)
	case "await":
		return await(ctx, o, all)
	case "report":
		report(all, answer)
		return nil
	}
	return fmt.Errorf("there is no order %q", o.Do)
}

func (l *listener) connect(ctx context.Context) error {
	if err := l.dial(ctx); err != nil {
		return err
	}
	go l.listen(l.w, l.done)
	return nil
}

// crawl connects and reads one byte a second, into as little room as the system
// gives, until the connection ends.
func (l *listener) crawl(ctx context.Context) error {
	if err := l.dial(ctx); err != nil {
		return err
	}
	if conn, ok := l.w.conn.(*net.TCPConn); ok {
		if err := conn.SetReadBuffer(1); err != nil {
			return err
		}
	}
	go func() {
		defer close(l.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := l.w.conn.Read(make([]byte, 1)); err != nil {
				return
			}
			<-tick.C
		}
	}()
	return nil
}

func (l *listener) dial(ctx context.Context) error {
	u, err := url.Parse(l.plan.URL)
	if err != nil {
		return err
	}
	path, header := "/ws", http.Header{}
	if !l.plan.Raw {
		path = "/api/v1/messages/ws"
		if l.resume != "" {
			path += "?resume=" + url.QueryEscape(l.resume)
		}
		header.Set("Cookie", loginCookie+"="+l.cookie)
		header.Set("Origin", l.plan.URL)
	}
	at := l.n / neighbours
	w, err := dialWire(ctx, u.Host, path, header, net.IPv4(127, 1, byte(at>>8), byte(at)))
	if err != nil {
		return err
	}
	l.w, l.done = w, make(chan struct{})
	l.got.Store(0)
	l.leaving.Store(false)
	return nil
}

// listen reads until the connection ends.
func (l *listener) listen(w *wire, done chan<- struct{}) {
	defer close(done)
	for {
		frame, err := w.next()
		if err != nil {
			if !l.leaving.Load() {
				l.mu.Lock()
				l.lost = true
				l.mu.Unlock()
			}
			return
		}
		l.take(frame)
	}
}

// take notes a message. It looks for what it needs and decodes nothing else.
func (l *listener) take(frame []byte) {
	_, rest, found := bytes.Cut(frame, marker)
	if !found {
		l.positions(frame)
		return
	}
	now := time.Now().UnixNano()
	number, rest, _ := bytes.Cut(rest, []byte("@"))
	sent, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseInt(string(number), 10, 64)
	at, err2 := strconv.ParseInt(string(sent), 10, 64)
	if err != nil || err2 != nil {
		return
	}
	l.mu.Lock()
	if l.seen[n] {
		l.twice++
	}
	l.seen[n] = true
	l.times = append(l.times, time.Duration(now-at))
	l.bytes += int64(len(frame))
	if pos, ok := field(frame, `"lodgepos":"`); ok {
		if topic, ok := field(frame, `"lodgetopic":"`); ok {
			l.topics[topic] = pos
		}
	}
	l.mu.Unlock()
	l.got.Add(1)
}

// positions notes where the server says that the client is, when it has caught
// up.
func (l *listener) positions(frame []byte) {
	if !bytes.Contains(frame, []byte(`"lodge.caught-up"`)) {
		return
	}
	var event struct {
		Data struct{ Positions map[string]string }
	}
	if json.Unmarshal(frame, &event) != nil {
		return
	}
	l.mu.Lock()
	for topic, pos := range event.Data.Positions {
		l.topics[topic] = pos
	}
	l.mu.Unlock()
}

// field returns the string behind a key, as long as it needs no decoding.
func field(frame []byte, key string) (string, bool) {
	_, rest, found := bytes.Cut(frame, []byte(key))
	value, _, closed := bytes.Cut(rest, []byte(`"`))
	return string(value), found && closed
}

func disconnect(all []*listener) error {
	return each(len(all), 64, func(i int) error {
		l := all[i]
		if l.w == nil {
			return nil
		}
		l.leaving.Store(true)
		_ = l.w.conn.Close() // its reader ends either way
		<-l.done
		l.w = nil
		var resume []string
		for topic, pos := range l.topics {
			resume = append(resume, url.QueryEscape(topic)+"~"+pos)
		}
		l.resume = strings.Join(resume, ",")
		return nil
	})
}

// await waits until every socket has got its messages.
func await(ctx context.Context, o order, all []*listener) error {
	limit := time.Now().Add(o.Within)
	for _, l := range all {
		for l.got.Load() < int64(o.Each) {
			if time.Now().After(limit) || ctx.Err() != nil {
				return fmt.Errorf("a socket got %d of %d messages within %v", l.got.Load(), o.Each, o.Within)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// report sums up, and forgets, what was heard.
func report(all []*listener, answer *heard) {
	var times []time.Duration
	for _, l := range all {
		l.mu.Lock()
		times = append(times, l.times...)
		answer.Bytes += l.bytes
		answer.Doubled += l.twice
		if l.lost {
			answer.Lost++
		}
		l.times, l.bytes, l.twice, l.lost = nil, 0, 0, false
		l.mu.Unlock()
	}
	answer.Deliveries = len(times)
	answer.Latency = latenciesOf(times)
}
