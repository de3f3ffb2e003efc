package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// A socketPlan is what one process of clients is to do; it is the first line it
// is sent.
type socketPlan struct {
	Gateways    []string
	Admins      []string // the administrator's code at each gateway
	People      int      // accounts to choose from
	First       int      // number of the first socket, over all processes
	Sockets     int
	Streams     bool // they are streams of the relays, each opened with a service code
	Revocations int
	Parallel    int // revoking calls at a time
}

// A socketReport is what it prints at the end.
type socketReport struct {
	Closed                []time.Duration // from the answer of the revoking call to the closed socket, 0 when it was closed before
	Calls                 []time.Duration // the revoking calls themselves
	Codes                 map[int]int     // close codes of the revoked
	Open                  int             // revoked, and never closed
	Strays                int             // closed though not revoked
	SigningIn, Connecting time.Duration
}

// A client is a person with one message socket, or a program with one stream.
type client struct {
	code   string
	closed chan struct{} // closed when the socket is; at and status are set then
	at     time.Time
	status websocket.StatusCode
	conn   *websocket.Conn
}

// sockets signs people in, opens a message socket for each, says so, and when it
// is told to go on ends sessions as the administrator, each at another gateway
// than its socket's.
func sockets(ctx context.Context, _ []string) error {
	in := json.NewDecoder(os.Stdin)
	var plan socketPlan
	if err := in.Decode(&plan); err != nil {
		return err
	}
	clients := make([]*client, plan.Sockets)
	var report socketReport
	began := time.Now()
	if err := each(len(clients), 16, func(i int) (err error) {
		clients[i], err = newClient(ctx, &plan, plan.First+i)
		return err
	}); err != nil {
		return err
	}
	report.SigningIn = time.Since(began)
	began = time.Now()
	var wg sync.WaitGroup
	if err := each(len(clients), 16, func(i int) error { return clients[i].connect(ctx, &wg, &plan, i) }); err != nil {
		return err
	}
	report.Connecting = time.Since(began)
	fmt.Println("connected")
	var goOn bool
	if err := in.Decode(&goOn); err != nil {
		return err
	}
	if err := report.revoke(ctx, &plan, clients); err != nil {
		return err
	}
	for _, c := range clients {
		_ = c.conn.CloseNow() // most are still open
	}
	wg.Wait()
	fmt.Print("report ")
	return json.NewEncoder(os.Stdout).Encode(report)
}

// each calls fn for 0 to n-1, some at a time.
func each(n, width int, fn func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(width)
	for i := range n {
		group.Go(func() error { return fn(i) })
	}
	return group.Wait()
}

func (p *socketPlan) gateway(i int) string { return p.Gateways[(p.First+i)%len(p.Gateways)] }

// streamTopic is the relay topic of a stream, of which ten share one.
func streamTopic(n int) string { return roomTopic(n / 10) }

func newClient(ctx context.Context, plan *socketPlan, n int) (*client, error) {
	at := n % len(plan.Gateways)
	if plan.Streams {
		code, err := newCode(ctx, plan.Gateways[at], plan.Admins[at], "read:"+streamTopic(n))
		return &client{code: code, closed: make(chan struct{})}, err
	}
	code, err := signIn(ctx, signInTransport(n), plan.Gateways[at], person(n%plan.People))
	return &client{code: code, closed: make(chan struct{})}, err
}

// connect opens the client's socket and reads it until it is closed.
func (c *client) connect(ctx context.Context, wg *sync.WaitGroup, plan *socketPlan, i int) error {
	gatewayURL := plan.gateway(i)
	at := "ws" + strings.TrimPrefix(gatewayURL, "http") + "/api/v1/messages/ws"
	header := http.Header{"Cookie": {loginCookie + "=" + c.code}, "Origin": {gatewayURL}}
	if plan.Streams {
		var err error
		if at, err = exchange(ctx, gatewayURL, streamTopic(plan.First+i), c.code); err != nil {
			return err
		}
		header = nil
	}
	conn, _, err := websocket.Dial(ctx, at, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return err
	}
	c.conn = conn
	wg.Go(func() {
		for {
			if _, _, err := conn.Read(context.WithoutCancel(ctx)); err != nil {
				c.at, c.status = time.Now(), websocket.CloseStatus(err)
				close(c.closed)
				return
			}
		}
	})
	return nil
}

// revocationLimit is how long after the last revocation a socket may stay open
// before it counts as never closed.
const revocationLimit = 30 * time.Second

func (r *socketReport) revoke(ctx context.Context, plan *socketPlan, clients []*client) error {
	revoked := clients[:plan.Revocations]
	answered := make([]time.Time, len(revoked))
	r.Calls = make([]time.Duration, len(revoked))
	err := each(len(revoked), plan.Parallel, func(i int) error {
		at := (plan.First + i + 1) % len(plan.Gateways)
		asked := time.Now()
		if err := end(ctx, plan.Gateways[at], plan.Admins[at], revoked[i].code); err != nil {
			return err
		}
		answered[i] = time.Now()
		r.Calls[i] = answered[i].Sub(asked)
		return nil
	})
	if err != nil {
		return err
	}
	r.Codes = map[int]int{}
	limited, cancel := context.WithTimeout(ctx, revocationLimit)
	defer cancel()
	for i, c := range revoked {
		select {
		case <-c.closed:
			r.Closed = append(r.Closed, max(0, c.at.Sub(answered[i])))
			r.Codes[int(c.status)]++
		case <-limited.Done():
			r.Open++
		}
	}
	for _, c := range clients[plan.Revocations:] {
		select {
		case <-c.closed:
			r.Strays++
		default:
		}
	}
	return nil
}

// end ends the session of a code as an administrator.
func end(ctx context.Context, gatewayURL, admin, code string) error {
	// A session's public id is the hash of its code's secret.
	_, secret, _ := strings.Cut(strings.TrimPrefix(code, "lodge_"), "_")
	sum := sha256.Sum256([]byte(secret))
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete,
		gatewayURL+"/api/v1/admin/sessions/"+base64.RawURLEncoding.EncodeToString(sum[:]), nil)
	if err != nil {
		return err
	}
	req.AddCookie(&http.Cookie{Name: loginCookie, Value: admin})
	res, err := (&http.Client{Transport: shared, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return errors.Join(err, fmt.Errorf("ending a session: %s: %s", res.Status, body))
	}
	return err
}
