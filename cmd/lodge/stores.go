package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// stores are what one database holds: everything that must not be lost.
type stores struct {
	audit      audit.Store
	journal    sessions.Journal
	denials    redis.DenialJournal
	states     redis.StateJournal
	bookings   booking.Store
	persons    personStore
	personKeys messaging.PersonKeys

	log   func() messaging.Log // opens the message log that is in the database
	ping  func(context.Context) error
	depth func(context.Context) (int, error) // of the bookings' outbox
	close func() error
	// sessions is for a node without Redis; nil in a database of several nodes,
	// which share their sessions there.
	sessions sessions.Store
}

// personStore is everything about persons: one store, since it changes together.
type personStore interface {
	idp.Store
	idp.LogoutTokens
	idp.GrantStore
}

// openStores opens the database that a configuration names. It fails when what
// the database holds is sealed under other root keys.
func openStores(ctx context.Context, cfg config, k keys, log *slog.Logger) (*stores, error) {
	if cfg.Database == "" {
		return embeddedStores(ctx, cfg, k)
	}
	return sharedStores(ctx, cfg, k, log)
}

// embeddedStores are in a file of the data directory, which one process has.
func embeddedStores(ctx context.Context, cfg config, k keys) (*stores, error) {
	db, err := sqlite.Open(ctx, filepath.Join(cfg.Data, databaseFile))
	if err != nil {
		return nil, err
	}
	s := &stores{
		audit: sqlite.NewAudit(db), journal: sqlite.NewJournal(db), denials: sqlite.NewDenials(db), states: sqlite.NewStates(db), bookings: sqlite.NewBookings(db),
		persons: sqlite.NewPersons(db), personKeys: sqlite.NewPersonKeys(db, k.persons), sessions: sqlite.NewSessions(db),
		log:   func() messaging.Log { return sqlite.NewLog(db) },
		ping:  func(context.Context) error { return nil }, // a file is there, or its use fails
		depth: db.OutboxDepth,
		close: db.Close,
	}
	return s.checked(ctx, k, db)
}

// sharedStores are in a PostgreSQL that several nodes share.
func sharedStores(ctx context.Context, cfg config, k keys, log *slog.Logger) (*stores, error) {
	db, err := postgres.Open(ctx, cfg.Database, postgres.Options{Logger: log, Fresh: cfg.DatabaseFresh})
	if err != nil {
		return nil, err
	}
	s := &stores{
		audit: postgres.NewAudit(db), journal: postgres.NewJournal(db), denials: postgres.NewDenials(db), states: postgres.NewStates(db), bookings: postgres.NewBookings(db),
		persons: postgres.NewPersons(db), personKeys: postgres.NewPersonKeys(db, k.persons),
		log:   func() messaging.Log { return postgres.NewLog(db) },
		ping:  db.Ping,
		depth: db.OutboxDepth,
		close: db.Close,
	}
	return s.checked(ctx, k, db)
}

// checked returns s if it belongs to the root keys, and closes it otherwise.
func (s *stores) checked(ctx context.Context, k keys, facts factStore) (*stores, error) {
	if err := k.roots.check(ctx, facts); err != nil {
		return nil, errors.New(inOneLine(errors.Join(err, s.close())))
	}
	return s, nil
}

// openTrail opens the audit trail. Of several nodes each keeps a head file of its
// own, and one that joins begins it with the trail as it finds it.
func openTrail(ctx context.Context, cfg config, store audit.Store, k keys, log *slog.Logger) (*audit.Trail, error) {
	clock := lodge.SystemClock{}
	if cfg.Database != "" {
		if err := audit.Join(ctx, store, k.audit, cfg.auditHead(), clock, log); err != nil {
			return nil, err
		}
	}
	return audit.Open(ctx, store, k.audit, cfg.auditHead(), cfg.AuditRule, clock, log)
}
