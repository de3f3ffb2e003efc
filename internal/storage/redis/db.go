// Package redis is the production storage of what must be fast and shared by
// every node: sessions, and the hints that nodes give one another. It speaks to a
// single server, to one that Sentinel names, or to a Cluster, through go-redis.
//
// Redis acknowledges a write before a replica has it, so a failover or a restore
// can bring back a session that was revoked. Revocations are therefore kept in a
// durable journal elsewhere, and no connection is used before the server behind
// it, told apart by its run id, has had that journal applied (see trust.go).
//
// Every key of a tenant carries the tenant as its hash tag, so that each script
// here is legal in a Cluster. Nothing that matters has a time to live: what has
// ended is removed by Collect, by our clock. What nodes leave for one another for
// seconds (see Notes) does, and an eviction policy for volatile keys may take it.
//
// One file here implements one interface of a leaf; each takes a *DB.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lodge-gateway/lodge"
)

// Config says where Redis is and how to come to trust it.
type Config struct {
	// Addrs are host:port of the server, of the Sentinels, or of some nodes of the
	// Cluster.
	Addrs   []string
	Master  string // Sentinel's name of the master; set means Addrs are Sentinels
	Cluster bool   // Addrs are nodes of a Cluster

	Username, Password string
	// Credentials, when it is set, is asked for both at each new connection,
	// instead, so that they can be changed while connections are open.
	Credentials func(context.Context) (username, password string, err error)
	DB          int         // single server and Sentinel only
	TLS         *tls.Config // nil means plain TCP

	// Journal is applied to a server before it is used. Nil is for a node without
	// the database: it waits until one that has it was there.
	Journal Journal
	// Denials is the same for what the relay denies; nil keeps that in Redis alone.
	Denials DenialJournal
	// States is the same for experiments that are off-line, which relays without the
	// database read in Redis.
	States StateJournal
	Clock  lodge.Clock  // nil means the system's
	Logger *slog.Logger // nil means slog.Default
}

// ParseURL reads the one-line form of a configuration:
//
//	redis://[[user]:password@]host[:port][/db][?addr=host:port&…][&master=NAME|&cluster=true]
//
// with rediss for TLS. Its errors never repeat the URL, which may hold a password.
func ParseURL(text string) (Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Config{}, errors.New("redis: the URL cannot be read; write it like redis://host:6379/0")
	}
	var c Config
	switch u.Scheme {
	case "redis":
	case "rediss":
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // each address is verified under its own name
	default:
		return Config{}, fmt.Errorf("redis: a URL begins with redis:// or rediss://, not %q", u.Scheme)
	}
	if u.Hostname() == "" {
		return Config{}, errors.New("redis: the URL names no host; write it like redis://host:6379/0")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	c.Addrs = []string{net.JoinHostPort(u.Hostname(), port)}
	c.Username = u.User.Username()
	c.Password, _ = u.User.Password()
	if db := strings.Trim(u.Path, "/"); db != "" {
		if c.DB, err = strconv.Atoi(db); err != nil || c.DB < 0 {
			return Config{}, errors.New("redis: what follows the host in the URL is the number of a database, such as /0")
		}
	}
	for name, values := range u.Query() {
		switch name {
		case "addr":
			c.Addrs = append(c.Addrs, values...)
		case "master":
			c.Master = values[0]
		case "cluster":
			if c.Cluster, err = strconv.ParseBool(values[0]); err != nil {
				return Config{}, errors.New("redis: cluster in the URL is true or false")
			}
		default:
			return Config{}, fmt.Errorf("redis: the URL has an unknown parameter %q (known: addr, master, cluster)", name)
		}
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case len(c.Addrs) == 0:
		return errors.New("redis: no address")
	case c.Cluster && c.Master != "":
		return errors.New("redis: a Cluster has no Sentinel: set either master or cluster")
	case c.Cluster && c.DB != 0:
		return errors.New("redis: a Cluster has database 0 only")
	}
	return nil
}

// A DB is a pool of trusted connections. It is safe for concurrent use.
type DB struct {
	client  redis.UniversalClient
	join    *joiner
	denials DenialJournal
	logger  *slog.Logger
}

// Open returns a DB. It connects to nothing yet: a server that is not there, or
// not to be trusted, shows in each call, and in Ping.
func Open(c Config) (*DB, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = lodge.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: c.Addrs, MasterName: c.Master, IsClusterMode: c.Cluster,
		Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: c.TLS,
		CredentialsProviderContext: c.Credentials,
		OnConnect:                  newTrust(c).onConnect,
		// A caller's deadline counts, and a connection that timed out is thrown away
		// by go-redis, never used for the next question.
		ContextTimeoutEnabled: true,
		DialTimeout:           ioLimit, ReadTimeout: ioLimit, WriteTimeout: ioLimit, PoolTimeout: 3 * time.Second,
		DialerRetries: 1, MaxRetries: 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintenance(),
	})
	if !c.Cluster {
		client.AddHook(newIsolation(client))
	}
	return &DB{client: client, join: newJoiner(client), denials: c.Denials, logger: c.Logger}, nil
}

// ioLimit bounds a dial, a read and a write, so that a server that hangs shows
// well within a lease.
const ioLimit = 2 * time.Second

// plain returns the options of a client for one node, of one connection.
func (c Config) plain(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: c.TLS,
		CredentialsProviderContext: c.Credentials,
		ContextTimeoutEnabled:      true, DialTimeout: ioLimit, ReadTimeout: ioLimit, WriteTimeout: ioLimit,
		PoolSize: 1, DialerRetries: 1, MaxRetries: -1,
		DisableIdentity: true, MaintNotificationsConfig: noMaintenance(),
	}
}

// noMaintenance turns off go-redis' asking every server for notices that only a
// managed service sends.
func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Ping returns nil when a server answers and is to be trusted.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: ping: %w", err)
	}
	return nil
}

// Close closes every connection.
func (db *DB) Close() error {
	err := db.client.Close()
	db.join.wg.Wait()
	if err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}
