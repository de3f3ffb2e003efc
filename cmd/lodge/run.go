package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/lodge-gateway/lodge"
)

// The exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1 // refused, or failed
	exitMisused = 2 // wrong usage
)

// app is what every command gets.
type app struct {
	lookup func(string) (string, bool) // the environment
	out    io.Writer
	err    io.Writer
}

// A command reads its arguments and does its work; errUsage means that usage has
// been shown.
type command struct {
	name  string
	about string
	run   func(a *app, ctx context.Context, args []string) error
}

var commands = []command{
	{"demo", "everything in one process, to try Lodge out", (*app).demo},
	{"serve", "the gateway, with the relay", (*app).serve},
	{"relay", "streams alone, on a machine that reaches the session store and not the database", (*app).relay},
	{"host", "beside an experiment's hardware: carry its streams to the relay", (*app).host},
	{"plan", "say what a catalogue file would change, and which bookings that touches", (*app).plan},
	{"apply", "change the catalogue by a file", (*app).apply},
	{"export", "write the catalogue as a file", (*app).export},
	{"codes", "make, list and revoke codes for hosts and services", (*app).codes},
	{"sessions", "list and end sessions", (*app).sessions},
	{"keys", "list and rotate the keys that everything is sealed under", (*app).keys},
	{"log", "read the message log", (*app).log},
	{"audit", "look whether the audit trail was tampered with", (*app).audit},
	{"doctor", "look at what a node needs, and say what is wrong and what to do", (*app).doctor},
	{"version", "print the version", (*app).version},
}

// errUsage is a misuse of the command line that has been explained already.
var errUsage = errors.New("usage")

// run carries out one command line and returns its exit status.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), out, err io.Writer) int {
	a := &app{lookup: lookup, out: out, err: err}
	if len(args) == 0 {
		a.usage(err)
		return exitMisused
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		a.usage(out)
		return exitDone
	}
	for _, c := range commands {
		if c.name == args[0] {
			return a.status(c.run(a, ctx, args[1:]))
		}
	}
	fmt.Fprintf(err, "lodge: there is no command %q\n\n", args[0])
	a.usage(err)
	return exitMisused
}

func (a *app) usage(w io.Writer) {
	fmt.Fprintln(w, "usage: lodge COMMAND [FLAGS]")
	fmt.Fprintln(w)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s  %s\n", c.name, c.about)
	}
	fmt.Fprintln(w, "\nlodge COMMAND -h shows a command's flags.")
}

// status reports an error and chooses the exit status.
func (a *app) status(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errUsage):
		return exitMisused
	}
	if e, ok := errors.AsType[*lodge.Error](err); ok {
		fmt.Fprintf(a.err, "lodge: %s\n", e.Safe)
	} else {
		fmt.Fprintf(a.err, "lodge: %v\n", err)
	}
	return exitFailed
}

// flags returns a flag set that explains itself and never exits.
func (a *app) flags(name, synopsis string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(a.err)
	fs.Usage = func() {
		fmt.Fprintf(a.err, "usage: lodge %s\n\n", synopsis)
		fs.PrintDefaults()
	}
	return fs
}

// parse parses flags and refuses what is left over.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(fs.Output(), "lodge: %q is not expected here\n", fs.Arg(0))
		fs.Usage()
		return errUsage
	}
	return nil
}

// logger writes JSON lines to the error stream.
func (a *app) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: level}))
}
