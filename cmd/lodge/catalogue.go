package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// A catalogueChange is what the flags of plan and apply ask for.
type catalogueChange struct {
	gateway.CatalogueChange
	path   string
	asJSON bool
	cfg    config
}

// readChange reads flags and the file that they name.
func (a *app) readChange(fs *flag.FlagSet, args []string) (catalogueChange, error) {
	var c catalogueChange
	given, file := settingFlags(fs, storeSettings...)
	fs.StringVar(&c.path, "f", "", "the catalogue or a part of it: YAML or JSON, Lodge's own format or a practable manifest")
	fs.BoolVar(&c.Lenient, "lenient", false, "leave out what is faulty, name it, and take the rest")
	fs.BoolVar(&c.Prune, "prune", false, "remove what the file leaves out, of the kinds of object that it has")
	fs.StringVar(&c.Touched, "touched", "", "what becomes of bookings that are touched: keep, move (to an equivalent experiment of the pool) or cancel")
	pairs := func(into *map[string]string) func(string) error {
		return func(v string) error {
			what, choice, ok := strings.Cut(v, "=")
			if !ok {
				return errors.New("write it as NAME=CHOICE")
			}
			if *into == nil {
				*into = map[string]string{}
			}
			(*into)[what] = choice
			return nil
		}
	}
	fs.Func("choose", "the same for what one object touches, written experiments.pend00=move; may be repeated", pairs(&c.Objects))
	fs.Func("booking", "the same for one booking, written ID=cancel; may be repeated", pairs(&c.Bookings))
	fs.BoolVar(&c.asJSON, "json", false, "print JSON")
	if err := parse(fs, args); err != nil {
		return c, err
	}
	if c.path == "" {
		fmt.Fprintf(a.err, "lodge: %s needs -f FILE\n", fs.Name())
		return c, errUsage
	}
	var err error
	if c.cfg, err = loadOffline(given, a.lookup, *file); err != nil {
		return c, err
	}
	text, err := os.ReadFile(c.path)
	if err != nil {
		return c, err
	}
	c.Manifest = string(text)
	// What is wrong with the file by itself is said before a store is opened.
	_, faults, err := booking.ReadChange(strings.NewReader(c.Manifest), c.path, c.Lenient)
	if err != nil {
		a.name(c.path, faults)
		if len(faults) > 0 {
			err = nothingApplied(len(faults))
		}
	}
	return c, err
}

// name names faults, each with its line where it has one.
func (a *app) name(path string, faults []booking.Fault) {
	for _, f := range faults {
		if f.Line == 0 {
			fmt.Fprintf(a.err, "%s: %s: %s\n", path, audit.Clean(f.Object), audit.Clean(f.Message))
			continue
		}
		fmt.Fprintf(a.err, "%s:%d: %s: %s\n", path, f.Line, audit.Clean(f.Object), audit.Clean(f.Message))
	}
}

func nothingApplied(faults int) error {
	return fmt.Errorf("nothing was applied; mend what is named above, or leave it out with --lenient (faults: %d)", faults)
}

// refused names the faults of a change that was refused for them, and the bookings
// that nothing was chosen for.
func (a *app) refused(c catalogueChange, err error) error {
	e, ok := errors.AsType[*lodge.Error](err)
	if !ok {
		return err
	}
	var said struct {
		Faults   []booking.Fault
		Bookings []struct {
			Booking string
			Because []struct{ Object, What string }
			Can     []string
		}
	}
	// Details come as they are from this process, and as JSON from a server.
	if raw, err := json.Marshal(e.Details); err != nil || json.Unmarshal(raw, &said) != nil {
		return e
	}
	a.name(c.path, said.Faults)
	for _, b := range said.Bookings {
		for _, because := range b.Because {
			fmt.Fprintf(a.err, "booking %s: %s %s (can: %s)\n", b.Booking, audit.Clean(because.Object), because.What, strings.Join(b.Can, ", "))
		}
	}
	if len(said.Faults) > 0 {
		return nothingApplied(len(said.Faults))
	}
	return e
}

// plan says what apply would do: which objects change, and which bookings that
// touches.
func (a *app) plan(ctx context.Context, args []string) error {
	c, err := a.readChange(a.flags("plan", "plan -f FILE [--lenient] [--prune] [--json] (--data DIR | --config FILE)"), args)
	if err != nil {
		return err
	}
	view, err := a.planned(ctx, c)
	if err != nil {
		return a.refused(c, err)
	}
	if c.asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	a.name(c.path, view.LeftOut)
	a.printOps(view.Ops)
	for _, t := range view.Touched {
		a.printTouched(t.TouchedBooking, t.Because)
		can := make([]string, 0, len(t.Can))
		for _, choice := range t.Can {
			if choice == booking.MoveIt {
				choice += booking.Choice(" to " + t.MoveTo)
			}
			can = append(can, string(choice))
		}
		fmt.Fprintf(a.out, "    can: %s\n", strings.Join(can, ", "))
	}
	_, err = fmt.Fprintf(a.out, "%s; bookings touched: %d\n", summary(view.Ops, "would "), len(view.Touched))
	return err
}

func (a *app) planned(ctx context.Context, c catalogueChange) (gateway.PlanView, error) {
	var view gateway.PlanView
	err := a.through(ctx, c.cfg, "/catalogue/plan", c.CatalogueChange, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.PlanCatalogue(ctx, lodge.DefaultTenant, c.CatalogueChange)
		return err
	})
	return view, err
}

// apply changes the catalogue by a file, through the server that holds the data
// directory or on the store itself: in one transaction, or not at all when somebody
// changed the same meanwhile.
func (a *app) apply(ctx context.Context, args []string) error {
	fs := a.flags("apply", "apply -f FILE [--lenient] [--prune] [--touched CHOICE] [--choose OBJECT=CHOICE] [--booking ID=CHOICE] [--message TEXT] [--base REVISION] [--json] (--data DIR | --config FILE)")
	message := fs.String("message", "", "what the people read whose bookings are moved or cancelled")
	base := fs.Uint64("base", 0, "the revision of the plan that you looked at: refuse when somebody changed the same since")
	c, err := a.readChange(fs, args)
	if err != nil {
		return err
	}
	c.Message = *message
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "base" {
			c.Base = base
		}
	})
	var view gateway.AppliedView
	err = a.through(ctx, c.cfg, "/catalogue/apply", c.CatalogueChange, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.ApplyCatalogue(ctx, lodge.DefaultTenant, c.CatalogueChange)
		return err
	})
	if err != nil {
		return a.refused(c, err)
	}
	if c.asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	a.name(c.path, view.LeftOut)
	a.printOps(view.Ops)
	for _, o := range view.Outcomes {
		a.printTouched(o.TouchedBooking, o.Because)
		switch o.Choice {
		case booking.MoveIt:
			fmt.Fprintf(a.out, "    moved from %s to %s\n", o.From, o.Experiment)
		case booking.CancelIt:
			fmt.Fprintln(a.out, "    cancelled")
		case booking.Keep:
			fmt.Fprintln(a.out, "    kept")
		}
	}
	_, err = fmt.Fprintf(a.out, "applied: %s; revision %d\n", summary(view.Ops, ""), view.Revision)
	return err
}

func (a *app) printOps(ops []booking.Op) {
	for _, op := range ops {
		fmt.Fprintf(a.out, "%-6s  %s\n", op.Action, audit.Clean(op.Object.String()))
		for _, f := range op.Fields {
			fmt.Fprintf(a.out, "          %s: %s -> %s\n", f.Field, value(f.Before), value(f.After))
		}
	}
}

// value shows a field's value on one line.
func value(raw json.RawMessage) string {
	const most = 120
	text := []rune(audit.Clean(string(raw)))
	if len(text) == 0 {
		return "null"
	}
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

func (a *app) printTouched(b gateway.TouchedBooking, because []booking.Because) {
	fmt.Fprintf(a.out, "booking %s of %s, %s until %s (%s)\n", b.Booking, b.Experiment, at(b.Start), at(b.End), audit.Clean(b.Name))
	for _, one := range because {
		fmt.Fprintf(a.out, "    %s %s\n", audit.Clean(one.Object.String()), one.What)
	}
}

// summary counts ops.
func summary(ops []booking.Op, would string) string {
	n := func(action booking.Action) int {
		return len(slices.DeleteFunc(slices.Clone(ops), func(op booking.Op) bool { return op.Action != action }))
	}
	if len(ops) == 0 {
		return would + "change nothing"
	}
	return fmt.Sprintf("%sadd %d, change %d, remove %d", would, n(booking.Add), n(booking.Alter), n(booking.Remove))
}

// export writes the catalogue as a file that apply takes.
func (a *app) export(ctx context.Context, args []string) error {
	fs := a.flags("export", "export [-o FILE] [--json] (--data DIR | --config FILE)")
	given, file := settingFlags(fs, storeSettings...)
	path := fs.String("o", "", "write it to this file")
	asJSON := fs.Bool("json", false, "print JSON: the revision and the manifest")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.ExportView
	err = a.through(ctx, cfg, "/catalogue/export", nil, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.ExportCatalogue(ctx, lodge.DefaultTenant)
		return err
	})
	switch {
	case err != nil:
		return err
	case *path != "":
		return os.WriteFile(*path, []byte(view.Manifest), 0o600)
	case *asJSON:
		return json.NewEncoder(a.out).Encode(view)
	}
	_, err = fmt.Fprint(a.out, view.Manifest)
	return err
}
