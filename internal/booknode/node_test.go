package booknode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

const tenant = lodge.DefaultTenant

// day is where all bookings lie: far from now, so that none begins.
var day = time.Now().UTC().Truncate(24*time.Hour).AddDate(1, 0, 0)

func experimentName(n int) string { return fmt.Sprintf("x%03d", n) }

// catalogue has experiments that anybody may book at any time.
func catalogue(experiments int) booking.Catalogue {
	c := booking.Catalogue{
		Experiments: map[string]booking.Experiment{}, Slots: map[string]booking.Slot{},
		Policies: map[string]booking.Policy{"open": {}}, Groups: map[string]booking.Group{"all": {Policies: []string{"open"}}},
		UISets: map[string]booking.UISet{"none": {UIs: []string{}}},
	}
	for n := range experiments {
		name := experimentName(n)
		c.Experiments[name] = booking.Experiment{}
		c.Slots[name] = booking.Slot{Experiment: name, Policy: "open", UISet: "none"}
	}
	return c
}

// openStore opens a store as soon as its server is there.
func openStore(ctx context.Context, at string) (booking.Store, func() error, error) {
	if path, file := strings.CutPrefix(at, "sqlite:"); file {
		db, err := sqlite.Open(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		return sqlite.NewBookings(db), db.Close, nil
	}
	for {
		db, err := postgres.Open(ctx, at, postgres.Options{MaxConns: 12, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			return postgres.NewBookings(db), db.Close, nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, nil, err
		}
	}
}

func newDesk(store booking.Store) (*booking.Desk, error) {
	return booking.NewDesk(store, booking.Keys{PepperID: "1", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32)},
		lodge.SystemClock{}, booking.Options{Logger: slog.New(slog.DiscardHandler), EffectWait: 2 * time.Second})
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A call is what a client asks of a node.
type call struct {
	Op         string // book, extend, cancel, read
	Key        string // the booking's, made by the client
	Experiment string
	ID         string        // extend, cancel
	Version    uint64        // extend
	Start, End time.Duration // book: since the day's beginning
	By         time.Duration // extend
}

// A reply is what a node answers for certain.
type reply struct {
	Result  string // ok, clash, stale, gone
	ID      string
	Version uint64
	Diary   []entry // read
}

// runNode is a node until it is killed.
func runNode(at, address string) error {
	ctx := context.Background()
	store, _, err := openStore(ctx, at)
	if err != nil {
		return err
	}
	desk, err := newDesk(store)
	if err != nil {
		return err
	}
	go func() { _ = desk.Run(ctx) }() // until the process is killed
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c call
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := serve(r.Context(), desk, c)
		if err != nil { // what became of it is not known to who asked
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(answer) // the client has gone, or it has the answer
	})}
	return server.Serve(listener)
}

func serve(ctx context.Context, desk *booking.Desk, c call) (reply, error) {
	switch c.Op {
	case "book":
		b, _, err := desk.Book(ctx, booking.Request{
			Tenant: tenant, Person: lodge.PersonID(c.Key), Name: c.Key, Surname: "Surname", Groups: []string{"all"}, Group: "all", Slot: c.Experiment,
			Start: day.Add(c.Start), End: day.Add(c.End), Key: c.Key,
		})
		return outcome(b, err)
	case "extend":
		return outcome(desk.Extend(ctx, tenant, c.ID, c.By, booking.IfVersion(c.Version)))
	case "cancel":
		return outcome(desk.Cancel(ctx, tenant, c.ID, "done"))
	case "read":
		list, err := desk.ListByExperiment(ctx, tenant, c.Experiment, day.Add(-time.Hour), time.Time{})
		out := reply{Result: "ok"}
		for _, b := range list {
			if b.State == booking.Booked {
				out.Diary = append(out.Diary, entry{b.OwnerName, b.Start.Sub(day), b.End.Sub(day)})
			}
		}
		return out, err
	}
	return reply{}, fmt.Errorf("no such operation: %q", c.Op)
}

// outcome tells what is certain from what is not: a rule's refusal is, and a
// booking that stands although its effects are late; that the store did not
// answer is not.
func outcome(b booking.Booking, err error) (reply, error) {
	if err == nil || b.ID != "" {
		return reply{Result: "ok", ID: b.ID, Version: b.Version}, nil
	}
	e, ok := errors.AsType[*lodge.Error](err)
	if !ok || e.Code != lodge.CodeConflict {
		return reply{}, err
	}
	switch e.Details["rule"] {
	case "clash":
		return reply{Result: "clash"}, nil
	case "version":
		return reply{Result: "stale"}, nil
	case "state":
		return reply{Result: "gone"}, nil
	}
	return reply{}, err
}

// as is what this process is, when it is not the test.
func as() func() error {
	if os.Getenv("BOOKNODE") == "" {
		return nil
	}
	return func() error { return runNode(os.Getenv("BOOKNODE_STORE"), os.Getenv("BOOKNODE_ADDRESS")) }
}
