package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// apply reads a catalogue, Lodge's own or a practable manifest, and puts it into
// an empty store.
func (a *app) apply(ctx context.Context, args []string) error {
	fs := a.flags("apply", "apply -f FILE [--lenient] --data DIR")
	given, file := settingFlags(fs)
	path := fs.String("f", "", "the catalogue: YAML or JSON")
	lenient := fs.Bool("lenient", false, "leave out what is faulty, name it, and take the rest")
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
	cat, err := a.readCatalogue(*path, *lenient)
	if err != nil {
		return err
	}
	n, err := newNode(ctx, cfg, a.logger(slog.LevelWarn))
	if err != nil {
		return err
	}
	if err := errors.Join(n.desk.Apply(ctx, lodge.DefaultTenant, cat), n.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "applied: %d experiments, %d slots, %d policies, %d groups\n",
		len(cat.Experiments), len(cat.Slots), len(cat.Policies), len(cat.Groups))
	return err
}

func (a *app) readCatalogue(path string, lenient bool) (booking.Catalogue, error) {
	f, err := os.Open(path)
	if err != nil {
		return booking.Catalogue{}, err
	}
	cat, faults, err := booking.ReadManifest(f, path, lenient)
	for _, fault := range faults {
		fmt.Fprintf(a.err, "%s:%d: %s: %s\n", path, fault.Line, fault.Object, fault.Message)
	}
	return cat, errors.Join(err, f.Close())
}
