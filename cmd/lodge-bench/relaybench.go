package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A relayCase is one load: rooms with a host and readers each, at a rate that is
// offered.
type relayCase struct {
	Name    string
	Rooms   int
	Readers int     // in each room
	Slow    int     // readers of each room besides, which take a byte a second
	Rate    float64 // messages a second and room; 0: as fast as the relay takes them
}

var relayCases = []relayCase{
	{Name: "1-reader", Rooms: 1, Readers: 1, Rate: 10_000},
	{Name: "1-reader-flat-out", Rooms: 1, Readers: 1},
	{Name: "100-readers", Rooms: 1, Readers: 100, Rate: 1_000},
	{Name: "100-readers-fast", Rooms: 1, Readers: 100, Rate: 3_000},
	{Name: "100-readers-5-slow", Rooms: 1, Readers: 95, Slow: 5, Rate: 1_000},
	{Name: "1000-rooms", Rooms: 1_000, Readers: 1, Rate: 20},
}

// slowCases are the same readers with and without slow ones beside them.
var slowCases = []relayCase{
	{Name: "95-readers", Rooms: 1, Readers: 95, Rate: 1_000},
	{Name: "95-readers-and-5-slow", Rooms: 1, Readers: 95, Slow: 5, Rate: 1_000},
}

// A relayReport is what relay writes as JSON: figures by case, contender and
// name.
type relayReport struct {
	Runs   int                                     `json:"runs"`
	Size   int                                     `json:"message_bytes"`
	Period string                                  `json:"period"`
	Cases  map[string]map[string]map[string]spread `json:"cases"`
	Ratios map[string]map[string]float64           `json:"ratios"` // Lodge's median to the bare limit's
	values map[string]map[string]map[string][]float64
	order  []string // of the figures
}

// relayBench measures streams through the relay beside a loop that reads a
// message and writes it to each reader.
func relayBench(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	binary := flags.String("lodge", "", "binary of lodge (default: built from this module)")
	file := flags.String("json", "", "file to write the figures to")
	runs := flags.Int("runs", 3, "runs of each, taking turns, each with processes of its own")
	period := flags.Duration("for", 5*time.Second, "length of a run")
	size := flags.Int("size", 1024, "bytes of a message")
	only := flags.String("only", "", "cases, comma separated (default: all)")
	slow := flags.Bool("slow", false, "measure instead what 5 readers of 100 that take a byte a second cost the others")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var cases []relayCase
	all, contenders := relayCases, []string{hubLodge, hubLimit}
	if *slow {
		all, contenders = slowCases, contenders[:1]
	}
	for _, c := range all {
		if *only == "" || slices.Contains(strings.Split(*only, ","), c.Name) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 || *size < streamHeader {
		return fmt.Errorf("--only names none of the cases, or --size is less than %d", streamHeader)
	}
	r := &relayReport{
		Runs: *runs, Size: *size, Period: period.String(),
		Cases: map[string]map[string]map[string]spread{}, Ratios: map[string]map[string]float64{},
		values: map[string]map[string]map[string][]float64{},
	}
	for range *runs {
		for _, c := range cases {
			for _, name := range contenders {
				if err := r.run(ctx, *binary, name, c, *period); err != nil {
					return fmt.Errorf("%s, %s: %w", c.Name, name, err)
				}
			}
		}
	}
	if *slow {
		return r.finishSlow(*file)
	}
	return r.finish(cases, *file)
}

func (r *relayReport) run(ctx context.Context, binary, name string, c relayCase, period time.Duration) (err error) {
	t := &relayUnderTest{name: name}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.open(ctx, binary, c, r.Size, period); err != nil {
		return err
	}
	size, err := resident(t.pid)
	if err != nil {
		return err
	}
	spent, err := cost(t.pid, func() error { return t.do("connect", nil) })
	if err != nil {
		return err
	}
	peers := float64(c.Rooms * (1 + c.Readers + c.Slow))
	r.add(c.Name, name, "connecting, CPU µs a peer", float64(spent.Microseconds())/peers)
	var saw streamed
	if spent, err = cost(t.pid, func() error { return t.do("run", &saw) }); err != nil {
		return err
	}
	now, err := resident(t.pid)
	if err != nil {
		return err
	}
	expected := saw.Sent * c.Readers
	r.add(c.Name, name, "delivered/s", float64(saw.Delivered)/saw.Took.Seconds())
	r.add(c.Name, name, "dropped, %", 100*float64(expected-saw.Delivered)/float64(max(expected, 1)))
	if t.lab != nil {
		counted, err := t.dropped(ctx)
		if err != nil {
			return err
		}
		r.add(c.Name, name, "dropped and not counted", max(0, float64(saw.Missing-counted)))
	}
	r.add(c.Name, name, "readers closed", float64(saw.Closed))
	r.add(c.Name, name, "p50 ms", saw.Latency.P50)
	r.add(c.Name, name, "p99 ms", saw.Latency.P99)
	r.add(c.Name, name, "CPU µs a delivery", float64(spent.Microseconds())/float64(max(saw.Delivered, 1)))
	r.add(c.Name, name, "resident kB a peer", float64(now-size)/1024/peers)
	if saw.Disordered > 0 {
		return fmt.Errorf("%d messages came out of order or changed", saw.Disordered)
	}
	return nil
}

func (r *relayReport) add(c, contender, figure string, value float64) {
	if r.values[c] == nil {
		r.values[c] = map[string]map[string][]float64{}
	}
	if r.values[c][contender] == nil {
		r.values[c][contender] = map[string][]float64{}
	}
	r.values[c][contender][figure] = append(r.values[c][contender][figure], value)
	if !slices.Contains(r.order, figure) {
		r.order = append(r.order, figure)
	}
}

func (r *relayReport) finish(cases []relayCase, file string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, c := range cases {
		_, _ = fmt.Fprintf(w, "\n%s (%d runs of %s)\t%s\t(range)\t%s\t(range)\tratio\n", c.Name, r.Runs, r.Period, hubLodge, hubLimit)
		r.Cases[c.Name], r.Ratios[c.Name] = map[string]map[string]spread{}, map[string]float64{}
		for contender, figures := range r.values[c.Name] {
			r.Cases[c.Name][contender] = map[string]spread{}
			for figure, values := range figures {
				r.Cases[c.Name][contender][figure] = spreadOf(values)
			}
		}
		for _, figure := range r.order {
			l, b := r.Cases[c.Name][hubLodge][figure], r.Cases[c.Name][hubLimit][figure]
			_, _ = fmt.Fprintf(w, "  %s\t%.4g\t%.4g–%.4g\t%.4g\t%.4g–%.4g", figure, l.Median, l.Least, l.Most, b.Median, b.Least, b.Most)
			if b.Median != 0 {
				r.Ratios[c.Name][figure] = l.Median / b.Median
				_, _ = fmt.Fprintf(w, "\t%.2f", l.Median/b.Median)
			}
			_, _ = fmt.Fprintln(w)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(file, r)
}

// finishSlow compares the readers beside slow ones with those by themselves.
func (r *relayReport) finishSlow(file string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	alone, beside := slowCases[0].Name, slowCases[1].Name
	_, _ = fmt.Fprintf(w, "\n(%d runs of %s)\t%s\t(range)\t%s\t(range)\tratio\n", r.Runs, r.Period, alone, beside)
	for _, c := range slowCases {
		r.Cases[c.Name] = map[string]map[string]spread{hubLodge: {}}
		for figure, values := range r.values[c.Name][hubLodge] {
			r.Cases[c.Name][hubLodge][figure] = spreadOf(values)
		}
	}
	r.Ratios[beside] = map[string]float64{}
	for _, figure := range r.order {
		a, b := r.Cases[alone][hubLodge][figure], r.Cases[beside][hubLodge][figure]
		_, _ = fmt.Fprintf(w, "  %s\t%.4g\t%.4g–%.4g\t%.4g\t%.4g–%.4g", figure, a.Median, a.Least, a.Most, b.Median, b.Least, b.Most)
		if a.Median != 0 {
			r.Ratios[beside][figure] = b.Median / a.Median
			_, _ = fmt.Fprintf(w, "\t%.2f", b.Median/a.Median)
		}
		_, _ = fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeJSON(file, r)
}

// A relayUnderTest is a Lodge or the bare limit, with the clients of one case.
type relayUnderTest struct {
	name    string
	pid     int
	lab     *lab // nil at the bare limit
	server  *process
	clients *process
	watcher string // a code that may read the status
}

func (t *relayUnderTest) open(ctx context.Context, binary string, c relayCase, size int, period time.Duration) (err error) {
	plan := streamPlan{Case: c, Size: size, Period: period}
	if t.name == hubLimit {
		if t.server, err = child(ctx, "rawrelay"); err != nil {
			return err
		}
		addr, err := t.server.serve("ready at ")
		if err != nil {
			return err
		}
		plan.URL, t.pid = "http://"+addr, t.server.cmd.Process.Pid
	} else {
		if t.lab, err = openLab(ctx, labOptions{binary: binary, gateways: 1, people: 1}); err != nil {
			return err
		}
		plan.URL, t.pid = t.lab.gateways[0].url, t.lab.gateways[0].pid()
		if plan.Codes, err = t.codes(ctx, c.Rooms); err != nil {
			return err
		}
	}
	if t.clients, err = child(ctx, "streams"); err != nil {
		return err
	}
	return json.NewEncoder(t.clients.in).Encode(plan)
}

// codes makes a code for each room, and one for the status.
func (t *relayUnderTest) codes(ctx context.Context, rooms int) ([]string, error) {
	at := t.lab.gateways[0].url
	admin, err := signIn(ctx, shared, at, administrator)
	if err != nil {
		return nil, err
	}
	if t.watcher, err = newCode(ctx, at, admin, "relay:stats"); err != nil {
		return nil, err
	}
	codes := make([]string, rooms)
	return codes, each(rooms, 8, func(i int) (err error) {
		codes[i], err = newCode(ctx, at, admin, "read:"+roomTopic(i), "write:"+roomTopic(i))
		return err
	})
}

// newCode makes a service code as an administrator.
func newCode(ctx context.Context, gatewayURL, admin string, scopes ...string) (string, error) {
	body, err := json.Marshal(map[string]any{"kind": "service", "scopes": scopes})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gatewayURL+"/api/v1/admin/codes", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.AddCookie(&http.Cookie{Name: loginCookie, Value: admin})
	var made struct{ Code string }
	err = ask(req, http.StatusCreated, &made)
	return made.Code, err
}

// ask sends a request and decodes its answer.
func ask(req *http.Request, want int, into any) error {
	res, err := (&http.Client{Transport: shared, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != want {
		return errors.Join(fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, res.Status, body), err)
	}
	return json.Unmarshal(body, into)
}

// dropped is what the relay says it did not deliver to those who are there.
func (t *relayUnderTest) dropped(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.lab.gateways[0].url+"/status", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", t.watcher)
	var peers []struct {
		Dropped map[string]int `json:"dropped"`
	}
	if err := ask(req, http.StatusOK, &peers); err != nil {
		return 0, err
	}
	n := 0
	for _, p := range peers {
		for _, dropped := range p.Dropped {
			n += dropped
		}
	}
	return n, nil
}

// do gives the clients an order and waits for the answer.
func (t *relayUnderTest) do(what string, answer *streamed) error {
	if _, err := fmt.Fprintf(t.clients.in, "%q\n", what); err != nil {
		return err
	}
	line, err := t.clients.await("done ")
	if err != nil {
		return err
	}
	var saw streamed
	if err := json.Unmarshal([]byte(line), &saw); err != nil {
		return err
	}
	if saw.Error != "" {
		return fmt.Errorf("%s: %s", what, saw.Error)
	}
	if answer != nil {
		*answer = saw
	}
	return nil
}

func (t *relayUnderTest) close() error {
	var errs []error
	if t.clients != nil {
		errs = append(errs, t.clients.stop())
	}
	if t.server != nil {
		errs = append(errs, t.server.stop())
	}
	return errors.Join(append(errs, t.lab.Close())...)
}
