// Package gateway is the HTTP surface of Lodge. It holds no rules of its own:
// each handler decodes a request, makes one call of the domain and encodes the
// answer; what two leaves must do together is adapted here and nowhere else.
//
//	routes.go      every route, in one list
//	middleware.go  what every request passes through
//	errors.go      the one place that maps errors to statuses
//	auth.go        whose request it is
//	access.go      sessions and bookings, as the relay asks for them
//	members.go     sessions and bookings, as the message hub asks for them
//	fleet.go       the relays of several nodes
//	relay_node.go  a relay without the rest of a gateway
//	interop.go     codes and signed tokens as practable's relay has them
//	share.go       lab partners, and which of them has control
//	effects.go     what a change of a booking does to sessions, streams, messages
//	wire.go        the JSON shapes; the other files hold one flow each
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/internal/metrics"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// Config is what an installation decides about the HTTP surface.
type Config struct {
	// PublicURL is the origin people use, such as https://lab.example.org.
	PublicURL string
	// AssetsURL is the origin experiment UIs are served from: another host name
	// than PublicURL's, because cookies do not tell ports apart.
	AssetsURL string
	// Hosts maps the Host of a request, with its port where one is used, to a
	// tenant. A request for any other host is refused.
	Hosts map[string]lodge.Tenant
	// UIOrigins are further origins whose pages may call the routes that take a
	// code; AssetsURL is always one.
	UIOrigins []string
	// JWTSecret, if any, is what another booking system signs practable's tokens
	// (HS256) with: the relay accepts them beside codes. At least 32 bytes.
	JWTSecret []byte
	// JWTSecretFresh, when it is set, is asked for that secret each time one is
	// needed, instead of JWTSecret.
	JWTSecretFresh func() ([]byte, error)
	// TrustedProxies are the addresses whose forwarded headers count.
	TrustedProxies []netip.Prefix
	// RelayURL is the origin at which clients reach the streams of this node, of
	// several that share Parts.Fleet; RelayElsewhere where others carry them all.
	RelayURL string
	// RelayLease is how long after its last sign of life another node may take over
	// the streams of this one; default 6 s, at most 8 s.
	RelayLease time.Duration
	// NoCanary leaves out the relay's stream of its own, whose delay Parts.Metrics is
	// told.
	NoCanary  bool
	relayHost string // RelayURL's, where it is none of Hosts otherwise

	LoginLife time.Duration // absolute end of a login; default 12 h, at most 24 h
	LoginIdle time.Duration // a login is narrowed after this long unused; default 1 h
	// AdminFresh is how long ago an administrator may have proved to the issuer who
	// they are when they do what gives rights or reaches everybody; default 15 min.
	// Negative: any login will do.
	AdminFresh    time.Duration
	MessagePeriod time.Duration // right to a booking's messages after its end; default 168 h
	// LeasePoll is how often what is open is checked again, LeaseGrace how long it
	// stays open when that fails; defaults 5 s and 15 s. The same as the
	// sessions.Manager's.
	LeasePoll, LeaseGrace time.Duration

	// HandInMax is the most that one person may hand in at once, in bytes; default
	// 200 MiB. Instructors set limits below it.
	HandInMax int64

	// Zone is where pages say their times until a reader's own zone is known;
	// default UTC.
	Zone *time.Location

	// MailPoll is how often it is looked whether mail waits to be sent; default 1 s.
	MailPoll time.Duration
	// MailLanguage is what people are written in whose language is not known (BCP
	// 47); default English.
	MailLanguage string

	// StreamsPerPerson and StreamsPerAddress bound the streams that one person, and
	// one address, have open on this node; defaults 64 and 4,000.
	StreamsPerPerson, StreamsPerAddress int

	// SecondWindow says what becomes of a second window of one student on one
	// booking; default WindowAllow.
	SecondWindow Window

	MaxBody      int64 // bytes of a JSON or form body; default 64 KiB
	CodesPerBook int   // live experiment codes of one person for one booking; default 16
	SendRate     int   // messages, surveys and registers of one person a minute; default 60
	LaunchRate   int   // experiment codes, and openings by reference, of one booking a minute; default 60
	SignInRate   int   // sign-ins begun at one address a minute; default 300
	ServiceRate  int   // introspections and revocations with one service code a minute; default 6,000

	BallotRate int // ballots from one address a minute; default 600
	// SurveySmall is how many have to have answered a survey without names before
	// its results are shown, at least; default 5.
	SurveySmall int

	// Message connections of this node and of one person on it, and the frames one
	// of them may send in a second; defaults 20,000, 32 and 20.
	MessageConnections, MessageConnectionsPerPerson, MessageFrameRate int
	// DrainSpread is within which time message connections that Drain ends come
	// back; default 5 s.
	DrainSpread time.Duration

	// RefreshEvery is how often an issuer that allows it is asked again about
	// somebody signed in and active; default 10 min. RefreshPoll is how often it is
	// looked who is due; default 15 s.
	RefreshEvery, RefreshPoll time.Duration

	// JoinCodesFile is a file of join codes (idp.ReadJoinCodes) of the default
	// tenant, beside those in the store. It is read each time one is needed.
	JoinCodesFile string

	// RefuseSelfErasure leaves it to administrators to erase people.
	RefuseSelfErasure bool

	// Retention bounds what the message log holds; RetainEvery is how often it is
	// looked what that is no more; default 1 h.
	Retention   Retention
	RetainEvery time.Duration
}

// Parts are the leaves the gateway joins. Those from Denials on may be absent.
type Parts struct {
	Clock    lodge.Clock
	Sessions *sessions.Manager
	IdP      *idp.RelyingParty
	Persons  idp.Store
	Logouts  idp.LogoutTokens
	Desk     *booking.Desk
	Topics   *messaging.Topics
	// Joins make join codes, and keep who joined by them.
	Joins *idp.Joins
	// PersonKeys keep what people's answers and marks are sealed under.
	PersonKeys messaging.PersonKeys
	Log        *slog.Logger

	// Denials keeps the bookings and tokens that the relay refuses; without it none
	// can be denied and no signed token is accepted.
	Denials relay.Denials
	// Signals reach the other nodes; nil when there are none.
	Signals sessions.Signals
	// Fleet is what the relays of several nodes share; needed with Config.RelayURL.
	Fleet *Fleet
	// States tells relays without the database which experiments are off-line; nil
	// when there are none.
	States States
	// Files keep what people hand in; without them nothing can be handed in. Scan, if
	// any, judges each file first.
	Files handin.Files
	Scan  handin.Scanner
	// Grants keeps what issuers can be asked again with; without it nobody is.
	Grants *idp.Grants
	// Mail hands letters over; without it none are written.
	Mail mail.Sender
	// Audit is the trail of decisions; without it they are not recorded.
	Audit Recorder
	// Metrics are told of what happens; without them nobody is.
	Metrics *metrics.Metrics
	// Checks are what must answer besides the session store before the node is
	// ready. Each error is a *lodge.Error.
	Checks []func(context.Context) error
}

// A Gateway serves one node. Run must be running while its handlers serve.
type Gateway struct {
	cfg       Config
	clock     lodge.Clock
	log       *slog.Logger
	uiOrigins map[string]bool

	sessions *sessions.Manager
	browser  *sessions.Browser
	idp      *idp.RelyingParty
	persons  idp.Store
	logouts  idp.LogoutTokens
	grants   *idp.Grants // may be nil
	joins    *idp.Joins
	desk     *booking.Desk
	topics   *messaging.Topics
	keys     messaging.PersonKeys
	surveys  *survey.Desk
	register *attendance.Desk
	handins  *handin.Desk
	pages    *web.Pages

	relay    *relay.Relay
	hub      *messaging.Hub
	presence *presence
	rates    streamRates
	states   States   // may be nil
	audit    Recorder // may be nil
	canary   canary
	mail     mail.Sender      // may be nil
	metrics  *metrics.Metrics // may be nil
	mailed   mailCounters
	checks   []func(context.Context) error
	tickets  *tickets
	sends    *rates        // by person
	launches *rates        // by booking
	signIns  *rates        // by address
	openings *rates        // by booking
	services *rates        // by service code
	ballots  *rates        // by address
	guesses  *rates        // of a register's codes, by register and person
	refusals chan struct{} // a place for each large body of a refused request that is read

	scheduled *schedules

	identities *identities

	ready    chan struct{} // closed when Run has started everything
	once     sync.Once
	draining atomic.Bool // set by Drain: new work belongs elsewhere
}

// New joins the parts. It returns every fault of the configuration at once.
func New(cfg Config, parts Parts) (*Gateway, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	tokens, err := cfg.tokens()
	if err != nil {
		return nil, err
	}
	pages, err := web.New()
	if err != nil {
		return nil, fmt.Errorf("gateway: pages: %w", err)
	}
	g := &Gateway{
		cfg: cfg, clock: parts.Clock, log: parts.Log, uiOrigins: map[string]bool{cfg.AssetsURL: true},
		sessions: parts.Sessions, idp: parts.IdP, persons: parts.Persons, logouts: parts.Logouts, grants: parts.Grants, joins: parts.Joins, desk: parts.Desk, topics: parts.Topics, keys: parts.PersonKeys,
		refusals: make(chan struct{}, maxRefusedBodies),
		surveys:  survey.NewDesk(parts.Topics, parts.PersonKeys, parts.Clock), register: attendance.NewDesk(parts.Topics, parts.PersonKeys, parts.Clock),
		pages: pages, states: parts.States, audit: parts.Audit, metrics: parts.Metrics, mail: parts.Mail, checks: parts.Checks, tickets: newTickets(parts.Clock), identities: newIdentities(), scheduled: newSchedules(parts.Topics), ready: make(chan struct{}),
		sends:    newRates(parts.Clock, cfg.SendRate, "You are sending too much at once; wait a little."),
		launches: newRates(parts.Clock, cfg.LaunchRate, "This booking was launched too often in the last minute; wait a little, and use the window that is open."),
		signIns:  newRates(parts.Clock, cfg.SignInRate, "Too many sign-ins were begun from your network in the last minute; wait a little and try again."),
		services: newRates(parts.Clock, cfg.ServiceRate, "This service code was used too often in the last minute; wait a little."),
		ballots:  newRates(parts.Clock, cfg.BallotRate, "Too many answers came from your network in the last minute; wait a little. Yours are kept in this browser."),
		guesses:  newRates(parts.Clock, guessRate, "Too many codes were tried in the last minute; wait a little, then type the one that is on the screen."),
		openings: newRates(parts.Clock, cfg.LaunchRate, "This booking was opened too often in the last minute; wait a little and try again."),
	}
	for _, origin := range cfg.UIOrigins {
		g.uiOrigins[origin] = true
	}
	secure := strings.HasPrefix(cfg.PublicURL, "https:")
	g.browser = parts.Sessions.Browser(sessions.BrowserConfig{
		CookieName: g.loginCookie(), Secure: secure,
		Tenant:   func(r *http.Request) lodge.Tenant { return tenantOf(r.Context()) },
		Lifetime: cfg.LoginLife, Idle: cfg.LoginIdle,
	})
	g.presence = newPresence(g)
	options := g.relayOptions(tokens, parts)
	options.Allowed, options.End, options.Decided, options.Observer = g.scoped, g.endCode, g.recordRelay, g.presence
	options.Distant = g.presence
	g.relay = relay.New(access{parts.Sessions, parts.Clock, g.stateOf}, parts.Clock, options)
	g.hub = messaging.NewHub(parts.Topics, members{g}, inbox{g}, parts.Clock, messaging.HubOptions{
		Logger: parts.Log, Seen: g.presence.connected, Moved: g.presence.moved, Merged: g.persons.Merged, Grace: cfg.LeaseGrace,
		MaxConnections: cfg.MessageConnections, MaxPerPerson: cfg.MessageConnectionsPerPerson, FrameRate: rate.Limit(cfg.MessageFrameRate),
		DrainSpread: cfg.DrainSpread,
	})
	g.tellMetrics()
	if g.metrics != nil {
		g.metrics.Messages(g.topics.Stats, g.hub.Open, g.hub.Delivered)
	}
	parts.Desk.SetEffects(effects{g})
	parts.Desk.SetPeople(people{g})
	g.surveys.SetPeople(g.persons.Merged)
	g.register.SetPeople(g.persons.Merged)
	if parts.Files == nil {
		parts.Files = handin.NoFiles{}
	}
	g.handins = handin.NewDesk(parts.Topics, parts.PersonKeys, parts.Files, parts.Clock, handin.Options{MaxTotal: cfg.HandInMax, Scan: parts.Scan})
	g.handins.SetPeople(g.persons.Merged)
	return g, nil
}

func (c *Config) complete() error {
	var errs []error
	// An origin is compared to the letter with what browsers send: no slash at
	// its end, in lower case.
	origin := func(name string, value *string) {
		*value = strings.ToLower(strings.TrimSuffix(*value, "/"))
		u, err := url.Parse(*value)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Scheme+"://"+u.Host != *value {
			errs = append(errs, fmt.Errorf("%s is not an origin such as https://lab.example.org", name))
		}
	}
	c.UIOrigins = slices.Clone(c.UIOrigins)
	origin("public_url", &c.PublicURL)
	origin("assets_url", &c.AssetsURL)
	for i := range c.UIOrigins {
		origin("ui_origins", &c.UIOrigins[i])
	}
	if len(errs) == 0 && hostname(c.PublicURL) == hostname(c.AssetsURL) {
		errs = append(errs, errors.New("assets_url must have another host name than public_url: a port of its own does not keep an experiment UI's script from the gateway's cookies"))
	}
	if len(c.Hosts) == 0 && len(errs) == 0 {
		u, _ := url.Parse(c.PublicURL) // checked above
		c.Hosts = map[string]lodge.Tenant{strings.ToLower(u.Host): lodge.DefaultTenant}
	}
	errs = append(errs, c.completeRelay()...)
	if c.LoginLife > 24*time.Hour {
		errs = append(errs, errors.New("login_life is at most 24h (NIST SP 800-63B)"))
	}
	setDefault(&c.LoginLife, 12*time.Hour)
	setDefault(&c.LoginIdle, time.Hour)
	setDefault(&c.AdminFresh, 15*time.Minute)
	setDefault(&c.MessagePeriod, 7*24*time.Hour)
	setDefault(&c.LeasePoll, 5*time.Second)
	setDefault(&c.LeaseGrace, 15*time.Second)
	if c.LeaseGrace < 2*c.LeasePoll {
		errs = append(errs, errors.New("lease_grace must be at least twice lease_poll: one check that fails is not to end what is open"))
	}
	setDefault(&c.SecondWindow, WindowAllow)
	if !slices.Contains([]Window{WindowAllow, WindowReplace, WindowRefuse}, c.SecondWindow) {
		errs = append(errs, errors.New("second_window is one of allow, replace, refuse"))
	}
	setDefault(&c.MaxBody, 64<<10)
	setDefault(&c.CodesPerBook, 16)
	setDefault(&c.SendRate, 60)
	setDefault(&c.LaunchRate, 60)
	setDefault(&c.SignInRate, 300)
	setDefault(&c.ServiceRate, 6000)
	setDefault(&c.BallotRate, 600)
	setDefault(&c.SurveySmall, 5)
	setDefault(&c.RefreshEvery, 10*time.Minute)
	setDefault(&c.RefreshPoll, 15*time.Second)
	setDefault(&c.RetainEvery, time.Hour)
	setDefault(&c.MailPoll, time.Second)
	return errors.Join(errs...)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func hostname(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// The cookies' names: __Host- needs Secure, which plain http on loopback lacks.
func (g *Gateway) loginCookie() string { return g.cookieName("__Host-lodge", "lodge-dev") }
func (g *Gateway) bookingCookie() string {
	return g.cookieName("__Host-lodge-booking", "lodge-dev-booking")
}

func (g *Gateway) cookieName(secure, plain string) string {
	if strings.HasPrefix(g.cfg.PublicURL, "https:") {
		return secure
	}
	return plain
}

// originAllowed is the check of a websocket's Origin where a code or a ticket
// authenticates: absent for what is no browser, else ours or a listed UI's.
func (g *Gateway) originAllowed(r *http.Request) bool {
	origin := r.Header.Values("Origin")
	return strings.Join(origin, "") == "" || g.originOurs(r) || (len(origin) == 1 && g.uiOrigins[origin[0]])
}

// originOurs reports whether a request was made by a page of the gateway's own.
func (g *Gateway) originOurs(r *http.Request) bool {
	origin := r.Header.Values("Origin")
	return len(origin) == 1 && origin[0] == g.cfg.PublicURL
}

// Run owns everything that happens without a request: session watches, message
// tails, the hub, the relay, the outbox, presence. It returns when ctx ends and
// all of it has stopped, or with the first error; requests are to have been
// answered by then.
func (g *Gateway) Run(ctx context.Context) error {
	all := map[string]func(context.Context) error{
		"sessions": g.sessions.Run, "topics": g.topics.Run, "hub": g.hub.Run, "relay": g.relay.Run, "desk": g.desk.Run, "presence": g.presence.Run, "merges": merges{g}.Run,
		"scheduled messages": sender{g}.Run, "surveys": surveyor{g}.Run, "registers": registrar{g}.Run, "retention": retention{g}.Run, "hand-ins": handIns{g}.Run,
	}
	defer g.sessions.News(g.sessionNews)()
	if g.grants != nil {
		all["refresh"] = refresher{g}.Run
	}
	if g.mail != nil {
		all["mail"] = postman{g}.Run
	}
	if g.audit != nil {
		all["audit"] = g.audit.Run
	}
	err := g.runAll(ctx, all)
	g.surveys.Release()
	g.register.Release()
	g.handins.Release()
	g.scheduled.Release()
	return err
}

// runAll runs what a node consists of, and says that it does.
func (g *Gateway) runAll(ctx context.Context, all map[string]func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, run := range all {
		group.Go(func() error {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("gateway: %s: %w", name, err)
			}
			return nil
		})
	}
	g.once.Do(func() { close(g.ready) })
	return group.Wait()
}

// Drain asks every socket to go away and come back elsewhere, and returns when
// they have or ctx ends.
func (g *Gateway) Drain(ctx context.Context) error {
	g.draining.Store(true)
	return errors.Join(g.relay.Drain(ctx), g.hub.Drain(ctx))
}
