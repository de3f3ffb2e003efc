package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// A node is one running Lodge: its back ends, chosen here and nowhere else, and
// the gateway that joins them.
type node struct {
	cfg     config
	log     *slog.Logger
	gateway *gateway.Gateway
	desk    *booking.Desk
	persons idp.Store
	assets  fs.FS
	onReady func()         // called once when everything serves; may be nil
	closers []func() error // in the order they were opened
}

// newNode opens what a configuration names. Close releases it.
func newNode(ctx context.Context, cfg config, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	clock := lodge.SystemClock{}

	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	keys, err := loadKeys(cfg.Data)
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, filepath.Join(cfg.Data, databaseFile))
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, db.Close)
	if err := keys.roots.check(ctx, db); err != nil {
		return nil, err
	}
	trail, err := audit.Open(ctx, sqlite.NewAudit(db), keys.audit, cfg.auditHead(), cfg.AuditRule, clock, log)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, trail.Close)

	parts, err := n.sessions(ctx, db, clock)
	if err != nil {
		return nil, err
	}
	log.Info("sessions", "store", n.sessionStore())

	logs := sqlite.NewLog(db)
	n.closers = append(n.closers, logs.Close)
	topics, err := messaging.NewTopics(logs, keys.messages, messaging.TopicsOptions{Logger: log})
	if err != nil {
		return nil, err
	}
	n.desk, err = booking.NewDesk(sqlite.NewBookings(db), keys.bookings, clock, booking.Options{MessagePeriod: cfg.MessagePeriod, Logger: log})
	if err != nil {
		return nil, err
	}
	issuers, err := idp.New(cfg.Issuers, clock, cfg.IssuerLimits)
	if err != nil {
		return nil, err
	}
	persons := sqlite.NewPersons(db)
	n.persons, parts.Logouts = persons, persons
	if parts.Grants, err = idp.NewGrants(persons, keys.grants); err != nil {
		return nil, err
	}
	n.assets = web.Samples()
	if cfg.AssetsDir != "" {
		n.assets = os.DirFS(cfg.AssetsDir)
	}
	parts.Audit, parts.PersonKeys = trail, sqlite.NewPersonKeys(db, keys.persons)
	parts.Clock, parts.IdP, parts.Persons, parts.Desk, parts.Topics, parts.Log = clock, issuers, n.persons, n.desk, topics, log
	n.gateway, err = gateway.New(gateway.Config{
		PublicURL: cfg.PublicURL, AssetsURL: cfg.AssetsURL, UIOrigins: cfg.UIOrigins, TrustedProxies: cfg.TrustedProxies,
		LeasePoll: cfg.LeasePoll, LeaseGrace: cfg.LeaseGrace,
		LoginLife: cfg.LoginLife, LoginIdle: cfg.LoginIdle, MessagePeriod: cfg.MessagePeriod,
		JWTSecret: cfg.JWTSecret, JWTSecretFresh: cfg.JWTSecretFresh,
		SendRate: cfg.Limits.SendRate, LaunchRate: cfg.Limits.LaunchRate, SignInRate: cfg.Limits.SignInRate, ServiceRate: cfg.Limits.ServiceRate,
		MessageConnections: cfg.Limits.Connections, MessageConnectionsPerPerson: cfg.Limits.PersonConnections, MessageFrameRate: cfg.Limits.FrameRate,
	}, parts)
	return n, err
}

// sessions opens the session store, with what the relay denies and the hints
// between nodes: Redis when one is configured, else the embedded database, which
// keeps the journals of revocations and denials either way.
func (n *node) sessions(ctx context.Context, db *sqlite.DB, clock lodge.Clock) (gateway.Parts, error) {
	journal, denials := sqlite.NewJournal(db), sqlite.NewDenials(db)
	opts := sessions.Options{Logger: n.log, LeasePoll: n.cfg.LeasePoll, LeaseGrace: n.cfg.LeaseGrace, LoginCap: n.cfg.LoginCap, Keep: n.cfg.SessionCache}
	if n.cfg.Redis == "" {
		signals := sessions.NewLocalSignals()
		return gateway.Parts{
			Sessions: sessions.NewManager(sqlite.NewSessions(db), journal, signals, clock, opts), Denials: denials, Signals: signals,
		}, nil
	}
	at, err := redis.ParseURL(n.cfg.Redis)
	if err != nil {
		return gateway.Parts{}, err
	}
	at.Journal, at.Denials, at.Clock, at.Logger = journal, denials, clock, n.log
	if fresh := n.cfg.RedisFresh; fresh != nil {
		at.Credentials = func(context.Context) (username, password string, err error) {
			text, err := fresh()
			if err != nil {
				return "", "", err
			}
			now, err := redis.ParseURL(text)
			return now.Username, now.Password, err
		}
	}
	rdb, err := redis.Open(at)
	if err != nil {
		return gateway.Parts{}, err
	}
	n.closers = append(n.closers, rdb.Close)
	if err := rdb.Ping(ctx); err != nil {
		return gateway.Parts{}, fmt.Errorf("the session store does not answer; start Redis or mend its URL: %w", err)
	}
	signals := redis.NewSignals(rdb)
	return gateway.Parts{
		Sessions: sessions.NewManager(redis.NewSessions(rdb), journal, signals, clock, opts), Denials: redis.NewDenials(rdb), Signals: signals,
	}, nil
}

func (n *node) sessionStore() string {
	if n.cfg.Redis == "" {
		return "embedded"
	}
	return "redis"
}

// Close releases the back ends, the last opened first.
func (n *node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}
