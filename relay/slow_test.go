package relay

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

// A trickle is a connection whose client takes a byte a second once it is slow.
type trickle struct {
	net.Conn
	slow *atomic.Bool
}

func (t trickle) Read(p []byte) (int, error) {
	if !t.slow.Load() {
		return t.Conn.Read(p)
	}
	<-time.After(time.Second)
	return t.Conn.Read(p[:1])
}

// trickling returns a client like another whose connections become slow when they
// are told to.
func trickling(client *http.Client) (*http.Client, *atomic.Bool) {
	slow := &atomic.Bool{}
	dial := client.Transport.(*http.Transport).DialContext
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return trickle{conn, slow}, err
	}}}, slow
}

// Of twenty viewers one takes a byte a second, on connections that hold nothing.
// The clock of the test stands still for as long as anybody has something to do: a
// message that waited for the slow one, for a timer or for a deadline would arrive
// later than it was sent. None does.
func TestRel15_SlowReadersDelayNobody(t *testing.T) {
	for _, topic := range []string{"pend00-data", "pend00-video"} {
		t.Run(topic, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { slowReader(t, topic) })
		})
	}
}

func slowReader(t *testing.T, topic string) {
	const others, messages, size = 19, 500, 1024
	r := onPipes(t, Options{QueueMessages: 128})
	client, slow := trickling(r.client)
	t.Cleanup(client.CloseIdleConnections)
	r.access.allow("slow", topic, true, false, time.Time{})
	dawdler := wstest.Dial(t, client, r.uri(t, topic, "slow"), nil)
	slow.Store(true)
	var readers, dawdles sync.WaitGroup
	dawdles.Go(func() {
		for {
			if _, _, err := dawdler.Read(context.Background()); err != nil {
				return
			}
		}
	})
	host := r.member(t, topic, "host", "w")
	for i := range others {
		viewer := r.member(t, topic, string(rune('a'+i)), "r")
		readers.Go(func() {
			for n := range messages {
				_, body := wstest.Read(t, viewer)
				if got := binary.BigEndian.Uint64([]byte(body)); got != uint64(n) {
					t.Errorf("message %d where %d was to come", got, n)
					return
				}
				if late := time.Now().UnixNano() - int64(binary.BigEndian.Uint64([]byte(body[8:]))); late != 0 {
					t.Errorf("message %d came after %v", n, time.Duration(late))
					return
				}
			}
		})
	}
	body := make([]byte, size)
	for n := range messages {
		binary.BigEndian.PutUint64(body, uint64(n))
		binary.BigEndian.PutUint64(body[8:], uint64(time.Now().UnixNano()))
		wstest.Write(t, host, websocket.MessageBinary, string(body))
		<-time.After(10 * time.Millisecond)
	}
	readers.Wait()
	// Nothing of what the slow one was not given is missing from the counts.
	s := r.Stats()
	switch DefaultPolicy(topic) {
	case Close:
		if s.Peers != others+1 || s.Dropped.Overflow != 1 || s.Dropped.Left == 0 || s.Dropped.Oldest != 0 {
			t.Errorf("%d peers, dropped %+v", s.Peers, s.Dropped)
		}
	case DropOldest:
		waiting := uint64(others+1)*messages - s.Out - s.Dropped.total()
		if s.Peers != others+2 || s.Dropped.Oldest == 0 || s.Dropped.Oldest != s.Dropped.total() || waiting > uint64(r.opts.LiveMessages+flushFrames) {
			t.Errorf("%d peers, %d sent, dropped %+v, %d waiting", s.Peers, s.Out, s.Dropped, waiting)
		}
	}
	slow.Store(false)
	_ = dawdler.CloseNow() // as whoever is tired of it
	dawdles.Wait()
}
