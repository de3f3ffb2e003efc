// Package audittest holds every audit.Store to its contract, by a trail on it.
package audittest

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// A Harness is an empty store and what can be done to it behind its back.
type Harness struct {
	Store audit.Store
	// Nodes are the stores of several nodes on one database; Store alone when nil.
	Nodes []audit.Store
	// Exec runs statements on the database, as its owner; unguarded, it first
	// takes away whatever keeps the trail append-only.
	Exec func(statement string, unguarded bool) error
}

// Run runs the suite; open returns a new, empty store each time.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("OneChainUnderParallelRecords", func(t *testing.T) { oneChain(t, open(t)) })
	t.Run("Lists", func(t *testing.T) { lists(t, open(t)) })
	t.Run("Sec41_AppendOnly", func(t *testing.T) { appendOnly(t, open(t)) })
	t.Run("Sec41_TamperingIsFound", func(t *testing.T) { tampering(t, open) })
}

var auditKey = bytes.Repeat([]byte{9}, 32)

func openTrail(t *testing.T, store audit.Store, file string) *audit.Trail {
	t.Helper()
	trail, err := audit.Open(t.Context(), store, auditKey, file, audit.Rule{}, lodge.SystemClock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

// recordSome records n events of each of two tenants, side by side, on trails in turn.
func recordSome(t *testing.T, n int, trails ...*audit.Trail) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		for _, tenant := range []lodge.Tenant{"t1", "t2"} {
			wg.Go(func() {
				e := audit.Event{Tenant: tenant, Actor: fmt.Sprintf("person:%d", i%2), Action: audit.Book, Object: "booking:b", Reason: "r\r\n", Address: "192.0.2.1"}
				if err := trails[i%len(trails)].Record(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func oneChain(t *testing.T, h Harness) {
	var trails []*audit.Trail
	for _, store := range append([]audit.Store{h.Store}, h.Nodes...) {
		trails = append(trails, openTrail(t, store, filepath.Join(t.TempDir(), "audit.head")))
	}
	recordSome(t, 100, trails...)
	for _, trail := range trails {
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := trail.Verify(t.Context(), 0)
		if err != nil || !r.Intact() || r.Entries != 200 || r.Anchor.Seq != 200 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
}

func lists(t *testing.T, h Harness) {
	trail := openTrail(t, h.Store, filepath.Join(t.TempDir(), "audit.head"))
	recordSome(t, 10, trail)
	if err := trail.Record(t.Context(), audit.Event{Tenant: "t1", Actor: "cli", Action: audit.CodeCreate}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter audit.Filter
		want   int
	}{
		{"all", audit.Filter{Limit: 100}, 11},
		{"of an actor", audit.Filter{Actor: "person:1", Limit: 100}, 5},
		{"of an action", audit.Filter{Action: audit.CodeCreate, Limit: 100}, 1},
		{"of both", audit.Filter{Actor: "cli", Action: audit.Book, Limit: 100}, 0},
		{"limited", audit.Filter{Limit: 3}, 3},
		{"newest", audit.Filter{Newest: true, Limit: 1}, 1},
		{"after", audit.Filter{After: 20, Limit: 100}, 1},
		{"before", audit.Filter{Before: 21, Limit: 100}, 10},
		{"about an object", audit.Filter{Object: "booking:b", Limit: 100}, 10},
		{"of or about somebody", audit.Filter{Who: []string{"booking:b", "cli"}, Limit: 100}, 11},
		{"of or about nobody that is known", audit.Filter{Who: []string{"person:7"}, Limit: 100}, 0},
		{"since", audit.Filter{From: time.Now().Add(-time.Minute), Limit: 100}, 11},
		{"later", audit.Filter{From: time.Now().Add(time.Minute), Limit: 100}, 0},
		{"until", audit.Filter{Until: time.Now().Add(-time.Minute), Limit: 100}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := trail.List(t.Context(), "t1", tt.filter)
			if err != nil || len(found) != tt.want {
				t.Fatalf("%d entries, %v; want %d", len(found), err, tt.want)
			}
			for i, e := range found {
				if e.Tenant != "t1" || i > 0 && e.Seq <= found[i-1].Seq || strings.ContainsAny(e.Reason, "\r\n") {
					t.Errorf("entry %+v", e)
				}
			}
			if tt.name == "newest" && found[0].Seq != 21 {
				t.Errorf("the newest is %d", found[0].Seq)
			}
		})
	}
}

func appendOnly(t *testing.T, h Harness) {
	recordSome(t, 2, openTrail(t, h.Store, filepath.Join(t.TempDir(), "audit.head")))
	for _, statement := range []string{`UPDATE audit SET actor = 'x' WHERE seq = 1`, `DELETE FROM audit WHERE seq = 1`} {
		err := h.Exec(statement, false)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func tampering(t *testing.T, open func(t *testing.T) Harness) {
	for _, tt := range []struct {
		statement, kind string
		seq             uint64
	}{
		{`UPDATE audit SET actor = 'person:x' WHERE seq = 7`, audit.FoundChanged, 7},
		{`UPDATE audit SET reason = 'x' WHERE seq = 7`, audit.FoundChanged, 7},
		{`DELETE FROM audit WHERE seq = 7`, audit.FoundMissing, 7},
		{`DELETE FROM audit WHERE seq > 17`, audit.FoundCut, 18},
		{`DELETE FROM audit`, audit.FoundCut, 1},
		{`UPDATE audit SET seq = 100 + seq WHERE seq = 20`, audit.FoundMissing, 20},
		{`UPDATE audit SET seq = -7 WHERE seq = 7`, audit.FoundMissing, 7},
	} {
		t.Run(tt.statement, func(t *testing.T) {
			h := open(t)
			trail := openTrail(t, h.Store, filepath.Join(t.TempDir(), "audit.head"))
			recordSome(t, 10, trail)
			if err := trail.Close(); err != nil {
				t.Fatal(err)
			}
			if err := h.Exec(tt.statement, true); err != nil {
				t.Fatal(err)
			}
			r, err := trail.Verify(t.Context(), 0)
			if err != nil || len(r.Findings) == 0 || r.Findings[0].Kind != tt.kind || r.Findings[0].Seq != tt.seq {
				t.Errorf("found %+v, %v; want %s at %d", r.Findings, err, tt.kind, tt.seq)
			}
		})
	}
}
