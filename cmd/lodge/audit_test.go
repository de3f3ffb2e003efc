package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
)

// applied counts what the sample catalogue leaves in the trail: that it was
// applied, and each role it gives.
const applied = 4

// laboratory is a data directory with a catalogue.
func laboratory(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	if status, _, errs := lodgeRun(t, "apply", "-f", sampleCatalogue, "--data", data); status != exitDone {
		t.Fatal(errs)
	}
	return data
}

// Codes and sessions are listed and ended alike on a store and beside a server,
// and the trail has all of it.
func TestSec08_CodesAndSessionsByCommand(t *testing.T) {
	for _, beside := range []string{"on the store", "beside a server"} {
		t.Run(beside, func(t *testing.T) {
			data := laboratory(t)
			if beside == "beside a server" {
				stop := serving(t, data)
				defer func() {
					if status := stop(); status != exitDone {
						t.Errorf("the server ended with %d", status)
					}
				}()
			}
			do := func(want int, args ...string) (out, errs string) {
				t.Helper()
				status, out, errs := lodgeRun(t, append(args, "--data", data)...)
				if status != want {
					t.Fatalf("%v: %d %q %q, want %d", args, status, out, errs, want)
				}
				return out, errs
			}
			list := func() []gateway.SessionView {
				t.Helper()
				out, _ := do(exitDone, "codes", "list", "--json")
				var view gateway.CodesView
				if err := json.Unmarshal([]byte(out), &view); err != nil {
					t.Fatal(err)
				}
				return view.Codes
			}
			do(exitDone, "codes", "create", "--experiment", "pend00")
			do(exitDone, "codes", "create", "--kind", "service", "--scope", "relay:stats")
			codes := list()
			if len(codes) != 2 {
				t.Fatalf("codes: %+v", codes)
			}
			if out, _ := do(exitDone, "codes", "list"); !strings.Contains(out, "pend00") || strings.Contains(out, "lodge_hst_") {
				t.Errorf("the table: %s", out)
			}
			// Everything but the host.
			if out, _ := do(exitDone, "sessions", "revoke", "--all", "--reason", "an incident"); out != "ended: 1\n" {
				t.Errorf("all: %q", out)
			}
			codes = list()
			if len(codes) != 1 || codes[0].Kind != "host" {
				t.Fatalf("left: %+v", codes)
			}
			if _, errs := do(exitFailed, "sessions", "revoke", "--session", codes[0].ID); !strings.Contains(errs, "host") {
				t.Errorf("a host as a session: %q", errs)
			}
			if out, _ := do(exitDone, "sessions", "list", "--kind", "host"); !strings.Contains(out, codes[0].ID) {
				t.Errorf("sessions: %s", out)
			}
			do(exitDone, "codes", "revoke", "--id", codes[0].ID)
			do(exitFailed, "codes", "revoke", "--id", "nothing")
			if left := list(); len(left) != 0 {
				t.Errorf("left: %+v", left)
			}
			if out, _ := do(exitDone, "audit", "verify"); !strings.HasPrefix(out, fmt.Sprintf("read %d entries", applied+4)) {
				t.Errorf("the trail: %q", out)
			}
		})
	}
}

func TestSec41_VerifyNamesWhatWasTamperedWith(t *testing.T) {
	data := laboratory(t)
	for range 5 - applied {
		if status, _, errs := lodgeRun(t, "codes", "create", "--experiment", "pend00", "--data", data); status != exitDone {
			t.Fatal(errs)
		}
	}
	verify := func(args ...string) (int, audit.Report) {
		t.Helper()
		status, out, errs := lodgeRun(t, append([]string{"audit", "verify", "--json", "--data", data}, args...)...)
		var r audit.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %q %q", err, out, errs)
		}
		return status, r
	}
	if status, r := verify(); status != exitDone || r.Entries != 5 || r.Anchor.Seq != 5 {
		t.Fatalf("untouched: %d %+v", status, r)
	}
	tamper := func(statements ...string) {
		t.Helper()
		db, err := sqlite.Open(t.Context(), filepath.Join(data, databaseFile))
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *sqlite.Tx) error {
			for _, s := range statements {
				if _, err := tx.Exec(s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tamper(`DROP TRIGGER audit_no_delete`, `DROP TRIGGER audit_no_update`, `UPDATE audit SET actor = 'nobody' WHERE seq = 2`, `DELETE FROM audit WHERE seq = 5`)
	status, r := verify()
	if status != exitFailed || len(r.Findings) != 2 || r.Findings[0].Kind != audit.FoundChanged || r.Findings[0].Seq != 2 || r.Findings[1].Kind != audit.FoundCut || r.Findings[1].Seq != 5 {
		t.Errorf("tampered with: %d %+v", status, r)
	}
	// Looking changes nothing, so that it can be looked at again.
	if again, r := verify(); again != exitFailed || len(r.Findings) != 2 {
		t.Errorf("again: %d %+v", again, r)
	}
	if status, out, errs := lodgeRun(t, "audit", "verify", "--data", data); status != exitFailed || !strings.Contains(out, "changed: entry 2 ") || !strings.Contains(out, "cut: entries 5 to 5 ") || !strings.Contains(errs, "not what was written") {
		t.Errorf("in words: %d %q %q", status, out, errs)
	}
	if err := os.Remove(filepath.Join(data, auditHeadFile)); err != nil {
		t.Fatal(err)
	}
	if status, r := verify("--after", "2"); status != exitFailed || len(r.Findings) != 1 || r.Findings[0].Kind != audit.FoundHead {
		t.Errorf("without the head: %d %+v", status, r)
	}
}
