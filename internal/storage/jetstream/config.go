package jetstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A Config says where the log is and how it is kept.
type Config struct {
	// URLs are the servers, as "nats://host:4222" or "tls://host:4222"; others of
	// the cluster are found through them.
	URLs []string
	// CredentialsFile is a file with a user's JWT and key, read at each
	// connection. Otherwise User and Password are sent, or Token, when set.
	CredentialsFile       string
	User, Password, Token string
	// TLS says how servers are known; nil leaves that to the URLs.
	TLS *tls.Config

	// Prefix begins the names of streams and subjects, of letters, digits, "-"
	// and "_"; "" means "lodge". Each Lodge of a NATS account has its own.
	Prefix string
	// Streams is how many streams share the topics, at most 64; 0 means 4. It
	// cannot be changed later.
	Streams int
	// Replicas is how many servers keep each stream: 1 (also 0), 3 or 5. Raising
	// it raises that of the streams.
	Replicas int

	// Monitors are the monitoring URLs ("http://host:8222") of all servers that
	// keep the streams: the only place where one tells whether it syncs before it
	// acknowledges. NewLog refuses one that does not, and to go on unseen, unless
	// SyncVouched says that the operator answers for sync_interval always.
	Monitors    []string
	SyncVouched bool

	// Timeout is how long a server may take to connect and for each answer; 0
	// means 5 s.
	Timeout time.Duration
}

// The bounds of reconnecting, which never gives up: a log outlives its server.
const (
	reconnectFirst = 50 * time.Millisecond
	reconnectMost  = 2 * time.Second
	pingEvery      = 5 * time.Second // two unanswered end a connection
)

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// complete checks c and fills in what is left out.
func (c Config) complete() (Config, error) {
	if c.Prefix == "" {
		c.Prefix = "lodge"
	}
	if c.Streams == 0 {
		c.Streams = 4
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	switch {
	case len(c.URLs) == 0:
		return c, errors.New("jetstream: no URL of a server")
	case !prefixForm.MatchString(c.Prefix):
		return c, errors.New("jetstream: the prefix must be 1 to 32 letters, digits, - and _")
	case c.Streams < 1 || c.Streams > 64:
		return c, errors.New("jetstream: the number of streams must be 1 to 64")
	case c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5:
		return c, errors.New("jetstream: the number of replicas must be 1, 3 or 5")
	case c.Timeout < 0:
		return c, errors.New("jetstream: the time-out cannot be negative")
	}
	return c, nil
}

// connect makes the connection that l uses for all.
func (c Config) connect(l *Log) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("lodge message log"),
		nats.Timeout(c.Timeout), nats.DrainTimeout(c.Timeout), nats.FlusherTimeout(c.Timeout),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		// What cannot be sent now must not be sent when its caller has given up.
		nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(func(tries int) time.Duration {
			return min(reconnectFirst<<min(tries, 10), reconnectMost)
		}),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { l.disconnected() }),
		nats.ReconnectHandler(func(*nats.Conn) { l.connected() }),
		// A slow reader of hints loses some, which is what hints are for.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	switch {
	case c.CredentialsFile != "":
		options = append(options, nats.UserCredentials(c.CredentialsFile))
	case c.User != "":
		options = append(options, nats.UserInfo(c.User, c.Password))
	case c.Token != "":
		options = append(options, nats.Token(c.Token))
	}
	if c.TLS != nil {
		options = append(options, nats.Secure(c.TLS))
	}
	conn, err := nats.Connect(strings.Join(c.URLs, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}
