package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"
)

// A verb is one of the things a command can do.
type verb struct {
	name     string
	synopsis string // what follows the name
	run      func(a *app, ctx context.Context, synopsis string, args []string) error
}

// choose carries out the verb that the arguments begin with.
func (a *app) choose(ctx context.Context, command string, verbs []verb, args []string) error {
	if len(args) > 0 {
		for _, v := range verbs {
			if v.name == args[0] {
				return v.run(a, ctx, command+" "+v.name+" "+v.synopsis, args[1:])
			}
		}
	}
	for _, v := range verbs {
		fmt.Fprintf(a.err, "usage: lodge %s %s %s\n", command, v.name, v.synopsis)
	}
	switch {
	case len(args) == 0:
		return errUsage
	case args[0] == "-h" || args[0] == "--help" || args[0] == "-help":
		return flag.ErrHelp
	}
	fmt.Fprintf(a.err, "lodge: %s cannot %q\n", command, args[0])
	return errUsage
}

// table prints rows in columns, the first row being their names.
func (a *app) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// at is how a table shows a time.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
