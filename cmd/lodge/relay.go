package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/metrics"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/sessions"
)

// relay carries streams until ctx ends, beside gateways that run elsewhere. Of all
// stores it reaches the Redis alone.
func (a *app) relay(ctx context.Context, args []string) (err error) {
	fs := a.flags("relay", "relay --config FILE [FLAGS]")
	given, file := settingFlags(fs, relaySettings...)
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := loadRelay(given, a.lookup, *file)
	if err != nil {
		return err
	}
	log := a.logger(cfg.LogLevel)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	at, err := redisAt(cfg.Redis, cfg.RedisFresh, log)
	if err != nil {
		return err
	}
	at.Clock = lodge.SystemClock{}
	rdb, err := redis.Open(at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rdb.Close()) }()

	signals, told := redis.NewSignals(rdb), metrics.New()
	node, err := gateway.NewRelayNode(gateway.Config{
		PublicURL: cfg.PublicURL, AssetsURL: cfg.AssetsURL, UIOrigins: cfg.UIOrigins, TrustedProxies: cfg.TrustedProxies,
		JWTSecret: cfg.JWTSecret, JWTSecretFresh: cfg.JWTSecretFresh,
		RelayURL: cfg.RelayURL, RelayLease: cfg.RelayLease, NoCanary: cfg.NoCanary, LeasePoll: cfg.LeasePoll, LeaseGrace: cfg.LeaseGrace,
		StreamsPerPerson: cfg.Limits.StreamsPerPerson, StreamsPerAddress: cfg.Limits.StreamsPerAddress,
	}, gateway.Parts{
		Clock: at.Clock, Log: log, Metrics: told, Denials: redis.NewDenials(rdb), Signals: signals, Fleet: fleetOn(rdb), States: redis.NewStates(rdb),
		Sessions: sessions.NewManager(told.Store(redis.NewSessions(rdb)), gateway.NoJournal{}, signals, at.Clock, sessions.Options{
			Logger: log, LeasePoll: cfg.LeasePoll, LeaseGrace: cfg.LeaseGrace, Collect: neverCollect,
		}),
	})
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	admin, err := listenAdmin(cfg.Data)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	services := []service{{"relay", public, node.Handler()}, {"admin", admin, node.Admin()}}
	if cfg.MetricsListen != "" {
		l, err := net.Listen("tcp", cfg.MetricsListen)
		if err != nil {
			return errors.Join(err, public.Close(), admin.Close())
		}
		services = append(services, service{"metrics", l, node.Metrics()})
	}
	return serveAll(ctx, log, node, services, func() {
		log.Info("ready", "url", cfg.RelayURL)
		fmt.Fprintf(a.out, "lodge: ready at %s\n", cfg.RelayURL)
	})
}

// neverCollect leaves it to the gateways to remove sessions that have ended.
const neverCollect = 100 * 365 * 24 * time.Hour

// fleetOn is what relays share on a Redis.
func fleetOn(rdb *redis.DB) *gateway.Fleet {
	notes := redis.NewNotes(rdb)
	return &gateway.Fleet{Leases: redis.NewLeases(rdb), Notes: notes, Asks: notes}
}
