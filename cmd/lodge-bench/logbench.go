package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/lodge-gateway/lodge/internal/storage/jetstream"
	"github.com/lodge-gateway/lodge/internal/storage/postgres"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// A logBench measures one back end after the other.
type logBench struct {
	dir      string
	callers  int
	period   time.Duration
	body     []byte
	redis    string // address of the private one
	postgres string // URL; empty: not measured
	nats     string // URLs, comma-separated; empty: not measured
	monitors string // of NATS, comma-separated
	out      *slog.Logger
	report   logReport
}

// A logReport is what log writes as JSON.
type logReport struct {
	Callers int                          `json:"callers"`
	Runs    int                          `json:"runs"`
	Seconds float64                      `json:"seconds"`
	Figures map[string]map[string]spread `json:"figures"` // by back end and figure
	Ratios  map[string]spread            `json:"ratios"`  // appends to one topic to the bare limit's writes, run by run

	order  []string // back ends
	values map[string]map[string][]float64
}

// The figures of a back end.
const (
	figureOne   = "appends/s, one topic"
	figureMany  = "appends/s, a topic a caller"
	figureCPU   = "CPU µs of this process an append"
	figureRead  = "entries read/s"
	figureLimit = "bare limit, writes/s"
)

var logFigures = []string{figureOne, figureMany, figureCPU, figureRead, figureLimit}

// logCommand measures publishing to and reading from the message log through
// Topics, which seal and chain: one message a call, each answered when it is as
// durable as the back end makes it.
func logCommand(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	b := &logBench{out: slog.New(slog.DiscardHandler)}
	runs := flags.Int("runs", 3, "runs of each, taking turns")
	file := flags.String("json", "", "file to write the figures to")
	size := flags.Int("size", 250, "bytes of a message")
	backends := flags.String("backends", "memory,sqlite,redis,postgres,nats", "which to measure; postgres and nats when their URL is given")
	flags.IntVar(&b.callers, "callers", 64, "callers, each with the next message when the one before is answered")
	flags.DurationVar(&b.period, "for", 3*time.Second, "how long each figure is measured")
	flags.StringVar(&b.postgres, "postgres", "", "URL of an empty PostgreSQL database to measure in")
	flags.StringVar(&b.nats, "nats", "", "URLs of NATS servers to measure on, comma-separated")
	flags.StringVar(&b.monitors, "nats-monitors", "", "their monitoring URLs, comma-separated; without, nobody checks that they sync")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 || b.callers < 1 || *size < 0 {
		return errors.New("runs and callers are at least 1, a size at least 0")
	}
	b.body = bytes.Repeat([]byte{'x'}, *size)
	if b.dir, err = os.MkdirTemp("", "lodge-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.report = logReport{Callers: b.callers, Runs: *runs, Seconds: b.period.Seconds(), values: map[string]map[string][]float64{}}
	for _, name := range strings.Split(*backends, ",") {
		if logLimits[name] == nil {
			return fmt.Errorf("there is no back end %q", name)
		}
		if name == "postgres" && b.postgres == "" || name == "nats" && b.nats == "" {
			continue
		}
		b.report.order = append(b.report.order, name)
		b.report.values[name] = map[string][]float64{}
	}
	for run := range *runs {
		for _, name := range b.report.order {
			if err := b.measure(ctx, name, run); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return b.report.finish(os.Stdout, *file)
}

// measure gives a back end its turn.
func (b *logBench) measure(ctx context.Context, name string, run int) (err error) {
	if name == "redis" {
		stop, err := b.startRedis(ctx, run)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	values := b.report.values[name]
	log, closeLog, err := b.open(ctx, name, run)
	if err != nil {
		return err
	}
	err = b.through(ctx, log, fmt.Sprint(name, "-", run, "-", time.Now().UnixNano()), values)
	if err = errors.Join(err, closeLog()); err != nil {
		return err
	}
	writes, err := logLimits[name](ctx, b)
	if err != nil {
		return fmt.Errorf("bare limit: %w", err)
	}
	values[figureLimit] = append(values[figureLimit], writes)
	return nil
}

// through measures what goes through Topics. Each run has topics of its own.
func (b *logBench) through(ctx context.Context, log messaging.Log, prefix string, values map[string][]float64) error {
	topics, err := messaging.NewTopics(log, messaging.Keyring{
		Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"bench": bytes.Repeat([]byte{2}, 32)}, Current: "bench",
	}, messaging.TopicsOptions{Logger: b.out})
	if err != nil {
		return err
	}
	before, err := cpu(os.Getpid())
	if err != nil {
		return err
	}
	one, err := b.append(ctx, topics, func(int) string { return prefix + "-one" })
	if err != nil {
		return err
	}
	after, err := cpu(os.Getpid())
	if err != nil {
		return err
	}
	many, err := b.append(ctx, topics, func(caller int) string { return fmt.Sprint(prefix, "-", caller) })
	if err != nil {
		return err
	}
	read, began := 0, time.Now()
	var at messaging.Pos
	for time.Since(began) < b.period {
		page, err := topics.Read(ctx, "bench", prefix+"-one", at, 256)
		if err != nil {
			return err
		}
		read += len(page.Items)
		if at = page.Items[len(page.Items)-1].Pos; !page.More {
			at = messaging.Pos{}
		}
	}
	values[figureOne] = append(values[figureOne], one/b.period.Seconds())
	values[figureMany] = append(values[figureMany], many/b.period.Seconds())
	values[figureCPU] = append(values[figureCPU], float64((after-before).Microseconds())/one)
	values[figureRead] = append(values[figureRead], float64(read)/time.Since(began).Seconds())
	return nil
}

// append has the callers append for the period, and returns how many messages
// were answered.
func (b *logBench) append(ctx context.Context, topics *messaging.Topics, name func(caller int) string) (float64, error) {
	var done atomic.Int64
	until := time.Now().Add(b.period)
	err := each(b.callers, b.callers, func(caller int) error {
		for n := 0; time.Now().Before(until); n++ {
			m := messaging.Message{ID: fmt.Sprint("message-", caller, "-", n), Body: b.body}
			if _, err := topics.Append(ctx, "bench", name(caller), m); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()), err
}

// startRedis starts a Redis that keeps its log on disk.
func (b *logBench) startRedis(ctx context.Context, run int) (stop func() error, err error) {
	if b.redis, err = freeAddr(); err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, fmt.Sprint("redis", run))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(b.redis)
	p, err := start(ctx, "redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "notice")
	if err != nil {
		return nil, err
	}
	if _, err := p.serve("eady to accept connections"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p.stop, nil
}

// open opens a back end's log; closeLog closes all of it.
func (b *logBench) open(ctx context.Context, name string, run int) (log messaging.Log, closeLog func() error, err error) {
	switch name {
	case "sqlite":
		db, err := sqlite.Open(ctx, filepath.Join(b.dir, fmt.Sprint("sqlite", run), "lodge.db"))
		if err != nil {
			return nil, nil, err
		}
		log = sqlite.NewLog(db)
		return log, func() error { return errors.Join(log.Close(), db.Close()) }, nil
	case "postgres":
		db, err := postgres.Open(ctx, b.postgres, postgres.Options{Logger: b.out})
		if err != nil {
			return nil, nil, err
		}
		log = postgres.NewLog(db)
		return log, func() error { return errors.Join(log.Close(), db.Close()) }, nil
	case "redis":
		log, err = redis.NewLog(ctx, redis.Config{Addrs: []string{b.redis}, Logger: b.out}, redis.LogOptions{})
	case "nats":
		config := jetstream.Config{URLs: strings.Split(b.nats, ","), Prefix: "lodge-bench", SyncVouched: b.monitors == ""}
		if b.monitors != "" {
			config.Monitors = strings.Split(b.monitors, ",")
		}
		log, err = jetstream.NewLog(ctx, config)
	default:
		log = memory.New()
	}
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
}

// finish prints the figures and writes them to a file when one was asked for.
func (r *logReport) finish(out io.Writer, file string) error {
	r.Figures, r.Ratios = map[string]map[string]spread{}, map[string]spread{}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "log: %d callers, %d runs of %g s\n\nback end\tfigure\tmedian (range)\n", r.Callers, r.Runs, r.Seconds)
	for _, name := range r.order {
		r.Figures[name] = map[string]spread{}
		for _, figure := range logFigures {
			values := r.values[name][figure]
			r.Figures[name][figure] = spreadOf(values)
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, figure, spreadOf(values).text("%.4g"))
		}
		r.Ratios[name] = ratiosOf(r.values[name][figureOne], r.values[name][figureLimit])
		_, _ = fmt.Fprintf(w, "%s\tone topic to the bare limit\t%s\n", name, r.Ratios[name].text("%.2f"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(file, r)
}
