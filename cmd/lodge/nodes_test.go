package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/internal/redistest"
)

// A site is an installation of several nodes, each a process of its own, at one
// public address. Nobody listens there: a visitor goes to the node they are sent
// to, as a load balancer would do it.
type site struct {
	t        testing.TB
	dir      string
	public   string // host:port
	database *postgrestest.Server
	url      string // of the database
	redis    *redistest.Server
	issuer   string
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), public: freeAddress(t), database: postgrestest.Start(t, postgrestest.Options{}), redis: redistest.Start(t)}
	s.url = s.database.Database(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.issuer = fmt.Sprintf("http://localhost:%d", port(l))
	handler, err := idptest.New(idptest.Config{Issuer: s.issuer, Accounts: idptest.DemoAccounts(), Clients: []idptest.Client{{
		ID: "lodge", RedirectURIs: []string{s.base() + "/callback/dev"}, PostLogoutURIs: []string{s.base() + "/signed-out"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	server, ended := &http.Server{Handler: handler}, make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func (s *site) base() string { return "http://" + s.public }

// A siteNode is one of its nodes.
type siteNode struct {
	site    *site
	data    string
	file    string // its configuration
	address string // where it listens
	command string // serve, or relay
	process *demoProcess
}

// node writes the configuration of a further node, which has a copy of the root
// key, with more settings.
func (s *site) node(name string, more ...string) *siteNode {
	s.t.Helper()
	n := &siteNode{site: s, data: filepath.Join(s.dir, name), file: filepath.Join(s.dir, name+".yaml"), address: freeAddress(s.t), command: "serve"}
	if err := os.Mkdir(n.data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(s.dir, "*", rootKeyFile))
	if err != nil {
		s.t.Fatal(err)
	}
	if len(keys) > 0 {
		key, err := os.ReadFile(keys[0])
		if err == nil {
			err = os.WriteFile(filepath.Join(n.data, rootKeyFile), key, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	text := append([]string{
		"public_url: " + s.base(), "listen: " + n.address, "assets_url: http://localhost", "assets_listen: 127.0.0.1:0",
		"data: " + n.data, "database: " + s.url, "redis: " + s.redis.URL(), "log_level: warn",
		"issuers:", "- {id: dev, name: Development, url: " + s.issuer + ", client_id: lodge, insecure: true}",
	}, more...)
	if err := os.WriteFile(n.file, []byte(strings.Join(text, "\n")), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// start runs the node until the test ends.
func (n *siteNode) start() *siteNode {
	t := n.site.t
	t.Helper()
	n.process = &demoProcess{t: t, args: []string{n.command, "--config", n.file}}
	n.process.start()
	t.Cleanup(func() {
		if n.process.cmd != nil {
			n.process.stop(syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(n.data), n.process.printed())
		}
	})
	return n
}

// ready returns what the node says of its readiness.
func (n *siteNode) ready() error {
	var answer struct{ Status string }
	return ask(context.Background(), n.data, "/readyz", nil, &answer)
}

// at is the visitor at a node: with the same cookies.
func (v *visitor) at(n *siteNode) *visitor {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == n.site.public {
			address = n.address
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	v.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: v.t, base: v.base, client: &http.Client{Jar: v.client.Jar, Transport: transport, Timeout: 15 * time.Second}}
}

// signedInAt is a visitor who has signed in through a node.
func signedInAt(n *siteNode, name string) *visitor {
	t := n.site.t
	t.Helper()
	v := newVisitor(t, n.site.base()).at(n)
	if status, body := v.do("GET", "/login/dev?login_hint="+name, nil); status != http.StatusOK {
		t.Fatalf("signing in as %s: %d %s", name, status, body)
	}
	return v
}

// stream opens a stream of an experiment at the visitor's node.
func (v *visitor) stream(s gateway.StreamView) *websocket.Conn {
	v.t.Helper()
	got := call[struct{ URI string }](v, 200, "POST", s.URL, nil, header{"Authorization", s.Token})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, got.URI, &websocket.DialOptions{HTTPClient: &http.Client{Transport: v.client.Transport}})
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// verified has the trail of the site verified by the head file of a node.
func verified(t *testing.T, n *siteNode) audit.Report {
	t.Helper()
	status, out, errs := lodgeRun(t, "audit", "verify", "--json", "--config", n.file)
	var r audit.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitDone {
		t.Fatalf("%d %s %s %v", status, out, errs, err)
	}
	return r
}

func TestJourneyAcrossTwoNodes(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	for name, settings := range map[string][]string{
		logPostgres: nil, logRedis: {"log: redis"}, logNATS: {"log: nats", "nats: " + nats.URL(), "nats_monitors: " + nats.Monitor()},
	} {
		t.Run("messages in "+name, func(t *testing.T) { journeyAcross(t, settings...) })
	}
}

func journeyAcross(t *testing.T, more ...string) {
	s := newSite(t)
	one := s.node("one", more...)
	if status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--config", one.file); status != exitDone {
		t.Fatal(out, errs)
	}
	one.start()
	two := s.node("two", more...).start()

	// Signed in at one, known at two.
	ada, grace := signedInAt(one, "ada"), signedInAt(two, "grace")
	me := call[gateway.Me](ada.at(two), 200, "GET", "/api/v1/me", nil)
	if me.Name != "Ada Lovelace" || me.Kind != "login" {
		t.Fatalf("me at the other node: %+v", me)
	}
	// Booked at one: taken at two, and launched there.
	request := gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300}
	booking := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", request)
	signedInAt(two, "soren").refusedWith(409, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 300})
	activity := call[gateway.Activity](ada.at(two), 200, "POST", "/api/v1/bookings/"+booking.ID+"/activity", nil)
	stream := ada.stream(activity.Streams[0]) // at one, with the code that two gave out

	// Sent at one, it arrives at a socket of two, and the other way.
	socket := ada.at(two).messages(nil).caughtUp()
	sent := call[gateway.MessageView](grace.at(one), 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "from one"})
	if got := socket.notice("from one"); got.ID != sent.ID {
		t.Errorf("sent %s, got %s", sent.ID, got.ID)
	}
	other := ada.messages(nil).caughtUp()
	call[gateway.MessageView](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "booking:" + booking.ID, Text: "from two"})
	other.notice("from two")
	socket.notice("from two")

	// Cancelled at two, the stream at one is closed.
	call[gateway.BookingView](grace, 200, "DELETE", "/api/v1/bookings/"+booking.ID, gateway.CancelRequest{Reason: "The lab closes early."})
	closed := &journeyState{t: t}
	closed.closes(stream, 4403, "The lab closes early.")
	if status, _ := ada.do("POST", activity.Streams[0].URL, nil, header{"Authorization", activity.Streams[0].Token}); status != http.StatusForbidden {
		t.Errorf("its code is answered %d at the other node", status)
	}
	other.change("lodge.booking", "cancelled")

	// One node dies; everything that was answered is at the other.
	again := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", request)
	socket.change("lodge.booking", "booked") // made at one, and its topic is followed at two
	call[gateway.MessageView](grace.at(one), 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "as one dies"})
	one.process.stop(syscall.SIGKILL)
	socket.notice("as one dies")
	if mine := call[gateway.BookingView](ada.at(two), 200, "GET", "/api/v1/bookings/"+again.ID, nil); mine.State != "booked" {
		t.Errorf("the booking is %+v", mine)
	}
	call[gateway.Activity](ada.at(two), 200, "POST", "/api/v1/bookings/"+again.ID+"/activity", nil)
	call[gateway.MessageView](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "one is dead"})
	socket.notice("one is dead")

	// A command does without a server, and the running one knows at once.
	status, code, errs := lodgeRun(t, "codes", "create", "--experiment", "pend00", "--config", one.file)
	if status != exitDone {
		t.Fatal(errs)
	}
	if status, body := newVisitor(t, s.base()).at(two).do("POST", "/session/pend00-data", nil, header{"Authorization", strings.TrimSpace(code)}); status != http.StatusOK {
		t.Errorf("the code at the node that runs: %d %s", status, body)
	}
	// The head files of both show one whole trail.
	for _, n := range []*siteNode{one, two} {
		if r := verified(t, n); !r.Intact() || r.Entries < 10 {
			t.Errorf("%s: %+v", n.data, r)
		}
	}
	one.start()
	call[gateway.Me](ada, 200, "GET", "/api/v1/me", nil)
	if history := call[struct{ Messages []gateway.MessageView }](ada, 200, "GET", "/api/v1/messages?topic=all", nil); len(history.Messages) != 3 {
		t.Errorf("to everyone were sent %+v", history.Messages)
	}
}

// Messages are due while two nodes run, and one of them is killed amid sending:
// what it took up and did not finish the other sends, and each comes once.
func TestScheduledMessagesAreSentOnceThoughANodeIsKilled(t *testing.T) {
	const messages = 60
	s := newSite(t)
	one := s.node("one", "send_rate: 1000")
	if status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--config", one.file); status != exitDone {
		t.Fatal(out, errs)
	}
	one.start()
	two := s.node("two", "send_rate: 1000").start()
	grace, ada := signedInAt(two, "grace"), signedInAt(two, "ada")
	socket := ada.messages(nil).caughtUp()
	due := time.Now().Add(4 * time.Second).Truncate(time.Second)
	want := map[string]bool{}
	for i := range messages {
		text := fmt.Sprintf("scheduled %02d", i)
		call[gateway.Accepted](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: text, At: due.Format(time.RFC3339)})
		want[text] = true
	}
	if time.Now().After(due) {
		t.Fatal("they were due before all were scheduled")
	}
	socket.await("the first of them", func(e event) bool { return e.Type == "lodge.notice" })
	one.process.stop(syscall.SIGKILL)
	two.process.eventually("all are done", func() bool {
		return len(call[struct{ Messages []gateway.ScheduledView }](grace, 200, "GET", "/api/v1/messages/scheduled", nil).Messages) == 0
	})
	history := call[struct{ Messages []gateway.MessageView }](ada, 200, "GET", "/api/v1/messages?topic=all&limit=200", nil).Messages
	for _, m := range history {
		text, _ := m.Data.(map[string]any)["text"].(string)
		if !want[text] {
			t.Errorf("%q came twice, or was never sent", text)
		}
		delete(want, text)
	}
	if len(history) != messages || len(want) > 0 {
		t.Errorf("%d messages, of which %v are missing", len(history), want)
	}
}

// A node that cannot reach a store says that it is not ready, and which; it is
// ready again by itself.
func TestReadinessFollowsTheStores(t *testing.T) {
	s := newSite(t)
	n := s.node("one").start()
	if err := n.ready(); err != nil {
		t.Fatal(err)
	}
	says := func(want string) {
		t.Helper()
		n.process.eventually(want, func() bool {
			err := n.ready()
			return err == nil && want == "ready" || err != nil && strings.Contains(err.Error(), want)
		})
	}
	s.database.Kill9()
	says("The database does not answer.")
	if err := s.database.Restart(); err != nil {
		t.Fatal(err)
	}
	says("ready")
	s.redis.Kill()
	says("The session store does not answer.")
	s.redis.Restart()
	says("ready")
}

// What keeps a node from joining is said in one line.
func TestNodeThatMayNotJoin(t *testing.T) {
	s := newSite(t)
	one := s.node("one").start()
	fails := func(n *siteNode, want string, flags ...string) {
		t.Helper()
		status, out, errs := lodgeRun(t, append([]string{"serve", "--config", n.file}, flags...)...)
		lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(errs), "\n"), func(line string) bool { return strings.HasPrefix(line, "{") })
		if status != exitFailed || out != "" || len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("%d, printed %q and %q; want one line with %q", status, out, errs, want)
		}
	}
	fails(one, "another server runs on it", "--listen", "127.0.0.1:0")
	two := s.node("two")
	fails(two, "the database cannot be reached; start PostgreSQL or mend its URL", "--database", "postgres://lodge:secret@127.0.0.1:1/lodge")
	if err := os.Remove(filepath.Join(two.data, rootKeyFile)); err != nil {
		t.Fatal(err)
	}
	fails(two, "root.key does not belong to this store")
}
