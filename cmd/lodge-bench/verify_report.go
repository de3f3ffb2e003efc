package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// A figure is what a contender showed over the runs.
type figure struct {
	Name       string `json:"name"`
	PerSecond  spread `json:"requests_per_second"`
	P50        spread `json:"p50_ms"`
	P99        spread `json:"p99_ms"`
	CPU        spread `json:"server_cpu_us_per_request"`
	ResidentMB spread `json:"resident_mb"`
	runs       struct{ perSecond, p50, p99, cpu, resident []float64 }
	goals      []goal
}

// A ratio is how many times another's CPU time a contender took for a request:
// in each run, of the two that were measured within it.
type ratio struct {
	Of   string  `json:"of"`
	To   string  `json:"to"`
	CPU  spread  `json:"cpu"`
	Goal float64 `json:"goal,omitempty"` // at most; 0: none is set
}

// A verifyReport is what verify writes as JSON.
type verifyReport struct {
	Conns   int       `json:"conns"`
	Runs    int       `json:"runs"`
	Period  string    `json:"period"`
	Figures []*figure `json:"figures"`
	Ratios  []ratio   `json:"cpu_ratios"`
}

func newVerifyReport(o *verifyOptions) *verifyReport {
	return &verifyReport{Conns: o.conns, Runs: o.runs, Period: o.period.String(), Ratios: []ratio{}}
}

// finish makes medians, ranges and ratios of the runs.
func (r *verifyReport) finish() {
	byName := map[string]*figure{}
	for _, f := range r.Figures {
		f.PerSecond, f.P50, f.P99 = spreadOf(f.runs.perSecond), spreadOf(f.runs.p50), spreadOf(f.runs.p99)
		f.CPU, f.ResidentMB = spreadOf(f.runs.cpu), spreadOf(f.runs.resident)
		byName[f.Name] = f
	}
	for _, f := range r.Figures {
		for _, g := range f.goals {
			other := byName[g.of]
			if other == nil || len(f.runs.cpu) == 0 || len(other.runs.cpu) == 0 {
				continue
			}
			r.Ratios = append(r.Ratios, ratio{f.Name, g.of, ratiosOf(f.runs.cpu, other.runs.cpu), g.most})
		}
	}
}

func (r *verifyReport) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "GET /auth/verify, %d connections, medians (and ranges) of %d runs of %s, taking turns\n\n", r.Conns, r.Runs, r.Period)
	fmt.Fprintln(w, "\trequests/s\tp50 ms\tp99 ms\tserver CPU µs/request\tresident MB")
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%s\t%.0f\n", f.Name, f.PerSecond.Median, f.P50.Median, f.P99.Median, f.CPU.text("%.1f"), f.ResidentMB.Median)
	}
	fmt.Fprintln(w, "\nserver CPU, run by run")
	for _, q := range r.Ratios {
		goal := ""
		if q.Goal > 0 {
			goal = fmt.Sprintf("goal ≤ %.2f", q.Goal)
		}
		fmt.Fprintf(w, "%s / %s\t%s\t%s\n", q.Of, q.To, q.CPU.text("%.2f"), goal)
	}
	_ = w.Flush() // the terminal has gone, or it has the table
}
