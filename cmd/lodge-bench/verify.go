package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A contender is a server that is measured.
type contender struct {
	name, addr, host, path, cookie string
	pid                            int // 0: not ours to look at
}

// A figure is what a contender showed over the runs.
type figure struct {
	Name       string `json:"name"`
	PerSecond  spread `json:"requests_per_second"`
	P50        spread `json:"p50_ms"`
	P99        spread `json:"p99_ms"`
	CPU        spread `json:"server_cpu_us_per_request"`
	ResidentMB spread `json:"resident_mb"`
	runs       struct{ perSecond, p50, p99, cpu, resident []float64 }
}

// A verifyReport is what verify writes as JSON.
type verifyReport struct {
	Conns, Runs int
	Period      string             `json:"period"`
	Figures     []*figure          `json:"figures"`
	Ratios      map[string]float64 `json:"cpu_ratios"`
}

func verify(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	binary := flags.String("lodge", "", "binary of lodge (default: built from this module)")
	target := flags.String("url", "", "measure the Lodge at this address instead of one of our own; needs --cookie")
	cookie := flags.String("cookie", "", "NAME=VALUE of a login there")
	conns := flags.Int("conns", 64, "keep-alive connections")
	runs := flags.Int("runs", 3, "runs of each, taking turns")
	period := flags.Duration("for", 5*time.Second, "length of a run")
	cached := flags.Duration("session-cache", 5*time.Second, "session_cache of the second Lodge, which keeps checks for so long unless told of a change; 0: no second one")
	file := flags.String("json", "", "file to write the figures to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *target != "" && *cookie == "" {
		return errors.New("--url needs --cookie, such as --cookie __Host-lodge=lodge_log_…")
	}
	v := &verifying{conns: *conns, period: *period}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.prepare(ctx, *binary, *target, *cookie, *cached); err != nil {
		return err
	}
	report := verifyReport{Conns: *conns, Runs: *runs, Period: period.String(), Ratios: map[string]float64{}}
	for _, c := range v.contenders {
		if _, err := v.once(ctx, c, time.Second); err != nil { // warm
			return fmt.Errorf("%s: %w", c.name, err)
		}
		report.Figures = append(report.Figures, &figure{Name: c.name})
	}
	for range *runs {
		for i, c := range v.contenders {
			if err := v.measure(ctx, c, report.Figures[i]); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	report.finish()
	report.print()
	return writeJSON(*file, report)
}

// verifying is what a measurement of verify runs.
type verifying struct {
	conns      int
	period     time.Duration
	labs       []*lab
	limits     []*process
	contenders []contender
}

// The contenders' names.
const (
	limitRedis   = "net/http + one go-redis GET"
	limitMap     = "net/http + cookie + local map"
	limitNothing = "net/http that answers 204"
	lodgeReads   = "Lodge, each check reads Redis"
	lodgeCaches  = "Lodge, session_cache"
)

func (v *verifying) prepare(ctx context.Context, binary, target, cookie string, cached time.Duration) error {
	if target != "" {
		u, err := url.Parse(target)
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("--url %s: give http://host:port", target)
		}
		v.contenders = []contender{{name: "Lodge at " + target, addr: u.Host, host: u.Host, path: "/auth/verify", cookie: cookie}}
		l := &lab{}
		if l.dir, err = os.MkdirTemp("", "lodge-bench-"); err != nil {
			return err
		}
		v.labs = append(v.labs, l)
		if err := l.startRedis(ctx, nil); err != nil {
			return err
		}
		return v.startLimits(ctx, l.redisAddr, cookie)
	}
	if err := v.startLodge(ctx, lodgeReads, labOptions{binary: binary, gateways: 1, people: 1}); err != nil {
		return err
	}
	if cached > 0 {
		o := labOptions{binary: binary, gateways: 1, people: 1, settings: []string{"session_cache: " + cached.String()}}
		if err := v.startLodge(ctx, lodgeCaches, o); err != nil {
			return err
		}
	}
	return v.startLimits(ctx, v.labs[0].redisAddr, v.contenders[0].cookie)
}

func (v *verifying) startLodge(ctx context.Context, name string, o labOptions) error {
	l, err := openLab(ctx, o)
	v.labs = append(v.labs, l)
	if err != nil {
		return err
	}
	g := l.gateways[0]
	code, err := signIn(ctx, shared, g.url, person(0))
	host := strings.TrimPrefix(g.url, "http://")
	v.contenders = append(v.contenders, contender{
		name: name, addr: host, host: host, path: "/auth/verify", cookie: loginCookie + "=" + code, pid: g.pid(),
	})
	return err
}

func (v *verifying) startLimits(ctx context.Context, redisAddr, cookie string) error {
	for _, l := range []struct{ name, kind string }{{limitRedis, "redis"}, {limitMap, "map"}, {limitNothing, "nothing"}} {
		p, err := child(ctx, "limit", "-kind", l.kind, "-redis", redisAddr, "-cookie", cookie)
		if err != nil {
			return err
		}
		v.limits = append(v.limits, p)
		addr, err := p.serve("ready at ")
		if err != nil {
			return err
		}
		v.contenders = append(v.contenders, contender{name: l.name, addr: addr, host: addr, path: "/auth/verify", cookie: cookie, pid: p.cmd.Process.Pid})
	}
	return nil
}

func (v *verifying) close() error {
	var errs []error
	for _, p := range v.limits {
		errs = append(errs, p.stop())
	}
	for _, l := range v.labs {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// once loads a server for a period from a process of its own.
func (v *verifying) once(ctx context.Context, c contender, period time.Duration) (loaded, error) {
	p, err := child(ctx, "load", "-addr", c.addr, "-host", c.host, "-path", c.path, "-cookie", c.cookie, "-conns", strconv.Itoa(v.conns), "-for", period.String())
	if err != nil {
		return loaded{}, err
	}
	line, err := p.await("")
	if err != nil {
		return loaded{}, err
	}
	var seen loaded
	return seen, errors.Join(json.Unmarshal([]byte(line), &seen), p.cmd.Wait())
}

// measure adds one run of a contender to its figure.
func (v *verifying) measure(ctx context.Context, c contender, f *figure) error {
	var before time.Duration
	var err error
	if c.pid != 0 {
		if before, err = cpu(c.pid); err != nil {
			return err
		}
	}
	seen, err := v.once(ctx, c, v.period)
	if err != nil {
		return err
	}
	r := &f.runs
	r.perSecond = append(r.perSecond, float64(seen.Requests)/seen.Took.Seconds())
	r.p50, r.p99 = append(r.p50, ms(seen.P50)), append(r.p99, ms(seen.P99))
	if c.pid == 0 {
		return nil
	}
	after, err := cpu(c.pid)
	if err != nil {
		return err
	}
	size, err := resident(c.pid)
	r.cpu = append(r.cpu, float64((after-before).Microseconds())/float64(seen.Requests))
	r.resident = append(r.resident, float64(size)/(1<<20))
	return err
}

// finish makes medians, ranges and ratios of the runs.
func (r *verifyReport) finish() {
	byName := map[string]*figure{}
	for _, f := range r.Figures {
		f.PerSecond, f.P50, f.P99 = spreadOf(f.runs.perSecond), spreadOf(f.runs.p50), spreadOf(f.runs.p99)
		f.CPU, f.ResidentMB = spreadOf(f.runs.cpu), spreadOf(f.runs.resident)
		byName[f.Name] = f
	}
	for name, of := range map[string]string{lodgeReads: limitRedis, lodgeCaches: limitMap} {
		if f, bare := byName[name], byName[of]; f != nil && bare != nil {
			r.Ratios[name+" / "+of] = f.CPU.Median / bare.CPU.Median
		}
	}
}

func (r *verifyReport) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "GET /auth/verify, %d connections, medians (and ranges) of %d runs of %s\n\n", r.Conns, r.Runs, r.Period)
	fmt.Fprintln(w, "\trequests/s\tp50 ms\tp99 ms\tserver CPU µs/request\tresident MB")
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.1f (%.1f–%.1f)\t%.0f\n",
			f.Name, f.PerSecond.Median, f.P50.Median, f.P99.Median, f.CPU.Median, f.CPU.Least, f.CPU.Most, f.ResidentMB.Median)
	}
	for name, ratio := range r.Ratios {
		fmt.Fprintf(w, "\nCPU, %s: %.2f", name, ratio)
	}
	fmt.Fprintln(w)
	_ = w.Flush() // the terminal has gone, or it has the table
}
