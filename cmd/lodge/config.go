package main

import (
	"flag"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// config is what an operator decides. Each key can be given as a flag
// (--public-url), in the environment (LODGE_PUBLIC_URL) or in the YAML file
// (public_url), in that order of weight; issuers stand in the file alone.
type config struct {
	Listen         string                 // address of the gateway; loopback unless said otherwise
	PublicURL      string                 // the origin people use
	AssetsListen   string                 // address the experiment UIs are served on
	AssetsURL      string                 // their origin: another host name
	JoinCodesFile  string                 // join codes beside those in the store; empty: none
	AssetsDir      string                 // directory of namespaces; empty: the built-in samples
	Data           string                 // directory of the embedded stores and keys
	Database       string                 // URL of the PostgreSQL that nodes share; empty: the embedded database
	DatabaseFresh  func() (string, error) // reads database_file again; nil when the URL is not in one
	Redis          string                 // URL of the session store; empty: the embedded one
	RedisFresh     func() (string, error) // reads redis_file again; nil when the URL is not in one
	MessageLog     messageLog
	TrustedProxies []netip.Prefix
	UIOrigins      []string
	JWTSecret      []byte // of practable's signed tokens; empty: none are accepted
	JWTSecretFresh func() ([]byte, error)
	LoginLife      time.Duration
	LoginIdle      time.Duration
	LoginCap       int           // logins a person has at once; 0: any number
	AdminFresh     time.Duration // 0: the gateway's default; negative: any login will do
	AuditHeadFile  string        // empty: audit.head in Data
	AuditRule      audit.Rule
	MessagePeriod  time.Duration
	WaitTurn       time.Duration  // 0: the register's default
	Reference      int            // characters of new references; 0: the default
	Zone           *time.Location // nil: UTC
	Retention      gateway.Retention
	NoSelfErasure  bool
	HandIns        handInPlace
	LeasePoll      time.Duration
	LeaseGrace     time.Duration
	MetricsListen  string // address that /metrics is served on as well; empty: none
	NoCanary       bool
	RelayURL       string        // origin of this node's streams, gateway.RelayElsewhere, or empty: public_url's
	RelayLease     time.Duration // 0: the gateway's default
	DrainSpread    time.Duration
	SessionCache   time.Duration // 0: each check reads the store
	Limits         limits
	SecondWindow   gateway.Window
	MaxPartners    int // 0: the default; negative: nobody
	Mail           mailConfig
	LogLevel       slog.Level
	Issuers        []idp.IssuerConfig
	IssuerLimits   idp.Options
}

// limits are what bounds the use that one person, address or code makes of a
// node. Zero stands for the default.
type limits struct {
	SendRate, LaunchRate, SignInRate, ServiceRate int // a minute
	BallotRate, SurveySmall                       int // a minute; answers
	Connections, PersonConnections                int // message connections
	FrameRate                                     int // frames a second of one message connection
	StreamsPerPerson, StreamsPerAddress           int // open at once on one node
}

// setting is one key that flags, environment and file share.
type setting struct {
	key   string // as in the file
	about string
	set   func(c *config, from source) error
}

var settings = slices.Concat([]setting{
	{"listen", "address to serve the gateway on (default 127.0.0.1:8080)", address(func(c *config) *string { return &c.Listen })},
	{"public_url", "origin people use, such as https://lab.example.org", origin(func(c *config) *string { return &c.PublicURL })},
	{"assets_listen", "address to serve experiment UIs on (default 127.0.0.1:8081)", address(func(c *config) *string { return &c.AssetsListen })},
	{"assets_url", "origin of experiment UIs: another host name than public_url's", origin(func(c *config) *string { return &c.AssetsURL })},
	{"assets_dir", "directory with one folder per namespace of UIs (default: the built-in samples)", directory(func(c *config) *string { return &c.AssetsDir })},
	{"data", "directory of the embedded stores and the root key", directory(func(c *config) *string { return &c.Data })},
	{"database", "URL of a PostgreSQL that several nodes share (default: the embedded database)", databaseURL},
	{"database_file", "file that holds the URL of the database, to keep its password from the command line", databaseFileURL},
	{"redis", "URL of a Redis that holds the sessions (default: the embedded store)", redisURL(func(c *config) *string { return &c.Redis })},
	{"redis_file", "file that holds the Redis URL, to keep its password from the command line", redisFile(redisOfSessions)},
	{"log", "where messages are kept: embedded, postgres, redis or nats (default: in the database)", logBackend},
	{"log_redis", "URL of the Redis of a log in redis (default: that of the sessions)", redisURL(func(c *config) *string { return &c.MessageLog.Redis })},
	{"log_redis_file", "file that holds that URL", redisFile(redisOfLog)},
	{"log_redis_replicas", "replicas that must have a message before it is acknowledged (default 0)", number(func(c *config) *int { return &c.MessageLog.Replicas }, 16)},
	{"nats", "URLs, comma separated, of the NATS of a log in nats", natsURLs},
	{"nats_credentials_file", "file with the NATS user's JWT and key, read at each connection (default: none)", natsCredentials},
	{"nats_replicas", "servers that keep each stream of NATS: 1, 3 or 5 (default 1)", natsReplicas},
	{"nats_monitors", "monitoring URLs, comma separated, of all these servers, by which Lodge sees that they sync; or the word vouched, when somebody answers for it", natsMonitors},
	{"trusted_proxies", "addresses or CIDR ranges, comma separated, whose forwarded headers count (default: none)", prefixes},
	{"ui_origins", "further origins of experiment UIs, comma separated", origins},
	{"jwt_secret_file", "file that holds the secret of practable's signed tokens, 32 bytes at least (default: only codes are accepted)", jwtSecret},
	{"join_codes_file", "file of join codes, beside those in the store; it is read each time one is needed (default: none)", joinCodesFile},
	{"login_life", "absolute life of a login (default 12h, at most 24h)", duration(func(c *config) *time.Duration { return &c.LoginLife }, 24*time.Hour)},
	{"login_idle", "a login is narrowed after so long unused (default 1h)", duration(func(c *config) *time.Duration { return &c.LoginIdle }, 24*time.Hour)},
	{"login_cap", "logins a person may have at once; one more ends the one unused the longest (default 0: any number)", number(func(c *config) *int { return &c.LoginCap }, 1000)},
	{"admin_fresh", "what gives rights or reaches everybody needs an administrator who proved to the issuer at most so long ago who they are (default 15m; 0s: any login will do)", adminFresh},
	{"audit_head_file", "file outside the database that shows whether the audit trail was cut (default: audit.head in data; better where the database's administrators cannot write)", directory(func(c *config) *string { return &c.AuditHeadFile })},
	{"audit_refusals", "refusals of one address that are recorded one by one in a minute; those beyond are counted (default 60)", number(func(c *config) *int { return &c.AuditRule.PerAddress }, 10_000)},
	{"audit_refusals_overall", "the same for all addresses together: what a flood of refusals can write (default 600)", number(func(c *config) *int { return &c.AuditRule.Overall }, 100_000)},
	{"reference_length", "characters of new booking references, 6 or 8 (default 6)", referenceLength},
	{"message_period", "right to a booking's messages after its end (default 168h)", duration(func(c *config) *time.Duration { return &c.MessagePeriod }, 10*365*24*time.Hour)},
	{"wait_turn", "somebody on a waiting list who is told that something is free has so long to book it before the next is told (default 10m)", lease(func(c *config) *time.Duration { return &c.WaitTurn }, time.Minute, 24*time.Hour)},
	{"zone", "time zone pages say their times in until a reader's own is known, such as Europe/London (default UTC)", zone},
	{"retention_notices", "what people were told is kept for so long; 0s keeps it (default 2160h: 90 days)", retention(func(c *config) *time.Duration { return &c.Retention.Notices })},
	{"retention_classroom", "surveys, registers and hand-ins are kept for so long after they were closed; 0s keeps them (default 43800h: 5 years)", retention(func(c *config) *time.Duration { return &c.Retention.Classroom })},
	{"handin_dir", "directory of what people hand in, sealed; several nodes share one (default: hand-ins in data)", directory(func(c *config) *string { return &c.HandIns.Dir })},
	{"handin_max", "the most one person may hand in at once, in MiB; instructors set limits below it (default 200)", limit(func(c *config) *int { return &c.HandIns.Max })},
	{"handin_scanner", "command that judges each file on its standard input: exit status 0 clean, 1 refused; no shell (default: none)", scanner},
	{"handin_scanner_limit", "how long the scanner may take for one file (default 1m)", duration(func(c *config) *time.Duration { return &c.HandIns.ScanLimit }, 10*time.Minute)},
	{"self_erasure", "allowed, or refused: then only an administrator erases people (default allowed)", selfErasure},
	{"lease_poll", "open connections are checked again so often, beside being told of changes (default 5s)", lease(func(c *config) *time.Duration { return &c.LeasePoll }, 100*time.Millisecond, time.Minute)},
	{"lease_grace", "open connections outlive an unreachable session store by so long (default 15s)", lease(func(c *config) *time.Duration { return &c.LeaseGrace }, time.Second, 5*time.Minute)},
	{"metrics_listen", "address to serve /metrics, /readyz and /healthz on, for Prometheus (default: the admin socket alone)", address(func(c *config) *string { return &c.MetricsListen })},
	{"canary", "on, or off: no stream of its own measures the relay's delay (default on)", canary},
	{"relay_url", "origin at which clients reach the streams of this node, of several that share a redis; or the word elsewhere, for a gateway that carries none (default: public_url, and a balancer keeps an experiment's streams together)", relayURL},
	{"relay_lease", "another node takes over the streams of one that has been silent for so long (default 6s)", lease(func(c *config) *time.Duration { return &c.RelayLease }, 3*time.Second, 8*time.Second)},
	{"drain_spread", "a node that shuts down has its message connections come back spread over so long (default 5s)", lease(func(c *config) *time.Duration { return &c.DrainSpread }, 100*time.Millisecond, 5*time.Minute)},
	{"session_cache", "/auth/verify may use what it read up to so long ago, unless a hint says that it changed; at most 5s (default 0s: each check reads the session store)", lease(func(c *config) *time.Duration { return &c.SessionCache }, 0, sessions.MaxKeep)},
	{"send_rate", "messages, surveys and registers one person sends in a minute (default 60)", limit(func(c *config) *int { return &c.Limits.SendRate })},
	{"launch_rate", "experiment codes, and openings by reference, of one booking in a minute (default 60)", limit(func(c *config) *int { return &c.Limits.LaunchRate })},
	{"sign_in_rate", "sign-ins begun at one address in a minute (default 300)", limit(func(c *config) *int { return &c.Limits.SignInRate })},
	{"survey_small_group", "answers to a survey without names that have to be in before its results are shown, at least (default 5)", number(func(c *config) *int { return &c.Limits.SurveySmall }, 1000)},
	{"ballot_rate", "ballots of unlinkable surveys from one address in a minute (default 600)", limit(func(c *config) *int { return &c.Limits.BallotRate })},
	{"service_rate", "introspections and revocations with one service code in a minute (default 6000)", limit(func(c *config) *int { return &c.Limits.ServiceRate })},
	{"message_connections", "message connections of one node (default 20000)", limit(func(c *config) *int { return &c.Limits.Connections })},
	{"message_connections_per_person", "message connections of one person on one node (default 32)", limit(func(c *config) *int { return &c.Limits.PersonConnections })},
	{"message_frame_rate", "frames a client sends on one message connection in a second, on average (default 20)", limit(func(c *config) *int { return &c.Limits.FrameRate })},
	{"streams_per_person", "streams one person has open on one node (default 64)", limit(func(c *config) *int { return &c.Limits.StreamsPerPerson })},
	{"streams_per_address", "streams that are open on one node from one address, hosts among them (default 4000)", limit(func(c *config) *int { return &c.Limits.StreamsPerAddress })},
	{"second_window", "allow, replace or refuse a second window of one student on one booking: both stay open, the older is closed, or the newer is refused (default allow)", secondWindow},
	{"max_partners", "people a booking may be shared with, beside its owner (default 8; 0: bookings are not shared)", maxPartners},
	{"log_level", "debug, info, warn or error (default info)", logLevel},
}, handInSettings, mailSettings, issuerSettings)

// flagName is how a key is written on the command line.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// environment is how a key is written there.
func environment(key string) string { return "LODGE_" + strings.ToUpper(key) }

// settingFlags adds --config and a flag for each of the settings named, or for
// all of them when none is.
func settingFlags(fs *flag.FlagSet, keys ...string) (given map[string]string, file *string) {
	given = map[string]string{}
	for _, s := range settings {
		if len(keys) > 0 && !slices.Contains(keys, s.key) {
			continue
		}
		fs.Func(flagName(s.key), s.about, func(v string) error { given[s.key] = v; return nil })
	}
	return given, fs.String("config", "", "YAML file with the same keys, and issuers")
}
