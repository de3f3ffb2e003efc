package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// percentile returns the value below which a share p of sorted values lies.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p))]
}

// A spread is what several runs gave: the median and the extremes.
type spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Least: sorted[0], Most: sorted[n-1]}
}

// text writes the median and, in brackets, the extremes.
func (s spread) text(format string) string {
	if s == (spread{}) {
		return "unknown"
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Least, s.Most)
}

// ratiosOf divides what was measured in turns, run by run: what slowed one of a
// run slowed the other of it too.
func ratiosOf(values, by []float64) spread {
	ratios := make([]float64, 0, len(values))
	for i := range min(len(values), len(by)) {
		if by[i] > 0 {
			ratios = append(ratios, values[i]/by[i])
		}
	}
	return spreadOf(ratios)
}

// latencies sum up a set of durations, in milliseconds.
type latencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func latenciesOf(all []time.Duration) latencies {
	slices.Sort(all)
	return latencies{len(all), ms(percentile(all, 0.5)), ms(percentile(all, 0.99)), ms(percentile(all, 1))}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// writeJSON writes a report to a file, when one was asked for.
func writeJSON(path string, report any) error {
	if path == "" {
		return nil
	}
	body, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o600)
}
