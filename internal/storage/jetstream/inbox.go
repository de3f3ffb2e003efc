package jetstream

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// An inbox takes the answers of requests that have more than one. It is one
// subscription for all of them: one for each would cost ten times the request.
type inbox struct {
	root string // static: begins its subjects

	mu      sync.Mutex
	last    uint64                    // guarded by mu: counts the requests
	waiting map[string]chan *nats.Msg // guarded by mu, by the end of their subjects
}

// begin subscribes; the subscription ends with the connection.
func (in *inbox) begin(conn *nats.Conn) error {
	in.root, in.waiting = conn.NewRespInbox()+".", map[string]chan *nats.Msg{}
	_, err := conn.Subscribe(in.root+"*", func(m *nats.Msg) {
		in.mu.Lock()
		to := in.waiting[strings.TrimPrefix(m.Subject, in.root)]
		in.mu.Unlock()
		select {
		case to <- m:
		default: // nobody waits for it any more
		}
	})
	return err
}

// open returns a subject for up to n answers and where they come; the caller calls
// done at the end.
func (in *inbox) open(n int) (subject string, answers <-chan *nats.Msg, done func()) {
	to := make(chan *nats.Msg, n)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.last++
	token := strconv.FormatUint(in.last, 36)
	in.waiting[token] = to
	return in.root + token, to, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.waiting, token)
	}
}
