package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge/internal/storage/jetstream"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
)

// What keeps messages.
const (
	logEmbedded = "embedded" // the database file
	logPostgres = "postgres" // the database that nodes share
	logRedis    = "redis"
	logNATS     = "nats"
)

// storeSettings are the settings that say where the stores are: all that a
// command needs that serves nothing.
var storeSettings = []string{
	"data", "database", "database_file", "redis", "redis_file", "log", "log_redis", "log_redis_file", "log_redis_replicas",
	"nats", "nats_credentials_file", "nats_replicas", "nats_monitors", "audit_head_file",
}

// messageLog says where messages are kept.
type messageLog struct {
	Backend    string                 // one of those above
	Redis      string                 // URL; empty: that of the sessions
	RedisFresh func() (string, error) // reads log_redis_file again; nil when the URL is not in one
	Replicas   int                    // of Redis
	NATS       jetstream.Config
}

func databaseURL(c *config, from source) error {
	c.Database = from.value
	if c.Database == "" { // a flag can say so against the file
		return nil
	}
	if !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return errors.New("it is no URL of a PostgreSQL; write it like postgres://lodge@host:5432/lodge")
	}
	return postgres.CheckURL(c.Database)
}

func databaseFileURL(c *config, from source) error {
	c.DatabaseFresh = func() (string, error) { return secretFile(from.path(from.value)) }
	secret, err := c.DatabaseFresh()
	if err != nil {
		return err
	}
	return databaseURL(c, source{value: secret})
}

// redisURL takes the URL of a Redis; an empty one means the default, so that a
// flag can say so against the file.
func redisURL(field func(*config) *string) func(*config, source) error {
	return func(c *config, from source) error {
		*field(c) = from.value
		if from.value == "" {
			return nil
		}
		_, err := redis.ParseURL(from.value)
		return err
	}
}

func redisOfSessions(c *config) (url *string, fresh *func() (string, error)) {
	return &c.Redis, &c.RedisFresh
}

func redisOfLog(c *config) (url *string, fresh *func() (string, error)) {
	return &c.MessageLog.Redis, &c.MessageLog.RedisFresh
}

func redisFile(of func(*config) (*string, *func() (string, error))) func(*config, source) error {
	return func(c *config, from source) error {
		url, fresh := of(c)
		*fresh = func() (string, error) { return secretFile(from.path(from.value)) }
		secret, err := (*fresh)()
		if err != nil {
			return err
		}
		return redisURL(func(*config) *string { return url })(c, source{value: secret})
	}
}

func logBackend(c *config, from source) error {
	backends := []string{logEmbedded, logPostgres, logRedis, logNATS}
	if !slices.Contains(backends, from.value) {
		return fmt.Errorf("%q keeps no messages; write %s", from.value, strings.Join(backends, ", "))
	}
	c.MessageLog.Backend = from.value
	return nil
}

func natsURLs(c *config, from source) error {
	c.MessageLog.NATS.URLs = commaList(from.value)
	for _, one := range c.MessageLog.NATS.URLs {
		if err := isURL(one, "nats", "tls", "ws", "wss"); err != nil {
			return err
		}
	}
	return nil
}

// natsMonitors takes where the servers can be looked at, or the word that nobody
// need.
func natsMonitors(c *config, from source) error {
	at := &c.MessageLog.NATS
	at.Monitors, at.SyncVouched = nil, from.value == "vouched"
	if at.SyncVouched {
		return nil
	}
	at.Monitors = commaList(from.value)
	for _, one := range at.Monitors {
		if err := isURL(one, "http", "https"); err != nil {
			return err
		}
	}
	return nil
}

// isURL reports what is wrong with the URL of a server, without showing it:
// it may hold a password.
func isURL(text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" {
		return fmt.Errorf("one of them is no URL that begins with %s://", strings.Join(schemes, ":// or "))
	}
	return nil
}

func natsCredentials(c *config, from source) error {
	c.MessageLog.NATS.CredentialsFile = from.path(from.value)
	_, err := secretFile(c.MessageLog.NATS.CredentialsFile)
	return err
}

func natsReplicas(c *config, from source) error {
	n, err := strconv.Atoi(from.value)
	if err != nil || n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("%q is not a number of servers that can agree; write 1, 3 or 5", from.value)
	}
	c.MessageLog.NATS.Replicas = n
	return nil
}

// onePlace takes, of a URL and the file that holds it, the one that was given in
// the weightier place.
func onePlace(from map[string]source, key string) []error {
	file := key + "_file"
	named, kept := from[key], from[file]
	switch {
	case named.weight == 0 || kept.weight == 0:
	case named.weight == kept.weight:
		return []error{fault{file, kept.origin, key + " is given beside it (" + named.origin + "); keep one of the two"}}
	case named.weight > kept.weight:
		delete(from, file)
	default:
		delete(from, key)
	}
	return nil
}

// completeStores chooses where nothing was said, and names what does not go
// together.
func (c *config) completeStores(from map[string]source) []error {
	if c.MessageLog.Backend == "" {
		c.MessageLog.Backend = logEmbedded
		if c.Database != "" {
			c.MessageLog.Backend = logPostgres
		}
	}
	var faults []error
	wrong := func(key, problem string) {
		at, ok := from[key]
		if at, file := from[key+"_file"]; !ok && file {
			faults = append(faults, fault{key + "_file", at.origin, problem})
			return
		}
		if !ok {
			at.origin = "not set"
		}
		faults = append(faults, fault{key, at.origin, problem})
	}
	// A URL that is faulty itself was given all the same.
	given := func(key string) bool { return from[key].value != "" || from[key+"_file"].weight != 0 }
	if c.Database != "" && !given("redis") {
		wrong("redis", "give the Redis that holds the sessions: nodes that share a database share them there")
	}
	switch c.MessageLog.Backend {
	case logEmbedded:
		if c.Database != "" {
			wrong("log", "embedded is for a node on its own, and database names one that is shared; write postgres or redis")
		}
	case logPostgres:
		if !given("database") {
			wrong("log", "postgres is in the shared database; give database, or leave log out")
		}
	case logRedis:
		if !given("log_redis") && !given("redis") {
			wrong("log_redis", "give the Redis that holds the messages, or redis for both")
		}
	}
	if c.MessageLog.Backend == logNATS {
		if !given("nats") {
			wrong("nats", "give the URLs of the NATS that holds the messages")
		}
		if !given("nats_monitors") {
			wrong("nats_monitors", "give the monitoring URLs of its servers, or write vouched when somebody answers for sync_interval always")
		}
	} else {
		for _, key := range []string{"nats", "nats_credentials_file", "nats_replicas", "nats_monitors"} {
			if given(key) {
				wrong(key, "it is for messages in nats; write log: nats, or leave it out")
			}
		}
	}
	if c.MessageLog.Backend != logRedis {
		if given("log_redis") {
			wrong("log_redis", "it is for messages in redis; write log: redis, or leave it out")
		}
		if c.MessageLog.Replicas > 0 {
			wrong("log_redis_replicas", "it is for messages in redis; write log: redis, or leave it out")
		}
	}
	return faults
}
