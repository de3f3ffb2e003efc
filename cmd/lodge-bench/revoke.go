package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"
)

// A revokeReport is what revoke writes as JSON.
type revokeReport struct {
	Gateways    int         `json:"gateways"`
	Relays      int         `json:"relays,omitempty"` // on their own: the sockets are streams there
	Sockets     int         `json:"sockets"`
	Revocations int         `json:"revocations"`
	Push        string      `json:"push"`
	Runs        []latencies `json:"runs_closed"`
	Closed      latencies   `json:"closed"`       // from the answer of the revoking call
	Calls       latencies   `json:"calls"`        // the revoking calls themselves
	CloseCodes  map[int]int `json:"close_codes"`  // of the revoked
	NeverClosed int         `json:"never_closed"` // revoked, and open half a minute later
	Strays      int         `json:"strays"`       // closed though not revoked
	ResidentMB  []float64   `json:"resident_mb"`  // of each relay and gateway with its sockets
	SignInCPU   float64     `json:"sign_in_and_connect_cpu_us"`
}

// revoke measures the time from the answer to a revocation to the closed socket,
// on three gateways that share a Redis: message sockets of theirs, or streams of
// relays on their own.
func revoke(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("revoke", flag.ContinueOnError)
	binary := flags.String("lodge", "", "binary of lodge (default: built from this module)")
	sockets := flags.Int("sockets", 10_000, "message sockets, each of a session of its own")
	revocations := flags.Int("revocations", 1_000, "sessions that are ended")
	gateways := flags.Int("gateways", 3, "gateway processes")
	relays := flags.Int("relays", 0, "relays on their own: their streams are measured in place of message sockets")
	clients := flags.Int("clients", 2, "client processes")
	parallel := flags.Int("parallel", 4, "revoking calls at a time")
	runs := flags.Int("runs", 1, "runs, each with an installation of its own")
	push := flags.String("push", "on", "on, or off: what nodes publish then gets lost, so that they learn by their poll alone")
	file := flags.String("json", "", "file to write the figures to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *revocations > *sockets || *clients < 1 || *gateways < 1 || *parallel < *clients {
		return errors.New("there are at most as many revocations as sockets, and at least one gateway, and one call at a time for each client")
	}
	report := revokeReport{Gateways: *gateways, Relays: *relays, Sockets: *sockets, Revocations: *revocations, Push: *push, CloseCodes: map[int]int{}}
	if *push != "on" && *push != "off" {
		return fmt.Errorf("--push %s: it is on or off", *push)
	}
	// 25 sockets a person: gateways bound how many one person may have.
	o := labOptions{binary: *binary, gateways: *gateways, relays: *relays, people: *sockets/25 + 1, muted: *push == "off"}
	var closed, calls []time.Duration
	for range *runs {
		r := revoking{sockets: *sockets, revocations: *revocations, clients: *clients, parallel: *parallel, people: o.people}
		if err := r.run(ctx, o, &report); err != nil {
			return err
		}
		report.Runs = append(report.Runs, latenciesOf(r.closed))
		closed, calls = append(closed, r.closed...), append(calls, r.calls...)
	}
	report.Closed, report.Calls = latenciesOf(closed), latenciesOf(calls)
	report.print()
	return errors.Join(writeJSON(*file, report), report.verdict())
}

// closedRevoked is the close code of a socket whose session was ended.
const closedRevoked = 4403

// verdict is what was promised and did not happen, however fast the rest was.
func (r *revokeReport) verdict() error {
	total := 0
	for _, n := range r.CloseCodes {
		total += n
	}
	switch {
	case r.NeverClosed > 0:
		return fmt.Errorf("%d sockets of ended sessions were never closed", r.NeverClosed)
	case r.Strays > 0:
		return fmt.Errorf("%d sockets were closed though their sessions had not ended", r.Strays)
	case total != r.CloseCodes[closedRevoked]:
		return fmt.Errorf("sockets of ended sessions were closed with %v, not %d alone", r.CloseCodes, closedRevoked)
	}
	return nil
}

// revoking is one run.
type revoking struct {
	sockets, revocations, clients, parallel, people int
	closed, calls                                   []time.Duration
}

func (r *revoking) run(ctx context.Context, o labOptions, report *revokeReport) (err error) {
	l, err := openLab(ctx, o)
	defer func() { err = errors.Join(err, l.Close()) }()
	if err != nil {
		return err
	}
	plan := socketPlan{People: r.people, Streams: o.relays > 0, Parallel: r.parallel / r.clients}
	for _, g := range l.gateways {
		admin, err := signIn(ctx, shared, g.url, administrator)
		if err != nil {
			return err
		}
		plan.Gateways, plan.Admins = append(plan.Gateways, g.url), append(plan.Admins, admin)
	}
	processes := make([]*process, r.clients)
	for i := range processes {
		if processes[i], err = child(ctx, "sockets"); err != nil {
			return err
		}
		l.running = append(l.running, processes[i])
		plan.First = r.sockets * i / r.clients
		plan.Sockets = r.sockets*(i+1)/r.clients - plan.First
		plan.Revocations = r.revocations*(i+1)/r.clients - r.revocations*i/r.clients
		if err := json.NewEncoder(processes[i].in).Encode(plan); err != nil {
			return err
		}
	}
	for _, p := range processes {
		if _, err := p.await("connected"); err != nil {
			return err
		}
	}
	if err := r.cost(l, report); err != nil {
		return err
	}
	for _, p := range processes {
		if _, err := fmt.Fprintln(p.in, "true"); err != nil {
			return err
		}
	}
	for _, p := range processes {
		if err := r.take(p, report); err != nil {
			return err
		}
	}
	return nil
}

// cost notes what the relays and the gateways use with every socket open.
func (r *revoking) cost(l *lab, report *revokeReport) error {
	var used time.Duration
	nodes := slices.Clone(l.relays)
	for _, g := range l.gateways {
		nodes = append(nodes, g.process)
	}
	for _, node := range nodes {
		size, err := resident(node.cmd.Process.Pid)
		if err != nil {
			return err
		}
		report.ResidentMB = append(report.ResidentMB, float64(size)/(1<<20))
		spent, err := cpu(node.cmd.Process.Pid)
		if err != nil {
			return err
		}
		used += spent
	}
	report.SignInCPU = float64(used.Microseconds()) / float64(r.sockets)
	return nil
}

// take adds what one process of clients saw.
func (r *revoking) take(p *process, report *revokeReport) error {
	line, err := p.await("report ")
	if err != nil {
		return err
	}
	var seen socketReport
	if err := json.Unmarshal([]byte(line), &seen); err != nil {
		return err
	}
	r.closed, r.calls = append(r.closed, seen.Closed...), append(r.calls, seen.Calls...)
	for code, n := range seen.Codes {
		report.CloseCodes[code] += n
	}
	report.NeverClosed += seen.Open
	report.Strays += seen.Strays
	return nil
}

func (r *revokeReport) print() {
	what := "message sockets"
	if r.Relays > 0 {
		what = fmt.Sprintf("streams on %d relays of their own", r.Relays)
	}
	fmt.Printf("%d revocations among %d %s, %d gateways, push %s, %d runs\n\n", r.Revocations, r.Sockets, what, r.Gateways, r.Push, len(r.Runs))
	row := func(name string, l latencies) {
		fmt.Printf("%-42s p50 %.1f ms  p99 %.1f ms  max %.1f ms\n", name, l.P50, l.P99, l.Max)
	}
	row("from the answer to the closed socket", r.Closed)
	for i, l := range r.Runs {
		row(fmt.Sprintf("  run %d", i+1), l)
	}
	row("the revoking call itself", r.Calls)
	fmt.Printf("close codes %v, never closed %d, closed without cause %d\n", r.CloseCodes, r.NeverClosed, r.Strays)
	fmt.Printf("resident MB of each node with its sockets %.0f\n", r.ResidentMB)
}
