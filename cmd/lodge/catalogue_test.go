package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
)

const practableCatalogue = "../../deploy/samples/practable.yaml"

// file writes one file and returns where it is.
func file(t *testing.T, text string) string {
	t.Helper()
	return filepath.Join(write(t, map[string]string{"file.yaml": text}), "file.yaml")
}

func TestApply(t *testing.T) {
	data := t.TempDir()
	for i, want := range []string{"add 30, change 0, remove 0; revision 1\n", "change nothing; revision 1\n"} {
		status, out, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data)
		if status != exitDone || !strings.HasSuffix(out, "applied: "+want) {
			t.Errorf("%d: %d %q %q", i, status, out, errs)
		}
	}
	// Another catalogue on top: what it leaves out stays.
	status, out, errs := lodgeRun(t, "plan", "-f", practableCatalogue, "--data", data)
	if status != exitDone || !strings.Contains(out, "would add ") || !strings.Contains(out, "remove 0") || !strings.Contains(out, "touched: 0") {
		t.Errorf("planned: %d %q %q", status, out, errs)
	}
	if status, out, errs = lodgeRun(t, "apply", "-f", practableCatalogue, "--data", data); status != exitDone || !strings.Contains(out, "revision 2") {
		t.Errorf("applied: %d %q %q", status, out, errs)
	}
}

// What was exported, applied again, changes nothing: here, and after a restart, and
// it makes the same catalogue elsewhere.
func TestExportRoundTrips(t *testing.T) {
	for _, sample := range []string{sampleCatalogue, practableCatalogue} {
		data, elsewhere := t.TempDir(), t.TempDir()
		if status, _, errs := lodgeRun(t, "apply", "-f", sample, "--data", data); status != exitDone {
			t.Fatal(errs)
		}
		copied := filepath.Join(t.TempDir(), "copy.yaml")
		if status, out, errs := lodgeRun(t, "export", "-o", copied, "--data", data); status != exitDone || out != "" {
			t.Fatalf("%d %q %q", status, out, errs)
		}
		status, out, errs := lodgeRun(t, "apply", "-f", copied, "--prune", "--data", data)
		if status != exitDone || out != "applied: change nothing; revision 1\n" {
			t.Errorf("the same again: %d %q %q", status, out, errs)
		}
		if status, _, errs := lodgeRun(t, "apply", "-f", copied, "--data", elsewhere); status != exitDone {
			t.Fatal(errs)
		}
		var a, b gateway.ExportView
		for dir, into := range map[string]*gateway.ExportView{data: &a, elsewhere: &b} {
			_, out, errs := lodgeRun(t, "export", "--json", "--data", dir)
			if err := json.Unmarshal([]byte(out), into); err != nil {
				t.Fatalf("%v %q", err, errs)
			}
		}
		if a.Manifest != b.Manifest || a.Revision != 1 {
			t.Errorf("%s\n%s", a.Manifest, b.Manifest)
		}
	}
}

func TestApplyPractable(t *testing.T) {
	status, out, errs := lodgeRun(t, "apply", "-f", practableCatalogue, "--data", t.TempDir(), "--json")
	var got gateway.AppliedView
	if err := json.Unmarshal([]byte(out), &got); status != exitDone || err != nil {
		t.Fatalf("%d %q %q %v", status, out, errs, err)
	}
	if len(got.Ops) < 20 || got.Revision != 1 || len(got.LeftOut) != 0 {
		t.Errorf("%+v", got)
	}
}

// A faulty catalogue is named fault by fault with lines; strictly it is refused
// whole, leniently its sound part is taken.
func TestApplyFaulty(t *testing.T) {
	sound, err := os.ReadFile(sampleCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	status, out, errs := lodgeRun(t, "apply", "-f", file(t, "lodge: v1\nexperiments:\n  x: {colour: red}\n"), "--data", data)
	if status != exitFailed || out != "" || !strings.Contains(errs, ":3: experiments.x: colour is not a field") || !strings.Contains(errs, "nothing was applied") {
		t.Errorf("faulty by itself: %d %q %q", status, out, errs)
	}
	if _, err := os.Stat(filepath.Join(data, databaseFile)); err == nil {
		t.Error("a file that was refused has made a store")
	}
	before, after, there := strings.Cut(string(sound), "pend02-everyone: {description: pend02, experiment: pend02")
	if !there {
		t.Fatal("the sample has another slot")
	}
	faulty := file(t, before+"pend02-everyone: {description: pend02, experiment: pend99"+after)
	named := fmt.Sprintf(":%d: slots.pend02-everyone", strings.Count(before, "\n")+1)
	status, out, errs = lodgeRun(t, "apply", "-f", faulty, "--data", data)
	if status != exitFailed || out != "" || !strings.Contains(errs, named) || !strings.Contains(errs, "pend99") || !strings.Contains(errs, "nothing was applied") {
		t.Errorf("strictly: %d %q %q", status, out, errs)
	}
	status, out, errs = lodgeRun(t, "apply", "-f", faulty, "--lenient", "--data", data)
	if status != exitDone || !strings.Contains(out, "add 29,") || !strings.Contains(errs, "pend99") {
		t.Errorf("leniently: %d %q %q", status, out, errs)
	}
}

// A change that touches bookings asks what becomes of them, with and without a
// server.
func TestApplyTouchesBookings(t *testing.T) {
	for name, serve := range map[string]bool{"offline": false, "through the server": true} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data); status != exitDone {
				t.Fatal(errs)
			}
			id := bookedOffline(t, data)
			if serve {
				stop := serving(t, data)
				defer stop()
			}
			change := file(t, "lodge: v1\npools: {pendulums: {experiments: [pend00, pend02]}}\nremove: {experiments: [pend01], slots: [pend01-physics-1]}\n")
			status, out, errs := lodgeRun(t, "plan", "-f", change, "--data", data)
			if status != exitDone || !strings.Contains(out, "booking "+id+" of pend01") || !strings.Contains(out, "can: move to pend00, cancel") || !strings.Contains(out, "touched: 1") {
				t.Fatalf("plan: %d %q %q", status, out, errs)
			}
			status, out, errs = lodgeRun(t, "apply", "-f", change, "--data", data)
			if status != exitFailed || out != "" || !strings.Contains(errs, "booking "+id+": experiments.pend01 is removed (can: move, cancel)") {
				t.Errorf("without a choice: %d %q %q", status, out, errs)
			}
			status, out, errs = lodgeRun(t, "apply", "-f", change, "--choose", "experiments.pend01=move", "--base", "7", "--data", data)
			if status != exitFailed || !strings.Contains(errs, "Somebody else has changed the catalogue") {
				t.Errorf("with another base: %d %q %q", status, out, errs)
			}
			status, out, errs = lodgeRun(t, "apply", "-f", change, "--choose", "experiments.pend01=move", "--base", "1", "--data", data)
			if status != exitDone || !strings.Contains(out, "moved from pend01 to pend00") || !strings.Contains(out, "revision 2") {
				t.Errorf("moved: %d %q %q", status, out, errs)
			}
		})
	}
}

func TestCatalogueVerbsAreUsedWrongly(t *testing.T) {
	for _, args := range [][]string{
		{"plan", "--data", t.TempDir()},
		{"apply", "-f", sampleCatalogue, "--choose", "pend00", "--data", t.TempDir()},
		{"export", "more", "--data", t.TempDir()},
	} {
		if status, _, errs := lodgeRun(t, args...); status != exitMisused || errs == "" {
			t.Errorf("%v: %d %q", args, status, errs)
		}
	}
	status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--touched", "drop", "--data", t.TempDir())
	if status != exitFailed || !strings.Contains(errs, "choose keep, move or cancel") {
		t.Errorf("a choice that is none: %d %q", status, errs)
	}
}

// bookedOffline books pend01 for half an hour from now, in a store that no server
// holds, and returns the booking's id.
func bookedOffline(t *testing.T, data string) string {
	t.Helper()
	cfg, err := loadOffline(map[string]string{"data": data}, env{}.lookup, "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(t.Context(), cfg, (&app{err: os.Stderr}).logger(8))
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := n.desk.Book(t.Context(), booking.Request{
		Tenant: lodge.DefaultTenant, Person: "p", Name: "Søren", Surname: "Kierkegaard", Groups: []string{"physics-1"},
		Group: "physics-1", Slot: "pend01-physics-1", Length: 30 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return b.ID
}
