package messaging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// handClock is moved by hand.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func newHandClock() *handClock {
	return &handClock{now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// roster is the Members of the tests: who gets what is set by hand.
type roster struct {
	mu       sync.Mutex
	subs     map[string]messaging.Subscriber
	errs     map[string]error
	watchers map[string]map[int]func(error)
	next     int
	gate     chan struct{} // when set, Topics waits for it
	asked    int
}

func (r *roster) Topics(ctx context.Context, session string, tenant lodge.Tenant) (messaging.Subscriber, error) {
	r.mu.Lock()
	gate := r.gate
	r.asked++
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return messaging.Subscriber{}, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.errs[session]; err != nil {
		return messaging.Subscriber{}, err
	}
	sub, ok := r.subs[session]
	if !ok || sub.Tenant != tenant {
		return messaging.Subscriber{}, lodge.E(lodge.CodeUnauthenticated, "sign in again")
	}
	return sub, nil
}

func (r *roster) Join(ctx context.Context, session string, tenant lodge.Tenant, fn func(error)) (messaging.Subscriber, func(), error) {
	stop := r.watch(session, fn)
	sub, err := r.Topics(ctx, session, tenant)
	if err != nil {
		stop()
		return sub, nil, err
	}
	return sub, stop, nil
}

func (r *roster) watch(session string, fn func(error)) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watchers[session] == nil {
		r.watchers[session] = make(map[int]func(error))
	}
	id := r.next
	r.next++
	r.watchers[session][id] = fn
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers[session], id)
	}
}

// change changes the roster and tells the watchers of a session.
func (r *roster) change(session string, fn func()) {
	r.mu.Lock()
	fn()
	r.mu.Unlock()
	r.tell(session, nil)
}

// tell calls the watchers of a session.
func (r *roster) tell(session string, err error) {
	r.mu.Lock()
	tell := slices.Collect(maps.Values(r.watchers[session]))
	r.mu.Unlock()
	for _, w := range tell {
		w(err)
	}
}

func (r *roster) setTopics(session string, topics ...string) {
	r.change(session, func() {
		sub := r.subs[session]
		sub.Topics = topics
		r.subs[session] = sub
	})
}

func (r *roster) fail(session string, err error) {
	r.change(session, func() { r.errs[session] = err })
}

// echoBox answers what it is asked, or fails with what it was told.
type echoBox struct{ err error }

func (b echoBox) Answer(_ context.Context, sub messaging.Subscriber, data json.RawMessage) (json.RawMessage, error) {
	if b.err != nil {
		return nil, b.err
	}
	return json.Marshal(map[string]any{"answer": data, "person": sub.Person})
}

func (b echoBox) Mark(_ context.Context, sub messaging.Subscriber, data json.RawMessage) (json.RawMessage, error) {
	return json.Marshal(map[string]any{"mark": data, "person": sub.Person})
}

// A house is a hub with everything around it.
type house struct {
	t       testing.TB
	log     messaging.Log
	topics  *messaging.Topics
	hub     *messaging.Hub
	roster  *roster
	clock   *handClock
	server  *httptest.Server
	client  *http.Client
	stopHub func()
}

type houseOptions struct {
	log   messaging.Log
	inbox messaging.Inbox
	hub   messaging.HubOptions
	small bool // little room between server and client
}

func newHouse(t testing.TB, o houseOptions) *house {
	t.Helper()
	h := &house{t: t, log: o.log, clock: newHandClock(), client: &http.Client{Transport: &http.Transport{}}}
	if h.log == nil {
		h.log = memory.New()
		t.Cleanup(func() { _ = h.log.Close() })
	}
	if o.inbox == nil {
		o.inbox = echoBox{}
	}
	if o.hub.Logger == nil {
		o.hub.Logger = slog.New(slog.DiscardHandler)
	}
	h.topics = newNode(t, h.log, messaging.TopicsOptions{Poll: 100 * time.Millisecond})
	runNode(t, h.topics)
	h.roster = &roster{
		subs: make(map[string]messaging.Subscriber), errs: make(map[string]error),
		watchers: make(map[string]map[int]func(error)),
	}
	h.hub = messaging.NewHub(h.topics, h.roster, o.inbox, h.clock, o.hub)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.hub.Run(ctx) }()
	h.stopHub = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("hub: %v", err)
		}
	})
	t.Cleanup(h.stopHub)
	mux := http.NewServeMux()
	serve := func(serve func(http.ResponseWriter, *http.Request, messaging.Subscriber) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h.roster.mu.Lock()
			sub := h.roster.subs[r.URL.Query().Get("session")]
			h.roster.mu.Unlock()
			if err := serve(w, r, sub); err != nil {
				w.Header().Set("X-Code", string(lodge.CodeOf(err)))
				http.Error(w, err.Error(), http.StatusTeapot)
			}
		}
	}
	mux.HandleFunc("/ws", serve(h.hub.ServeWS))
	mux.HandleFunc("/events", serve(h.hub.ServeEvents))
	h.server = httptest.NewUnstartedServer(mux)
	if o.small {
		h.server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			if err := conn.(*net.TCPConn).SetWriteBuffer(16 << 10); err != nil {
				t.Error(err)
			}
			return ctx
		}
		h.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
			}
			return conn, err
		}}
	}
	h.server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := h.hub.Drain(ctx); err != nil {
			t.Error(err)
		}
		h.server.Close()
		h.client.CloseIdleConnections()
	})
	return h
}

// let gives a session to a person.
func (h *house) let(session string, person lodge.PersonID, topics ...string) {
	h.roster.change(session, func() {
		h.roster.subs[session] = messaging.Subscriber{Tenant: "t", Person: person, Session: session, Name: "Name of " + string(person), Topics: topics}
	})
}

// say appends a notice and returns its position.
func (h *house) say(topic, id string) messaging.Pos { return h.sayAs("t", topic, id, "") }

func (h *house) sayAs(tenant lodge.Tenant, topic, id string, sender lodge.PersonID) messaging.Pos {
	h.t.Helper()
	e := notice(h.clock, topic, id)
	e.Sender = sender
	msg, err := e.Message()
	if err != nil {
		h.t.Fatal(err)
	}
	added, err := h.topics.Append(testContext(h.t), tenant, topic, msg)
	if err != nil {
		h.t.Fatal(err)
	}
	return added[0].Pos
}

func notice(clock lodge.Clock, topic, id string) messaging.Event {
	data := fmt.Sprintf(`{"text":"text of %s","priority":"info","from":"Grace","to":%q}`, id, topic)
	return messaging.Event{ID: id, Type: messaging.TypeNotice, Subject: topic, Time: clock.Now(), Data: json.RawMessage(data)}
}

// event is a frame as a client reads it.
type event struct {
	ID, Type, Source, Subject string
	Topic                     string `json:"lodgetopic"`
	Pos                       string `json:"lodgepos"`
	Error                     string
	Code                      string `json:"lodgecode"`
	Data                      json.RawMessage
}

func (e event) String() string { return e.Topic + "/" + e.ID }

// A socketClient is a client's end of a message websocket, which keeps positions
// as the documentation says.
type socketClient struct {
	t       testing.TB
	ws      *websocket.Conn
	cursors map[string]string
	large   bool // frames are too large to be checked one by one
}

// dial connects a session; resume is a query such as "resume=all~".
func (h *house) dial(session, resume string) *socketClient {
	h.t.Helper()
	c, res := h.tryDial(session, resume)
	if c == nil {
		h.t.Fatalf("refused: %v", res.Header.Get("X-Code"))
	}
	return c
}

func (h *house) tryDial(session, resume string) (*socketClient, *http.Response) {
	h.t.Helper()
	uri := "ws" + strings.TrimPrefix(h.server.URL, "http") + "/ws?session=" + url.QueryEscape(session) + "&" + resume
	ws, res, err := websocket.Dial(testContext(h.t), uri, &websocket.DialOptions{HTTPClient: h.client, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		if res == nil {
			h.t.Fatal(err)
		}
		return nil, res
	}
	ws.SetReadLimit(2 << 20)
	c := &socketClient{t: h.t, ws: ws, cursors: make(map[string]string)}
	h.t.Cleanup(func() { _ = ws.CloseNow() })
	return c, res
}

// resume is the query of a client that comes back.
func (c *socketClient) resume() string {
	q := make(url.Values)
	for topic, pos := range c.cursors {
		q.Add("resume", url.QueryEscape(topic)+"~"+pos)
	}
	return q.Encode()
}

// next reads one event, which must be as documented.
func (c *socketClient) next() event {
	c.t.Helper()
	e, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

func (c *socketClient) read() (event, error) {
	c.t.Helper()
	typ, b, err := c.ws.Read(testContext(c.t))
	if err != nil {
		return event{}, err
	}
	if typ != websocket.MessageText || bytes.ContainsAny(b, "\n\r") {
		c.t.Errorf("frame %q", b)
	}
	var e event
	if !c.large {
		e = documented(c.t, b)
	} else if err := json.Unmarshal(b, &e); err != nil {
		c.t.Fatal(err)
	}
	if e.Pos != "" {
		c.cursors[e.Topic] = e.Pos
	}
	switch e.Type {
	case messaging.TypeCaughtUp:
		for topic, pos := range e.positions(c.t) {
			c.cursors[topic] = pos
		}
	case messaging.TypeGap:
		c.cursors[e.Topic] = e.gap(c.t).Position
	}
	return e, nil
}

func (e event) positions(t testing.TB) map[string]string {
	var data struct{ Positions map[string]string }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		t.Fatal(err)
	}
	return data.Positions
}

type gapOf struct{ Topic, Since, Position string }

func (e event) gap(t testing.TB) (g gapOf) {
	if err := json.Unmarshal(e.Data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// until reads up to an event of a type and returns the ids before it.
func (c *socketClient) until(typ string) (ids []string, last event) {
	c.t.Helper()
	for {
		e := c.next()
		if e.Type == typ {
			return ids, e
		}
		ids = append(ids, e.String())
	}
}

// caughtUp reads the whole replay.
func (c *socketClient) caughtUp() []string {
	c.t.Helper()
	ids, _ := c.until(messaging.TypeCaughtUp)
	return ids
}

func (c *socketClient) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if e := c.next(); e.String() != w {
			c.t.Fatalf("got %s, want %s", e, w)
		}
	}
}

func (c *socketClient) send(frame string) {
	c.t.Helper()
	if err := c.ws.Write(testContext(c.t), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// sync returns when the hub has handled all frames sent so far.
func (c *socketClient) sync() {
	c.t.Helper()
	c.send(`{"type":"mark","id":"sync","data":{"register":"x"}}`)
	for {
		if e := c.next(); e.Type == messaging.TypeReply && e.ID == "sync" {
			return
		}
	}
}

// closed reads to the end and returns how it ended.
func (c *socketClient) closed() websocket.CloseError {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			ce, ok := errors.AsType[websocket.CloseError](err)
			if !ok {
				c.t.Fatalf("ended without a close frame: %v", err)
			}
			return ce
		}
	}
}

func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// eventually waits for something that comes about on its own.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
