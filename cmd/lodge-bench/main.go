// Lodge-bench measures a Lodge beside the bare limits of what it does.
//
// It starts everything itself, each part in a process of its own: a private
// Redis, a development issuer, one or three gateways from the built binary, the
// bare limits, and the load. So the server's cost can be read per process from
// the kernel (CPU time, resident memory) and is never mixed with the load's.
// Figures move with the machine and with the minute: what counts are the ratios
// of medians of runs that took turns.
//
//	verify.go   GET /auth/verify beside net/http with Redis, with a map, with nothing
//	revoke.go   from the answer to a revocation to the closed socket, on three nodes
//	stale.go    how long a check that was kept lets through a login that was ended
//	messages.go message sockets that idle, get broadcasts, come back all at once; publishing
//	logbench.go the message log on each back end; logbench_limits.go what it costs bare
//	booking.go  the booking register; booking_limits.go what it costs bare, booking_data.go what is booked
//	mute.go     a network that loses what is published
//	relaybench.go streams through the relay, of streams.go; rawrelay.go is the bare limit
//	limits.go   the bare limits; rawhub.go, that of message sockets
//	hub.go      a Lodge or the bare limit with its listeners.go, which speak wire.go
//	load.go     the load of verify; sockets.go, the load of revoke
//	lodge.go    the installation that is measured; signin.go, how people get in
//	process.go  processes and what they cost; stats.go, the figures
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

var commands = map[string]func(ctx context.Context, args []string) error{
	"verify":  verify,
	"revoke":  revoke,
	"stale":   stale,
	"relay":   relayBench,
	"log":     logCommand,
	"booking": bookingCommand,
	"idle":    idle, "fanout": fanout, "publish": publish, "storm": storm,
}

// children are the parts that run in processes of their own; the commands start
// them.
var children = map[string]func(ctx context.Context, args []string) error{
	"limit":   limit,
	"load":    load,
	"issuer":  issuer,
	"sockets": sockets,
	"mute":    mute,
	"rawhub":  rawhub, "listeners": listeners,
	"rawrelay": rawrelay, "streams": streams,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	known := commands
	if len(args) > 1 && args[0] == "child" {
		known, args = children, args[1:]
	}
	if len(args) == 0 || known[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: lodge-bench verify|revoke|stale|idle|fanout|publish|storm|relay|log|booking [FLAGS]\n\nlodge-bench COMMAND -h shows a command's flags.")
		return 2
	}
	switch err := known[args[0]](ctx, args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "lodge-bench %s: %v\n", args[0], err)
		return 1
	}
	return 0
}
