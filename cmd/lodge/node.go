package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/metrics"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
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
	metrics *metrics.Metrics
	desk    *booking.Desk
	persons idp.Store
	assets  gateway.Folders
	onReady func()         // called once when everything serves; may be nil
	closers []func() error // in the order they were opened
}

// newNode opens what a configuration names. Close releases it.
func newNode(ctx context.Context, cfg config, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log, metrics: metrics.New()}
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
	store, err := openStores(ctx, cfg, keys, log)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, store.close)
	trail, err := openTrail(ctx, cfg, store.audit, keys, log)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, trail.Close)
	n.metrics.Audit(trail.Omitted)

	parts, err := n.sessions(ctx, store, clock)
	if err != nil {
		return nil, err
	}
	logs, err := openLog(ctx, cfg, store, log)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, logs.Close)
	log.Info("stores", "database", cfg.databaseName(), "sessions", cfg.sessionsName(), "log", cfg.MessageLog.Backend, "mail", cfg.Mail.where(), "hand_ins", cfg.HandIns.where())
	topics, err := messaging.NewTopics(logs, keys.messages, messaging.TopicsOptions{Logger: log})
	if err != nil {
		return nil, err
	}
	n.desk, err = booking.NewDesk(store.bookings, keys.bookings, clock, booking.Options{MessagePeriod: cfg.MessagePeriod, WaitTurn: cfg.WaitTurn, ReferenceLength: cfg.Reference, MaxPartners: cfg.MaxPartners, Mail: cfg.Mail.sends(), Reminders: cfg.Mail.Reminders, Logger: log})
	if err != nil {
		return nil, err
	}
	issuers, err := idp.New(cfg.Issuers, clock, cfg.IssuerLimits)
	if err != nil {
		return nil, err
	}
	n.persons, parts.Logouts = store.persons, store.persons
	if parts.Grants, err = idp.NewGrants(store.persons, keys.grants); err != nil {
		return nil, err
	}
	if parts.Joins, err = idp.NewJoins(store.persons, keys.joins); err != nil {
		return nil, err
	}
	n.assets = gateway.FoldersOf(web.Samples())
	if cfg.AssetsDir != "" {
		n.assets = gateway.FoldersIn(cfg.AssetsDir)
	}
	if parts.Mail, err = cfg.Mail.sender(); err != nil {
		return nil, err
	}
	parts.Checks = []func(context.Context) error{
		answers("The database does not answer.", store.ping),
		answers("The message log does not answer.", func(ctx context.Context) error {
			_, err := logs.Heads(ctx, []messaging.Topic{"ready"})
			return err
		}),
	}
	files, err := cfg.HandIns.open(ctx, cfg.Data, log)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, files.Close)
	parts.Files, parts.Scan = files, cfg.HandIns.scanner()
	parts.Audit, parts.PersonKeys, parts.Metrics = trail, store.personKeys, n.metrics
	n.metrics.Outbox(store.depth)
	parts.Clock, parts.IdP, parts.Persons, parts.Desk, parts.Topics, parts.Log = clock, issuers, n.persons, n.desk, topics, log
	n.gateway, err = gateway.New(gateway.Config{
		PublicURL: cfg.PublicURL, AssetsURL: cfg.AssetsURL, UIOrigins: cfg.UIOrigins, TrustedProxies: cfg.TrustedProxies,
		RelayURL: cfg.RelayURL, RelayLease: cfg.RelayLease, NoCanary: cfg.NoCanary, LeasePoll: cfg.LeasePoll, LeaseGrace: cfg.LeaseGrace, DrainSpread: cfg.DrainSpread,
		LoginLife: cfg.LoginLife, LoginIdle: cfg.LoginIdle, AdminFresh: cfg.AdminFresh, MessagePeriod: cfg.MessagePeriod, Zone: cfg.Zone, Retention: cfg.Retention, RefuseSelfErasure: cfg.NoSelfErasure, MailLanguage: cfg.Mail.Language,
		JoinCodesFile: cfg.JoinCodesFile, JWTSecret: cfg.JWTSecret, HandInMax: int64(cfg.HandIns.Max) << 20, JWTSecretFresh: cfg.JWTSecretFresh,
		SendRate: cfg.Limits.SendRate, LaunchRate: cfg.Limits.LaunchRate, SignInRate: cfg.Limits.SignInRate, ServiceRate: cfg.Limits.ServiceRate, BallotRate: cfg.Limits.BallotRate, SurveySmall: cfg.Limits.SurveySmall,
		StreamsPerPerson: cfg.Limits.StreamsPerPerson, StreamsPerAddress: cfg.Limits.StreamsPerAddress, SecondWindow: cfg.SecondWindow,
		MessageConnections: cfg.Limits.Connections, MessageConnectionsPerPerson: cfg.Limits.PersonConnections, MessageFrameRate: cfg.Limits.FrameRate,
	}, parts)
	return n, err
}

// sessions opens the session store, with what the relay denies and the hints
// between nodes: Redis when one is configured, else the embedded database. The
// database keeps the journals of revocations and denials either way.
func (n *node) sessions(ctx context.Context, s *stores, clock lodge.Clock) (gateway.Parts, error) {
	opts := sessions.Options{Logger: n.log, LeasePoll: n.cfg.LeasePoll, LeaseGrace: n.cfg.LeaseGrace, LoginCap: n.cfg.LoginCap, Keep: n.cfg.SessionCache}
	if n.cfg.Redis == "" {
		signals := sessions.NewLocalSignals()
		return gateway.Parts{
			Sessions: sessions.NewManager(n.metrics.Store(s.sessions), n.metrics.Journal(s.journal), signals, clock, opts), Denials: s.denials, Signals: signals,
		}, nil
	}
	at, err := redisAt(n.cfg.Redis, n.cfg.RedisFresh, n.log)
	if err != nil {
		return gateway.Parts{}, err
	}
	at.Journal, at.Denials, at.States, at.Clock = s.journal, s.denials, s.states, clock
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
		Sessions: sessions.NewManager(n.metrics.Store(redis.NewSessions(rdb)), n.metrics.Journal(s.journal), signals, clock, opts), Denials: redis.NewDenials(rdb), Signals: signals,
		Fleet: fleetOn(rdb), States: redis.NewStates(rdb),
	}, nil
}

// answers is a check that says which store does not answer.
func answers(safe string, check func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := check(ctx); err != nil {
			return lodge.Wrap(lodge.CodeUnavailable, safe, err)
		}
		return nil
	}
}

func (c config) databaseName() string {
	if c.Database == "" {
		return "embedded"
	}
	return "postgres"
}

func (c config) sessionsName() string {
	if c.Redis == "" {
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
