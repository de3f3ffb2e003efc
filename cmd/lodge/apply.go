package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

// applied is what apply prints as JSON.
type applied struct {
	Experiments int             `json:"experiments"`
	Slots       int             `json:"slots"`
	Policies    int             `json:"policies"`
	Groups      int             `json:"groups"`
	LeftOut     []booking.Fault `json:"left_out"` // with --lenient
}

// apply reads a catalogue, Lodge's own or a practable manifest, and puts it into
// an empty store.
func (a *app) apply(ctx context.Context, args []string) error {
	fs := a.flags("apply", "apply -f FILE [--lenient] (--data DIR | --config FILE)")
	given, file := settingFlags(fs, storeSettings...)
	path := fs.String("f", "", "the catalogue: YAML or JSON")
	lenient := fs.Bool("lenient", false, "leave out what is faulty, name it, and take the rest")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *path == "" {
		fmt.Fprintln(a.err, "lodge: apply needs -f FILE")
		return errUsage
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	cat, leftOut, err := a.readCatalogue(*path, *lenient)
	if err != nil {
		return err
	}
	if err := a.putCatalogue(ctx, cfg, cat); err != nil {
		return err
	}
	done := applied{
		Experiments: len(cat.Experiments), Slots: len(cat.Slots), Policies: len(cat.Policies), Groups: len(cat.Groups), LeftOut: leftOut,
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(done)
	}
	_, err = fmt.Fprintf(a.out, "applied: %d experiments, %d slots, %d policies, %d groups\n",
		done.Experiments, done.Slots, done.Policies, done.Groups)
	return err
}

// putCatalogue puts a catalogue into the database. Nothing else need be there, and
// on a database of several nodes they may run: they see it at once.
func (a *app) putCatalogue(ctx context.Context, cfg config, cat booking.Catalogue) error {
	log := a.logger(slog.LevelWarn)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	keys, err := loadKeys(cfg.Data)
	if err != nil {
		return err
	}
	store, err := openStores(ctx, cfg, keys, log)
	if errors.Is(err, sqlite.ErrLocked) {
		return fmt.Errorf("a server runs on %s; stop it before a catalogue is applied", cfg.Data)
	}
	if err != nil {
		return err
	}
	desk, err := booking.NewDesk(store.bookings, keys.bookings, lodge.SystemClock{}, booking.Options{Logger: log})
	if err == nil {
		err = desk.Apply(ctx, lodge.DefaultTenant, cat)
	}
	return errors.Join(err, store.close())
}

// readCatalogue reads a file and names every fault in it.
func (a *app) readCatalogue(path string, lenient bool) (booking.Catalogue, []booking.Fault, error) {
	f, err := os.Open(path)
	if err != nil {
		return booking.Catalogue{}, nil, err
	}
	cat, faults, err := booking.ReadManifest(f, path, lenient)
	for _, fault := range faults {
		fmt.Fprintf(a.err, "%s:%d: %s: %s\n", path, fault.Line, fault.Object, fault.Message)
	}
	if err != nil && len(faults) > 0 && !lenient {
		err = fmt.Errorf("nothing was applied; mend what is named above, or leave it out with --lenient (faults: %d)", len(faults))
	}
	return cat, faults, errors.Join(err, f.Close())
}
