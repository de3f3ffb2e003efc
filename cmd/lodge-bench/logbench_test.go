package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The whole of log on the back ends that need no server of somebody else's.
func TestLogSmoke(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.json")
	if got := run(t.Context(), []string{"log", "--for", "100ms", "--runs", "2", "--callers", "8", "--json", file}); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report logReport
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memory", "sqlite", "redis"} {
		for _, figure := range []string{figureOne, figureMany, figureRead, figureLimit} {
			if report.Figures[name][figure].Least <= 0 {
				t.Errorf("%s: %s: %+v", name, figure, report.Figures[name][figure])
			}
		}
		if report.Ratios[name].Median <= 0 {
			t.Errorf("%s: ratio %+v", name, report.Ratios[name])
		}
	}
	if len(report.Figures) != 3 {
		t.Errorf("%d back ends", len(report.Figures))
	}
	if got := run(t.Context(), []string{"log", "--backends", "paper"}); got != 1 {
		t.Errorf("a back end that is none: exit status %d", got)
	}
}
