package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// deadline bounds every wait. A test that passes never waits for it.
const deadline = 30 * time.Second

// otherTenant answers under a host name of its own on the same node.
const (
	otherTenant = lodge.Tenant("other")
	otherHost   = "other.lodge.test"
)

// A clock is a lodge.Clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logged is what was logged, at every level.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// reminders are those of a lab that sends mail.
var reminders = map[bool][]time.Duration{true: {24 * time.Hour, 15 * time.Minute}}

// A lab is a whole gateway on real listeners: embedded stores in a directory of
// the test's, the development issuer, the sample laboratory. Its time stands
// still unless the test moves it.
type lab struct {
	*testing.T
	url    string // the gateway's origin
	assets string // the origin of experiment UIs
	dir    string
	clock  *clock
	log    *logged

	gateway  *gateway.Gateway
	sessions *sessions.Manager
	persons  *sqlite.Persons
	desk     *booking.Desk
	newDesk  func() *booking.Desk // on the lab's register, as another node's is
	trail    *audit.Trail
	topics   *messaging.Topics
	cfg      gateway.Config
	parts    gateway.Parts
	stumbles *stumblingLog
	issuer   *idptest.Issuer
	files    *handin.Dir
}

// newLab starts a lab; change adjusts the gateway's configuration.
func newLab(t *testing.T, change ...func(*gateway.Config)) *lab {
	t.Helper()
	return newLabWithMail(t, nil, change...)
}

// newLabWithMail is newLab for a laboratory that sends mail, and reminders.
func newLabWithMail(t *testing.T, sender mail.Sender, change ...func(*gateway.Config)) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir(), clock: &clock{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}, log: &logged{}}
	log := slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	public, assets, issuer := l.listen("127.0.0.1:0"), l.listen("localhost:0"), l.listen("localhost:0")
	l.url, l.assets = "http://"+public.Addr().String(), "http://localhost:"+port(assets)
	issuerURL := "http://localhost:" + port(issuer)

	db, err := sqlite.Open(t.Context(), filepath.Join(l.dir, "lodge.db"))
	l.must(err)
	l.atEnd(db.Close)
	logs := sqlite.NewLog(db)
	l.atEnd(logs.Close)
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	l.stumbles = &stumblingLog{Log: logs}
	l.topics = l.newTopics()
	l.newDesk = func() *booking.Desk {
		desk, err := booking.NewDesk(sqlite.NewBookings(db), booking.Keys{PepperID: "1", Pepper: key(3), Seal: key(4)}, l.clock, booking.Options{Logger: log, Mail: sender != nil, Reminders: reminders[sender != nil]})
		l.must(err)
		return desk
	}
	l.desk = l.newDesk()
	catalogue, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "lodge.yaml", false)
	l.must(err)
	for _, tenant := range []lodge.Tenant{lodge.DefaultTenant, otherTenant} {
		l.must(l.desk.Apply(t.Context(), tenant, catalogue))
	}
	cfg := gateway.Config{
		PublicURL: l.url, AssetsURL: l.assets, LeasePoll: 100 * time.Millisecond, LeaseGrace: 5 * time.Second,
		Hosts: map[string]lodge.Tenant{public.Addr().String(): lodge.DefaultTenant, otherHost: otherTenant},
	}
	for _, fn := range change {
		fn(&cfg)
	}
	signals := sessions.NewLocalSignals()
	l.sessions = sessions.NewManager(sqlite.NewSessions(db), sqlite.NewJournal(db), signals, l.clock, sessions.Options{Logger: log, LeasePoll: cfg.LeasePoll, LeaseGrace: cfg.LeaseGrace})
	l.persons = sqlite.NewPersons(db)
	for _, account := range idptest.DemoAccounts() {
		_, err := l.persons.SignedIn(t.Context(), lodge.DefaultTenant, idp.Identity{
			Issuer: "dev", Subject: account.Name, Name: account.FullName, FamilyName: account.FamilyName, Groups: account.Groups,
		})
		l.must(err)
	}
	l.issuer, err = idptest.New(idptest.Config{
		Issuer: issuerURL, Accounts: append(idptest.DemoAccounts(), students()...), Clock: l.clock,
		Clients: []idptest.Client{{ID: "lodge", RedirectURIs: []string{l.url + "/callback/dev"}}},
	})
	l.must(err)
	issuers, err := idp.New([]idp.IssuerConfig{{ID: "dev", Name: "Development", URL: issuerURL, ClientID: "lodge", Insecure: true}}, l.clock, idp.Options{Timeout: deadline})
	l.must(err)
	l.trail, err = audit.Open(t.Context(), sqlite.NewAudit(db), key(5), filepath.Join(l.dir, "audit.head"), audit.Rule{}, l.clock, log)
	l.must(err)
	l.atEnd(l.trail.Close)
	l.files, err = handin.OpenDir(filepath.Join(l.dir, "hand-ins"))
	l.must(err)
	l.atEnd(l.files.Close)
	joins, err := idp.NewJoins(l.persons, key(6))
	l.must(err)
	l.cfg, l.parts = cfg, gateway.Parts{
		Files: l.files,
		Clock: l.clock, Sessions: l.sessions, IdP: issuers, Persons: l.persons, Logouts: l.persons, Desk: l.desk, Topics: l.topics, Log: log, PersonKeys: personKeys(t, db),
		Denials: sqlite.NewDenials(db), Signals: signals, Audit: l.trail, Joins: joins,
	}
	l.parts.Mail = sender
	l.gateway, err = gateway.New(cfg, l.parts)
	l.must(err)
	l.run(l.gateway)
	l.serve(issuer, l.issuer)
	l.serve(assets, l.gateway.Assets(gateway.FoldersOf(web.Samples())))
	l.serve(public, l.gateway.Handler())
	l.atEnd(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		return l.gateway.Drain(ctx)
	})
	return l
}

// newTopics reads the lab's message log as a node of its own does.
func (l *lab) newTopics() *messaging.Topics {
	l.Helper()
	return l.topicsOn(l.stumbles)
}

// topicsOn reads a log with the lab's keys.
func (l *lab) topicsOn(log messaging.Log) *messaging.Topics {
	l.Helper()
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	topics, err := messaging.NewTopics(log, messaging.Keyring{Names: key(1), Seals: map[string][]byte{"1": key(2)}, Current: "1"},
		messaging.TopicsOptions{Logger: slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	l.must(err)
	return topics
}

// another runs a further gateway on the lab's stores until the test's end.
func (l *lab) another() {
	l.Helper()
	l.anotherOf(l.parts)
}

// anotherWithDesk is another with a desk of its own.
func (l *lab) anotherWithDesk() {
	l.Helper()
	parts := l.parts
	parts.Desk = l.newDesk()
	l.anotherOf(parts)
}

func (l *lab) anotherOf(parts gateway.Parts) {
	l.Helper()
	parts.Topics = l.newTopics()
	g, err := gateway.New(l.cfg, parts)
	l.must(err)
	l.run(g)
}

// run runs a gateway until the test's end.
func (l *lab) run(g *gateway.Gateway) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	l.atEnd(func() error {
		cancel()
		return <-done
	})
	ready, stop := context.WithTimeout(context.Background(), deadline)
	defer stop()
	l.must(g.Ready(ready))
}

func (l *lab) listen(address string) net.Listener {
	l.Helper()
	listener, err := net.Listen("tcp4", address)
	l.must(err)
	return listener
}

// serve serves until the test's end.
func (l *lab) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: deadline}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	l.atEnd(func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}

// atEnd calls fn at the test's end; what was named last goes first.
func (l *lab) atEnd(fn func() error) {
	l.Cleanup(func() {
		if err := fn(); err != nil {
			l.Error(err)
		}
	})
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func port(l net.Listener) string {
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		panic(err) // a listener's address always has one
	}
	return p
}

// personKeys keeps the keys of people in a lab's database.
func personKeys(t testing.TB, db *sqlite.DB) messaging.PersonKeys {
	t.Helper()
	wrap, err := messaging.NewWrapping(map[string][]byte{"1": bytes.Repeat([]byte{7}, 32)}, "1")
	if err != nil {
		t.Fatal(err)
	}
	return sqlite.NewPersonKeys(db, wrap)
}
