package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// A contender is a server that is measured.
type contender struct {
	name, addr, host, path, cookie string
	pid                            int    // 0: not ours to look at
	admin                          string // a Lodge's admin socket; empty: not ours
	goals                          []goal
}

// A goal is how many times the cost of another contender one may cost at most.
type goal struct {
	of   string
	most float64
}

// The contenders' names.
const (
	limitRedis   = "net/http + one go-redis GET"
	limitMap     = "net/http + cookie + local map"
	limitNothing = "net/http that answers 204"
	lodgeReads   = "Lodge, each check reads Redis"
	lodgeCaches  = "Lodge, session_cache"
	lodgeGiven   = "Lodge at --url"
	peer         = "peer"
)

var (
	goalsReads  = []goal{{limitRedis, 1.2}, {peer, 0.5}}
	goalsCaches = []goal{{limitMap, 1.5}, {peer, 0.33}}
)

// verifyOptions say what verify measures.
type verifyOptions struct {
	binary                    string
	url, cookie               string
	pid                       int
	peer, peerURL, peerCookie string
	conns, runs               int
	period, cached            time.Duration
	profiles, file            string
}

func verify(ctx context.Context, args []string) (err error) {
	var o verifyOptions
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.StringVar(&o.binary, "lodge", "", "binary of lodge (default: built from this module)")
	flags.StringVar(&o.url, "url", "", "measure the Lodge at this address, such as http://127.0.0.1:8080, instead of one of our own; needs --cookie")
	flags.StringVar(&o.cookie, "cookie", "", "NAME=VALUE of a login there")
	flags.IntVar(&o.pid, "pid", 0, "process id of the Lodge at --url, if it runs on this machine, to read its cost")
	flags.StringVar(&o.peer, "peer", "", "command of a peer to run beside them, such as 'oauth2-proxy --config FILE'; no shell reads it")
	flags.StringVar(&o.peerURL, "peer-url", "", "what the peer is asked, such as http://127.0.0.1:4180/oauth2/auth; without --peer it runs already")
	flags.StringVar(&o.peerCookie, "peer-cookie", "", "NAME=VALUE of a login at the peer")
	flags.IntVar(&o.conns, "conns", 64, "keep-alive connections")
	flags.IntVar(&o.runs, "runs", 15, "runs of each, taking turns")
	flags.DurationVar(&o.period, "for", time.Second, "length of a run")
	flags.DurationVar(&o.cached, "session-cache", 5*time.Second, "session_cache of the second Lodge, which keeps checks for so long unless told of a change; 0: no second one")
	flags.StringVar(&o.profiles, "profile", "", "directory to write a CPU profile of each Lodge to, from one more run of each")
	flags.StringVar(&o.file, "json", "", "file to write the figures to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.url != "" && o.cookie == "" {
		return errors.New("--url needs --cookie, such as --cookie __Host-lodge=lodge_log_…")
	}
	if (o.peer != "" || o.peerCookie != "") && o.peerURL == "" {
		return errors.New("--peer needs --peer-url, what it is asked")
	}
	v := &verifying{conns: o.conns, period: o.period}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.prepare(ctx, &o); err != nil {
		return err
	}
	report := newVerifyReport(&o)
	for _, c := range v.contenders {
		if _, err := v.once(ctx, c, min(time.Second, o.period)); err != nil { // warm
			return fmt.Errorf("%s: %w", c.name, err)
		}
		report.Figures = append(report.Figures, &figure{Name: c.name, goals: c.goals})
	}
	for run := range o.runs {
		for i := range v.contenders {
			// Each is first, and last, as often as the others.
			i = (i + run) % len(v.contenders)
			c := v.contenders[i]
			if err := v.measure(ctx, c, report.Figures[i]); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	if err := v.profile(ctx, o.profiles); err != nil {
		return err
	}
	report.finish()
	report.print()
	return writeJSON(o.file, report)
}

// verifying is what a measurement of verify runs.
type verifying struct {
	conns      int
	period     time.Duration
	labs       []*lab
	servers    []*process // the limits, and a peer
	contenders []contender
}

func (v *verifying) prepare(ctx context.Context, o *verifyOptions) error {
	start := v.startOwn
	if o.url != "" {
		start = v.startGiven
	}
	if err := start(ctx, o); err != nil {
		return err
	}
	if err := v.startLimits(ctx, v.labs[0].redisAddr, v.contenders[0].cookie); err != nil {
		return err
	}
	return v.startPeer(ctx, o)
}

// startOwn starts a Lodge that reads, and one that keeps what it read.
func (v *verifying) startOwn(ctx context.Context, o *verifyOptions) error {
	lodge := labOptions{binary: o.binary, gateways: 1, people: 1}
	if err := v.startLodge(ctx, lodgeReads, goalsReads, lodge); err != nil {
		return err
	}
	if o.cached == 0 {
		return nil
	}
	lodge.settings = []string{"session_cache: " + o.cached.String()}
	return v.startLodge(ctx, lodgeCaches, goalsCaches, lodge)
}

// startGiven takes the Lodge that is there. Whether it keeps what it read is not
// known: it is compared with both limits, and held to no goal.
func (v *verifying) startGiven(ctx context.Context, o *verifyOptions) error {
	c, err := contenderAt(lodgeGiven, o.url, verifyPath, o.cookie)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	c.pid, c.goals = o.pid, []goal{{of: limitRedis}, {of: limitMap}, {of: peer}}
	v.contenders = append(v.contenders, c)
	l := &lab{}
	v.labs = append(v.labs, l)
	if l.dir, err = os.MkdirTemp("", "lodge-bench-"); err != nil {
		return err
	}
	return l.startRedis(ctx)
}

// verifyPath is what proxies ask a Lodge.
const verifyPath = "/auth/verify"

// contenderAt is a contender at an address, which names what is asked unless it
// has no path.
func contenderAt(name, address, path, cookie string) (contender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return contender{}, fmt.Errorf("%q is not http://HOST:PORT", address)
	}
	if u.Path != "" && u.Path != "/" {
		path = u.RequestURI()
	}
	return contender{name: name, addr: u.Host, host: u.Host, path: path, cookie: cookie}, nil
}

func (v *verifying) startLodge(ctx context.Context, name string, goals []goal, o labOptions) error {
	l, err := openLab(ctx, o)
	v.labs = append(v.labs, l)
	if err != nil {
		return err
	}
	g := l.gateways[0]
	code, err := signIn(ctx, shared, g.url, person(0))
	host := strings.TrimPrefix(g.url, "http://")
	v.contenders = append(v.contenders, contender{
		name: name, addr: host, host: host, path: verifyPath, cookie: loginCookie + "=" + code, pid: g.pid(), admin: g.admin, goals: goals,
	})
	return err
}

func (v *verifying) startLimits(ctx context.Context, redisAddr, cookie string) error {
	for _, l := range []struct{ name, kind string }{{limitRedis, "redis"}, {limitMap, "map"}, {limitNothing, "nothing"}} {
		p, err := child(ctx, "limit", "-kind", l.kind, "-redis", redisAddr, "-cookie", cookie)
		if err != nil {
			return err
		}
		v.servers = append(v.servers, p)
		addr, err := p.serve("ready at ")
		if err != nil {
			return err
		}
		v.contenders = append(v.contenders, contender{name: l.name, addr: addr, host: addr, path: verifyPath, cookie: cookie, pid: p.cmd.Process.Pid})
	}
	return nil
}

// startPeer runs the peer's command, if there is one, until it answers.
func (v *verifying) startPeer(ctx context.Context, o *verifyOptions) error {
	if o.peerURL == "" {
		return nil
	}
	c, err := contenderAt(peer, o.peerURL, "/", o.peerCookie)
	if err != nil {
		return fmt.Errorf("--peer-url: %w", err)
	}
	if command := strings.Fields(o.peer); len(command) > 0 {
		p, err := start(ctx, "peer", command[0], command[1:]...)
		if err != nil {
			return err
		}
		v.servers = append(v.servers, p)
		p.drain()
		c.pid = p.cmd.Process.Pid
	}
	v.contenders = append(v.contenders, c)
	return awaitListener(ctx, c.addr)
}

func (v *verifying) close() error {
	var errs []error
	for _, p := range v.servers {
		errs = append(errs, p.stop())
	}
	for _, l := range v.labs {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// loading starts the load of a server for a period, in a process of its own.
func (c *contender) loading(ctx context.Context, conns int, period time.Duration) (*process, error) {
	return child(ctx, "load", "-addr", c.addr, "-host", c.host, "-path", c.path, "-cookie", c.cookie, "-conns", strconv.Itoa(conns), "-for", period.String())
}

// once loads a server for a period.
func (v *verifying) once(ctx context.Context, c contender, period time.Duration) (loaded, error) {
	p, err := c.loading(ctx, v.conns, period)
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

// profile loads each Lodge once more and writes where its time goes.
func (v *verifying) profile(ctx context.Context, dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, c := range v.contenders {
		if c.admin == "" {
			continue
		}
		period := max(v.period, 5*time.Second)
		var group errgroup.Group
		group.Go(func() error {
			_, err := v.once(ctx, c, period)
			return err
		})
		group.Go(func() error {
			return profile(ctx, c.admin, period, filepath.Join(dir, fmt.Sprintf("verify-%d.pprof", i+1)))
		})
		if err := group.Wait(); err != nil {
			return fmt.Errorf("profile of %s: %w", c.name, err)
		}
	}
	return nil
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
