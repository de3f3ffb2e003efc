package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A streamPlan is what the clients of one case are to do; it is the first line
// they are sent. Then come the orders "connect" and "run".
type streamPlan struct {
	URL    string
	Codes  []string // by room; none at the bare limit, where anybody may
	Case   relayCase
	Size   int
	Period time.Duration
}

// A streamed is what they saw.
type streamed struct {
	Sent, Delivered, Disordered int
	Closed                      int // readers whose connection was ended
	Missing                     int // messages that the others did not get
	Took                        time.Duration
	Latency                     latencies
	Error                       string
}

// streamHeader is what a message begins with: its number and when it was sent.
const streamHeader = 16

// settle is how long after the last message deliveries are waited for.
const settle = 2 * time.Second

func roomTopic(i int) string { return fmt.Sprintf("room%d-data", i) }

// streams are the hosts and the readers of one case.
func streams(ctx context.Context, _ []string) error {
	in := json.NewDecoder(os.Stdin)
	s := &streamClients{}
	if err := in.Decode(&s.plan); err != nil {
		return err
	}
	defer s.close()
	for {
		var order string
		if err := in.Decode(&order); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var saw streamed
		var err error
		switch order {
		case "connect":
			err = s.connect(ctx)
		case "run":
			saw, err = s.run(ctx)
		default:
			err = fmt.Errorf("there is no order %q", order)
		}
		if err != nil {
			saw.Error = err.Error()
		}
		fmt.Print("done ")
		if err := json.NewEncoder(os.Stdout).Encode(saw); err != nil {
			return err
		}
	}
}

type streamClients struct {
	plan    streamPlan
	hosts   []*wire
	readers []*streamReader
	slow    []*wire
	leaving atomic.Bool
	wg      sync.WaitGroup
}

// A streamReader reads one stream.
type streamReader struct {
	w          *wire
	times      []time.Duration // owned by its goroutine until it has ended
	last       uint64
	disordered int
	closed     bool
	got        atomic.Int64
}

func (s *streamClients) connect(ctx context.Context) error {
	c := s.plan.Case
	s.hosts = make([]*wire, c.Rooms)
	s.readers = make([]*streamReader, c.Rooms*c.Readers)
	s.slow = make([]*wire, c.Rooms*c.Slow)
	if err := each(len(s.readers), 16, func(i int) error {
		w, err := s.dial(ctx, i%c.Rooms, "read")
		s.readers[i] = &streamReader{w: w}
		return err
	}); err != nil {
		return err
	}
	if err := each(len(s.slow), 16, func(i int) (err error) {
		s.slow[i], err = s.dial(ctx, i%c.Rooms, "read")
		return err
	}); err != nil {
		return err
	}
	return each(len(s.hosts), 16, func(i int) (err error) {
		s.hosts[i], err = s.dial(ctx, i, "write")
		return err
	})
}

// exchange asks for an address of a stream.
func exchange(ctx context.Context, gatewayURL, topic, code string) (uri string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gatewayURL+"/session/"+topic, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", code)
	var answer struct{ URI string }
	err = ask(req, http.StatusOK, &answer)
	return answer.URI, err
}

// dial joins a room, at a Lodge by the exchange of a code for an address.
func (s *streamClients) dial(ctx context.Context, room int, right string) (*wire, error) {
	at := s.plan.URL + "/" + right + "?room=" + fmt.Sprint(room)
	if len(s.plan.Codes) > 0 {
		var err error
		if at, err = exchange(ctx, s.plan.URL, roomTopic(room), s.plan.Codes[room]); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	return dialWire(ctx, u.Host, u.RequestURI(), nil, nil)
}

func (s *streamClients) run(ctx context.Context) (streamed, error) {
	for _, r := range s.readers {
		s.wg.Go(func() { r.read(); r.closed = !s.leaving.Load() })
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, w := range s.slow {
		s.wg.Go(func() { dribble(ctx, w) })
	}
	began := time.Now()
	var sent atomic.Int64
	err := each(len(s.hosts), len(s.hosts), func(i int) error {
		n, err := s.send(ctx, s.hosts[i])
		sent.Add(int64(n))
		return err
	})
	saw := streamed{Sent: int(sent.Load()), Took: time.Since(began)}
	s.await(saw.Sent / s.plan.Case.Rooms) // all rooms are alike
	stop()
	s.leaving.Store(true)
	s.close()
	var times []time.Duration
	for _, r := range s.readers {
		times = append(times, r.times...)
		saw.Disordered += r.disordered
		if r.closed {
			saw.Closed++
		} else {
			saw.Missing += max(0, saw.Sent/s.plan.Case.Rooms-len(r.times))
		}
	}
	saw.Delivered = len(times)
	saw.Latency = latenciesOf(times)
	return saw, err
}

// await waits until every reader has got so many messages, or nobody gets any
// more.
func (s *streamClients) await(each int) {
	until := time.Now().Add(settle)
	for _, r := range s.readers {
		for before := int64(-1); r.got.Load() < int64(each) && time.Now().Before(until); {
			if now := r.got.Load(); now != before {
				before, until = now, time.Now().Add(settle)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// send sends messages for as long as the plan says, and returns how many.
func (s *streamClients) send(ctx context.Context, w *wire) (int, error) {
	// One frame, in which number and time change: final, binary, masked by zeros.
	frame := []byte{0x82, 0x80 | 126, byte(s.plan.Size >> 8), byte(s.plan.Size), 0, 0, 0, 0}
	frame = append(frame, make([]byte, s.plan.Size)...)
	body := frame[8:]
	began := time.Now()
	n := 0
	for time.Since(began) < s.plan.Period && ctx.Err() == nil {
		due := n + 1
		if rate := s.plan.Case.Rate; rate > 0 {
			due = int(time.Since(began).Seconds() * rate)
		}
		for ; n < due; n++ {
			binary.BigEndian.PutUint64(body, uint64(n+1))
			binary.BigEndian.PutUint64(body[8:], uint64(time.Now().UnixNano()))
			if _, err := w.conn.Write(frame); err != nil {
				return n, err
			}
		}
		if s.plan.Case.Rate > 0 {
			time.Sleep(time.Duration(min(float64(time.Second)/s.plan.Case.Rate, float64(time.Second))))
		}
	}
	return n, nil
}

func (r *streamReader) read() {
	for {
		op, body, err := r.w.frame()
		if err != nil || op == opClose {
			return
		}
		if op == opPing {
			if r.w.send(opPong, body) != nil {
				return
			}
			continue
		}
		if len(body) < streamHeader {
			r.disordered++
			continue
		}
		n := binary.BigEndian.Uint64(body)
		if n <= r.last {
			r.disordered++
		}
		r.last = n
		r.times = append(r.times, time.Duration(time.Now().UnixNano()-int64(binary.BigEndian.Uint64(body[8:]))))
		r.got.Add(1)
	}
}

// dribble reads a byte a second, of as little as the kernel can be made to keep.
func dribble(ctx context.Context, w *wire) {
	if tcp, ok := w.conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1) // the kernel makes it the least it allows
	}
	var one [1]byte
	for ctx.Err() == nil {
		if wait(ctx, time.Second) != nil {
			return
		}
		if _, err := w.conn.Read(one[:]); err != nil {
			return
		}
	}
}

func (s *streamClients) close() {
	for _, w := range s.hosts {
		if w != nil {
			_ = w.conn.Close() // its reader, if any, ends
		}
	}
	for _, r := range s.readers {
		if r != nil && r.w != nil {
			_ = r.w.conn.Close() // the same
		}
	}
	for _, w := range s.slow {
		if w != nil {
			_ = w.conn.Close() // the same
		}
	}
	s.wg.Wait()
}
