package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// hubFlags are what the measurements of message sockets have in common.
type hubFlags struct {
	binary, file, profiles *string
	sockets, runs          *int
}

func newHubFlags(flags *flag.FlagSet, sockets int) hubFlags {
	return hubFlags{
		binary:   flags.String("lodge", "", "binary of lodge (default: built from this module)"),
		file:     flags.String("json", "", "file to write the figures to"),
		profiles: flags.String("profile", "", "directory for profiles of Lodge, which make it slower"),
		sockets:  flags.Int("sockets", sockets, "message sockets, each of a person of its own"),
		runs:     flags.Int("runs", 3, "runs of each, taking turns, each with processes of its own"),
	}
}

// A column is one figure of a table: lower is better, unless it says otherwise.
type column struct {
	name   string
	values map[string][]float64 // by contender, one a run
}

// A hubReport is what the commands write as JSON.
type hubReport struct {
	Command    string                       `json:"command"`
	Sockets    int                          `json:"sockets"`
	Runs       int                          `json:"runs"`
	Setting    string                       `json:"setting,omitempty"`
	Figures    map[string]map[string]spread `json:"figures"` // by contender and figure
	Ratios     map[string]float64           `json:"ratios"`  // of the medians of what is measured and what it is compared with
	columns    []*column
	contenders [2]string // what is measured, and what it is compared with
	slow       int       // sockets, besides, that hardly read, of the first contender
}

func (r *hubReport) add(contender, name string, value float64) {
	for _, c := range r.columns {
		if c.name == name {
			c.values[contender] = append(c.values[contender], value)
			return
		}
	}
	r.columns = append(r.columns, &column{name, map[string][]float64{contender: {value}}})
}

func (r *hubReport) finish(file string) error {
	r.Figures, r.Ratios = map[string]map[string]spread{}, map[string]float64{}
	fmt.Printf("%s: %d message sockets, %d runs %s\n\n", r.Command, r.Sockets, r.Runs, r.Setting)
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "figure\t%s\t(range)\t%s\t(range)\tratio\n", r.contenders[0], r.contenders[1])
	for _, c := range r.columns {
		row := map[string]spread{}
		for contender, values := range c.values {
			row[contender] = spreadOf(values)
			if r.Figures[contender] == nil {
				r.Figures[contender] = map[string]spread{}
			}
			r.Figures[contender][c.name] = row[contender]
		}
		l, b := row[r.contenders[0]], row[r.contenders[1]]
		_, _ = fmt.Fprintf(w, "%s\t%.4g\t%.4g–%.4g\t", c.name, l.Median, l.Least, l.Most)
		if b.Median != 0 {
			r.Ratios[c.name] = l.Median / b.Median
			_, _ = fmt.Fprintf(w, "%.4g\t%.4g–%.4g\t%.2f", b.Median, b.Least, b.Most, r.Ratios[c.name])
		}
		_, _ = fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(file, r)
}

// turns measures the contenders in turn.
func (r *hubReport) turns(ctx context.Context, f hubFlags, measure func(ctx context.Context, h *hubUnderTest) error) error {
	if *f.profiles != "" {
		if err := os.MkdirAll(*f.profiles, 0o700); err != nil {
			return err
		}
	}
	for range r.Runs {
		for _, name := range r.contenders {
			h, err := openHub(ctx, name, *f.binary, r.Sockets, r.slow)
			if err == nil {
				err = measure(ctx, h)
				err = errors.Join(err, h.close())
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return r.finish(*f.file)
}

// idle measures what a socket that has nothing to do costs: memory, connecting,
// and staying.
func idle(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	f := newHubFlags(flags, 10_000)
	period := flags.Duration("for", 65*time.Second, "how long they stay: two pings and more")
	if err := flags.Parse(args); err != nil {
		return err
	}
	profiles := profiler{*f.profiles}
	r := &hubReport{Command: "idle", contenders: againstLimit, Sockets: *f.sockets, Runs: *f.runs, Setting: "of " + period.String()}
	return r.turns(ctx, f, func(ctx context.Context, h *hubUnderTest) error {
		size, err := resident(h.pid)
		if err != nil {
			return err
		}
		spent, err := cost(h.pid, func() error {
			return profiles.during(ctx, h, "connecting", 5*time.Second, func() error { _, err := h.tell(order{Do: "connect"}); return err })
		})
		if err != nil {
			return err
		}
		r.add(h.name, "connecting, CPU µs a socket", float64(spent.Microseconds())/float64(r.Sockets))
		spent, err = cost(h.pid, func() error {
			return profiles.during(ctx, h, "staying", *period, func() error { return wait(ctx, *period) })
		})
		if err != nil {
			return err
		}
		r.add(h.name, "staying, % of a core", 100*spent.Seconds()/period.Seconds())
		now, err := resident(h.pid)
		if err != nil {
			return err
		}
		r.add(h.name, "resident kB a socket", float64(now-size)/1024/float64(r.Sockets))
		return profiles.memory(ctx, h, "idle")
	})
}

// fanout measures what deliveries cost, at a rate that is offered or as fast as
// publishers can.
func fanout(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fanout", flag.ContinueOnError)
	f := newHubFlags(flags, 1_000)
	rate := flags.Float64("rate", 50, "messages a second to all of them; 0: as many as the publishers can send")
	publishers := flags.Int("publishers", 16, "how many publish at a time, with --rate 0")
	size := flags.Int("size", 200, "bytes of a message's text")
	bare := flags.Bool("bare", false, "frames of the bare limit hold the text only, instead of being as long as Lodge's, which hold an event")
	period := flags.Duration("for", 10*time.Second, "how long")
	slow := flags.String("slow", "", "so many of the sockets, such as 5%, read one byte a second; Lodge with them is measured beside Lodge without, the others' deliveries alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	profiles := profiler{*f.profiles}
	r := &hubReport{Command: "fanout", contenders: againstLimit, Sockets: *f.sockets, Runs: *f.runs, Setting: fmt.Sprintf("of %v at %g messages a second of %d bytes", *period, *rate, *size)}
	if *slow != "" {
		share, err := strconv.ParseFloat(strings.TrimSuffix(*slow, "%"), 64)
		if err != nil || share <= 0 || share >= 100 || !strings.HasSuffix(*slow, "%") {
			return fmt.Errorf("--slow %s: write a share such as 5%%", *slow)
		}
		r.slow = max(1, int(float64(r.Sockets)*share/100))
		r.Sockets -= r.slow
		r.contenders = besideSlow
		r.Setting += fmt.Sprintf(", beside %d slow ones", r.slow)
	}
	frame := *size // of the bare limit, which has no envelope: as long as Lodge's
	return r.turns(ctx, f, func(ctx context.Context, h *hubUnderTest) error {
		size := *size
		if h.raw && !*bare {
			size = frame
		}
		if _, err := h.tell(order{Do: "connect"}); err != nil {
			return err
		}
		before := h.sent.Load()
		began := time.Now()
		spent, err := cost(h.pid, func() error {
			err := profiles.during(ctx, h, "fanout", *period, func() error {
				if *rate > 0 {
					return h.pace(ctx, *rate, size, *period)
				}
				return h.rush(ctx, *publishers, size, *period)
			})
			if err != nil {
				return err
			}
			_, err = h.tell(order{Do: "await", Each: int(h.sent.Load() - before)})
			return err
		})
		if err != nil {
			return err
		}
		took := time.Since(began)
		saw, err := h.tell(order{Do: "report"})
		if err != nil {
			return err
		}
		if saw.Lost > 0 || saw.Doubled > 0 {
			return fmt.Errorf("%d sockets were closed, %d messages doubled", saw.Lost, saw.Doubled)
		}
		if !h.raw && saw.Deliveries > 0 {
			frame = int(saw.Bytes) / saw.Deliveries
		}
		r.add(h.name, "CPU s per million deliveries", spent.Seconds()*1e6/float64(saw.Deliveries))
		r.add(h.name, "deliveries/s", float64(saw.Deliveries)/took.Seconds())
		r.add(h.name, "p50 ms", saw.Latency.P50)
		r.add(h.name, "p99 ms", saw.Latency.P99)
		r.add(h.name, "bytes a delivery", float64(saw.Bytes)/float64(saw.Deliveries))
		return nil
	})
}

// publish measures how many messages are taken from 64 callers, one a call, each
// answered when it is durable.
func publish(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	f := newHubFlags(flags, 0)
	callers := flags.Int("callers", 64, "callers, each with the next message when the one before is answered")
	size := flags.Int("size", 200, "bytes of a message's text")
	period := flags.Duration("for", 5*time.Second, "how long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	profiles := profiler{*f.profiles}
	r := &hubReport{Command: "publish", contenders: againstLimit, Sockets: *f.sockets, Runs: *f.runs, Setting: fmt.Sprintf("of %v, %d callers", *period, *callers)}
	return r.turns(ctx, f, func(ctx context.Context, h *hubUnderTest) error {
		if _, err := h.tell(order{Do: "connect"}); err != nil {
			return err
		}
		began := time.Now()
		spent, err := cost(h.pid, func() error {
			return profiles.during(ctx, h, "publish", *period, func() error { return h.rush(ctx, *callers, *size, *period) })
		})
		if err != nil {
			return err
		}
		r.add(h.name, "messages/s", float64(h.sent.Load())/time.Since(began).Seconds())
		r.add(h.name, "CPU µs a message", float64(spent.Microseconds())/float64(h.sent.Load()))
		return nil
	})
}

// storm measures how soon everybody has what they missed when all come back at
// once.
func storm(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	f := newHubFlags(flags, 1_000)
	missed := flags.Int("missed", 50, "messages that were sent while nobody was connected")
	size := flags.Int("size", 200, "bytes of a message's text")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := &hubReport{Command: "storm", contenders: againstLimit, Sockets: *f.sockets, Runs: *f.runs, Setting: fmt.Sprintf("with %d messages missed", *missed)}
	for range r.Runs {
		if err := r.storm(ctx, f, *missed, *size); err != nil {
			return err
		}
	}
	return r.finish(*f.file)
}

func (r *hubReport) storm(ctx context.Context, f hubFlags, missed, size int) (err error) {
	h, err := openHub(ctx, hubLodge, *f.binary, r.Sockets, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	// One message that all have, so that all know where they are.
	if _, err := h.tell(order{Do: "connect"}); err != nil {
		return err
	}
	if err := h.publish(ctx, size); err != nil {
		return err
	}
	for _, o := range []order{{Do: "await", Each: 1}, {Do: "disconnect"}} {
		if _, err := h.tell(o); err != nil {
			return err
		}
	}
	for range missed {
		if err := h.publish(ctx, size); err != nil {
			return err
		}
	}
	if _, err := h.tell(order{Do: "report"}); err != nil {
		return err
	}
	var took heard
	spent, err := cost(h.pid, func() error {
		took, err = h.tell(order{Do: "storm", Each: missed})
		return err
	})
	if err != nil {
		return err
	}
	saw, err := h.tell(order{Do: "report"})
	if err != nil {
		return err
	}
	if saw.Deliveries != missed*r.Sockets || saw.Doubled > 0 {
		return fmt.Errorf("%d deliveries instead of %d, %d doubled", saw.Deliveries, missed*r.Sockets, saw.Doubled)
	}
	r.add(h.name, "all back with everything, ms", ms(took.Took))
	r.add(h.name, "CPU µs a socket", float64(spent.Microseconds())/float64(r.Sockets))
	return nil
}

// cost returns the CPU time that a process uses while fn runs.
func cost(pid int, fn func() error) (time.Duration, error) {
	before, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	if err := fn(); err != nil {
		return 0, err
	}
	after, err := cpu(pid)
	return after - before, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pace publishes at a rate, whatever the answers take.
func (h *hubUnderTest) pace(ctx context.Context, rate float64, size int, period time.Duration) error {
	var group errgroup.Group
	group.SetLimit(64)
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for range int(rate * period.Seconds()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), group.Wait())
		}
		group.Go(func() error { return h.publish(ctx, size) })
	}
	return group.Wait()
}

// rush publishes as fast as the answers come.
func (h *hubUnderTest) rush(ctx context.Context, callers int, size int, period time.Duration) error {
	until := time.Now().Add(period)
	return each(callers, callers, func(int) error {
		for time.Now().Before(until) {
			if err := h.publish(ctx, size); err != nil {
				return err
			}
		}
		return nil
	})
}
