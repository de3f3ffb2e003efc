package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

// A staleReport is what stale writes as JSON.
type staleReport struct {
	Logins  int         `json:"logins"`
	Runs    int         `json:"runs"`
	Push    string      `json:"push"`
	Cache   string      `json:"session_cache"`
	Conns   int         `json:"conns"`
	Each    []latencies `json:"runs_refused"`
	Refused latencies   `json:"refused"` // from the answer of the ending call to the first refusal
	Goal    float64     `json:"goal_p99_ms"`
}

// stale measures how long a gateway that keeps its checks (session_cache), and is
// busy with others, lets a login through that was ended at another gateway. Each
// login is checked just before it is ended: without a hint from the other gateway
// it then passes for the whole of session_cache.
func stale(ctx context.Context, args []string) error {
	s := staling{}
	flags := flag.NewFlagSet("stale", flag.ContinueOnError)
	binary := flags.String("lodge", "", "binary of lodge (default: built from this module)")
	flags.IntVar(&s.logins, "logins", 200, "logins that are ended")
	flags.IntVar(&s.conns, "conns", 64, "connections of the load on the gateway that is asked")
	flags.IntVar(&s.parallel, "parallel", 8, "logins ended at a time")
	runs := flags.Int("runs", 3, "runs, each with an installation of its own")
	cache := flags.Duration("session-cache", 5*time.Second, "session_cache of both gateways")
	push := flags.String("push", "on", "on, or off: what nodes publish then gets lost")
	file := flags.String("json", "", "file to write the figures to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := staleReport{Logins: s.logins, Runs: *runs, Push: *push, Cache: cache.String(), Conns: s.conns, Goal: 250}
	if *push == "off" {
		report.Goal = 5000
	} else if *push != "on" {
		return fmt.Errorf("--push %s: it is on or off", *push)
	}
	o := labOptions{
		binary: *binary, gateways: 2, people: s.logins + 1, muted: *push == "off",
		settings: []string{"session_cache: " + cache.String()},
	}
	var all []time.Duration
	for range *runs {
		took, err := s.run(ctx, o)
		if err != nil {
			return err
		}
		all = append(all, took...)
		report.Each = append(report.Each, latenciesOf(took))
	}
	report.Refused = latenciesOf(all)
	report.print()
	return writeJSON(*file, report)
}

// staling is a measurement of stale.
type staling struct {
	logins, conns, parallel int
}

func (s *staling) run(ctx context.Context, o labOptions) (took []time.Duration, err error) {
	l, err := openLab(ctx, o)
	defer func() { err = errors.Join(err, l.Close()) }()
	if err != nil {
		return nil, err
	}
	asked, ending := l.gateways[0], l.gateways[1]
	admin, err := signIn(ctx, shared, ending.url, administrator)
	if err != nil {
		return nil, err
	}
	codes := make([]string, s.logins+1)
	if err := each(len(codes), 8, func(i int) (err error) {
		codes[i], err = signIn(ctx, signInTransport(i), asked.url, person(i))
		return err
	}); err != nil {
		return nil, err
	}
	host := strings.TrimPrefix(asked.url, "http://")
	c := contender{addr: host, host: host, path: verifyPath, cookie: loginCookie + "=" + codes[s.logins]}
	load, err := c.loading(ctx, s.conns, time.Hour)
	if err != nil {
		return nil, err
	}
	l.running = append(l.running, load) // which ends it, too
	took = make([]time.Duration, s.logins)
	return took, each(s.logins, s.parallel, func(i int) (err error) {
		took[i], err = passes(ctx, host, codes[i], func() error { return end(ctx, ending.url, admin, codes[i]) })
		return err
	})
}

// staleLimit is how long a login that was ended may pass before it is taken for
// one that always will.
const staleLimit = 30 * time.Second

// passes returns how long after end has returned a login still passes.
func passes(ctx context.Context, host, code string, end func() error) (time.Duration, error) {
	a, err := newAsker(ctx, host)
	if err != nil {
		return 0, err
	}
	defer func() { _ = a.conn.Close() }()
	if err := a.conn.SetDeadline(time.Now().Add(2 * staleLimit)); err != nil {
		return 0, err
	}
	request := get(host, verifyPath, loginCookie+"="+code)
	if status, err := a.ask(request); err != nil || status != 200 {
		return 0, errors.Join(err, fmt.Errorf("before its end a login is answered %d", status))
	}
	if err := end(); err != nil {
		return 0, err
	}
	ended := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for time.Since(ended) < staleLimit {
		status, err := a.ask(request)
		switch {
		case err != nil:
			return 0, err
		case status == 401:
			return time.Since(ended), nil
		case status != 200:
			return 0, fmt.Errorf("a login that was ended is answered %d", status)
		}
		<-tick.C
	}
	return 0, fmt.Errorf("a login that was ended still passes after %s", staleLimit)
}

func (r *staleReport) print() {
	fmt.Printf("%d logins ended at one gateway and checked at another with session_cache %s and %d busy connections, push %s, %d runs\n\n",
		r.Logins, r.Cache, r.Conns, r.Push, r.Runs)
	row := func(name string, l latencies) {
		fmt.Printf("%-42s p50 %.1f ms  p99 %.1f ms  max %.1f ms\n", name, l.P50, l.P99, l.Max)
	}
	row("from the answer to the first refusal", r.Refused)
	for i, l := range r.Each {
		row(fmt.Sprintf("  run %d", i+1), l)
	}
	fmt.Printf("goal: p99 ≤ %.0f ms\n", r.Goal)
}
