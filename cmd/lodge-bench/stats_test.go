package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
		text   string
	}{
		{nil, spread{}, "unknown"},
		{[]float64{3}, spread{3, 3, 3}, "3.0 (3.0–3.0)"},
		{[]float64{9, 1}, spread{5, 1, 9}, "5.0 (1.0–9.0)"},
		{[]float64{5, 100, 1}, spread{5, 1, 100}, "5.0 (1.0–100.0)"},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}, "2.5 (1.0–4.0)"},
	} {
		if got := spreadOf(c.values); got != c.want || got.text("%.1f") != c.text {
			t.Errorf("%v: %+v, written %s; want %+v, %s", c.values, got, got.text("%.1f"), c.want, c.text)
		}
	}
}

func TestRatiosAreOfTheSameRun(t *testing.T) {
	// The machine was twice as slow in the second run, and gave nothing in the last.
	if got, want := ratiosOf([]float64{10, 20, 30, 7}, []float64{5, 10, 20, 0}), (spread{2, 1.5, 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := ratiosOf(nil, []float64{1}); got != (spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestLatencies(t *testing.T) {
	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}
	if got, want := latenciesOf(all), (latencies{100, 51, 100, 100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := latenciesOf(nil); got != (latencies{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestReportIsWritten(t *testing.T) {
	r := newVerifyReport(&verifyOptions{conns: 2, runs: 3, period: time.Second})
	bare := &figure{Name: limitRedis}
	bare.runs.cpu = []float64{10, 20, 40}
	lodge := &figure{Name: lodgeReads, goals: goalsReads}
	lodge.runs.cpu = []float64{11, 24, 40}
	elsewhere := &figure{Name: peer} // its cost cannot be read
	r.Figures = []*figure{lodge, bare, elsewhere}
	r.finish()
	file := filepath.Join(t.TempDir(), "report.json")
	if err := writeJSON(file, r); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got verifyReport
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := ratio{lodgeReads, limitRedis, spread{1.1, 1, 1.2}, 1.2}
	if len(got.Ratios) != 1 || got.Ratios[0] != want || got.Runs != 3 || got.Figures[0].CPU.Median != 24 {
		t.Errorf("%s", body)
	}
}
