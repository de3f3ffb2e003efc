package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// noPoll puts every poll of sessions out of a test's reach: what ends a
// connection is a hint, or its having registered before it read.
const noPoll = time.Hour

// A raceTrack is an installation to race at: one gateway on the embedded store,
// or two on a Redis, of which one lets in while the other revokes.
type raceTrack struct {
	testing.TB
	nodes  []*raceNode
	admin  string // an administrator's code
	client *http.Client
}

type raceNode struct {
	url      string
	sessions *sessions.Manager
	gateway  *gateway.Gateway
}

func newRaceTrack(t testing.TB, onRedis bool) *raceTrack {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	w := &raceTrack{TB: t, client: &http.Client{Transport: transport, Timeout: 4 * raceLimit}}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "lodge.db"))
	w.must(err)
	w.atEnd(db.Close)
	logs := sqlite.NewLog(db)
	w.atEnd(logs.Close)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	journal, opts := sqlite.NewJournal(db), sessions.Options{LeasePoll: noPoll, LeaseGrace: 3 * noPoll, Logger: log}
	if onRedis {
		server := redistest.Start(t)
		for range 2 {
			rdb, err := redis.Open(redis.Config{Addrs: []string{server.Addr()}, Journal: journal, Logger: log})
			w.must(err)
			w.atEnd(rdb.Close)
			w.start(db, logs, log, sessions.NewManager(redis.NewSessions(rdb), journal, redis.NewSignals(rdb), lodge.SystemClock{}, opts))
		}
	} else {
		w.start(db, logs, log, sessions.NewManager(sqlite.NewSessions(db), journal, sessions.NewLocalSignals(), lodge.SystemClock{}, opts))
	}
	w.admin, _ = w.make(sessions.New{
		Kind: sessions.Login, Person: "root", Bindings: []lodge.Binding{{Role: lodge.RoleAdministrator, Scope: lodge.ScopeTenant}},
	})
	t.Cleanup(transport.CloseIdleConnections)
	return w
}

// start runs a gateway on these stores until the test's end.
func (w *raceTrack) start(db *sqlite.DB, logs *sqlite.Log, log *slog.Logger, m *sessions.Manager) {
	w.Helper()
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	topics, err := messaging.NewTopics(logs, messaging.Keyring{Names: key(1), Seals: map[string][]byte{"1": key(2)}, Current: "1"}, messaging.TopicsOptions{Logger: log})
	w.must(err)
	desk, err := booking.NewDesk(sqlite.NewBookings(db), booking.Keys{PepperID: "1", Pepper: key(3), Seal: key(4)}, lodge.SystemClock{}, booking.Options{Logger: log})
	w.must(err)
	catalogue, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "lodge.yaml", false)
	w.must(err)
	w.must(desk.Apply(w.Context(), lodge.DefaultTenant, catalogue))
	issuers, err := idp.New([]idp.IssuerConfig{{ID: "dev", Name: "Nobody signs in here", URL: "http://127.0.0.1:1", ClientID: "lodge", Insecure: true}}, lodge.SystemClock{}, idp.Options{})
	w.must(err)
	var handler http.Handler
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	n := &raceNode{url: "http://" + server.Listener.Addr().String(), sessions: m}
	n.gateway, err = gateway.New(gateway.Config{PublicURL: n.url, AssetsURL: "http://localhost:1", LeasePoll: noPoll, LeaseGrace: 3 * noPoll}, gateway.Parts{
		Clock: lodge.SystemClock{}, Sessions: m, IdP: issuers, Persons: sqlite.NewPersons(db), Desk: desk, Topics: topics, Log: log, PersonKeys: personKeys(w.TB, db),
	})
	w.must(err)
	handler = n.gateway.Handler()
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.gateway.Run(ctx) }()
	w.atEnd(func() error {
		server.Close()
		cancel()
		return <-done
	})
	w.must(n.gateway.Ready(w.Context()))
	w.nodes = append(w.nodes, n)
}

// make makes a session that lasts longer than the test.
func (w *raceTrack) make(n sessions.New) (code string, s sessions.Session) {
	w.Helper()
	n.Tenant, n.ExpiresAt = lodge.DefaultTenant, time.Now().Add(20*time.Hour)
	code, s, err := w.nodes[0].sessions.Create(w.Context(), n)
	if err != nil {
		w.Error(err)
	}
	return code, s
}

// login makes a person's login.
func (w *raceTrack) login(person lodge.PersonID) (code string, id sessions.ID) {
	code, s := w.make(sessions.New{Kind: sessions.Login, Person: person})
	return code, s.ID
}

const raceTopic = "pend00-data"

// launch makes a person's experiment session.
func (w *raceTrack) launch(person lodge.PersonID) (code string, id sessions.ID) {
	code, s := w.make(sessions.New{
		Kind: sessions.Experiment, Person: person, Booking: "booking-of-" + string(person), Experiment: "pend00", Scopes: []string{"read:" + raceTopic},
	})
	return code, s.ID
}

// address exchanges an experiment's code for an address of its stream.
func (w *raceTrack) address(n *raceNode, code string) string {
	var body struct{ URI string }
	status, raw := w.ask("POST", n.url+"/session/"+raceTopic, http.Header{"Authorization": {code}})
	if err := json.Unmarshal(raw, &body); err != nil || status != http.StatusOK {
		w.Errorf("exchange: %d %s, %v", status, raw, err)
	}
	return body.URI
}

// stream opens an address that was handed out.
func (w *raceTrack) stream(ctx context.Context, uri string) (*websocket.Conn, int) {
	return answered(websocket.Dial(ctx, uri, nil))
}

// messages opens the message socket of a login.
func (w *raceTrack) messages(ctx context.Context, n *raceNode, code string) (*websocket.Conn, int) {
	header := loginCookie(code)
	header.Set("Origin", n.url)
	uri := "ws" + strings.TrimPrefix(n.url, "http") + "/api/v1/messages/ws"
	return answered(websocket.Dial(ctx, uri, &websocket.DialOptions{HTTPHeader: header}))
}

// answered returns the status that a connection was refused with; 0 means that no
// answer came. There is no body to close: the library has read it.
func answered(conn *websocket.Conn, res *http.Response, err error) (*websocket.Conn, int) {
	switch {
	case err == nil:
		return conn, http.StatusSwitchingProtocols
	case res == nil:
		return nil, 0
	default:
		return nil, res.StatusCode
	}
}

// signOut has a person end every session of theirs.
func (w *raceTrack) signOut(n *raceNode, code string) {
	if status, raw := w.ask("POST", n.url+"/api/v1/me/sessions/revoke-all", loginCookie(code)); status != http.StatusOK {
		w.Errorf("signing out everywhere: %d %s", status, raw)
	}
}

// end has the administrator end a session.
func (w *raceTrack) end(n *raceNode, id sessions.ID) {
	if status, raw := w.ask("DELETE", n.url+"/api/v1/admin/sessions/"+string(id), loginCookie(w.admin)); status != http.StatusNoContent {
		w.Errorf("ending a session: %d %s", status, raw)
	}
}

func (w *raceTrack) ask(method, url string, header http.Header) (int, []byte) {
	req, err := http.NewRequestWithContext(w.Context(), method, url, nil)
	if err != nil {
		w.Error(err)
		return 0, nil
	}
	req.Header = header
	res, err := w.client.Do(req)
	if err != nil {
		return 0, fmt.Append(nil, err)
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Error(err)
	}
	return res.StatusCode, raw
}

func loginCookie(code string) http.Header { return http.Header{"Cookie": {"lodge-dev=" + code}} }

func (w *raceTrack) atEnd(fn func() error) {
	w.Cleanup(func() {
		if err := fn(); err != nil {
			w.Error(err)
		}
	})
}

func (w *raceTrack) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}
