package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

var base = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memory is a Store that can be tampered with.
type memory struct {
	mu      sync.Mutex
	entries []Entry // guarded by mu
}

func (m *memory) Append(_ context.Context, seal func(Head) []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, seal(m.head())...)
	return nil
}

func (m *memory) head() Head {
	if len(m.entries) == 0 {
		return Head{}
	}
	last := m.entries[len(m.entries)-1]
	return Head{last.Seq, last.MAC}
}

func (m *memory) Head(context.Context) (Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head(), nil
}

func (m *memory) Read(_ context.Context, after uint64, limit int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Entry
	for _, e := range m.entries {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) List(context.Context, lodge.Tenant, Filter) ([]Entry, error) { return nil, nil }

// tamper changes the stored entries.
func (m *memory) tamper(fn func([]Entry) []Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = fn(m.entries)
}

type fixture struct {
	store *memory
	clock *clock
	file  string
	log   bytes.Buffer
}

func newFixture(dir string) *fixture {
	return &fixture{store: &memory{}, clock: &clock{now: base}, file: filepath.Join(dir, "audit.head")}
}

var key = bytes.Repeat([]byte{7}, 32)

func (f *fixture) open(t testing.TB) *Trail {
	t.Helper()
	trail, err := Open(context.Background(), f.store, key, f.file, Rule{}, f.clock, slog.New(slog.NewTextHandler(&f.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

// last is the newest n entries.
func (f *fixture) last(n int) []Entry {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	return slices.Clone(f.store.entries[max(0, len(f.store.entries)-n):])
}

func record(t testing.TB, trail *Trail, n int) {
	t.Helper()
	for i := range n {
		err := trail.Record(context.Background(), Event{Tenant: "t1", Actor: fmt.Sprintf("person:%d", i), Action: Grant, Object: "booking:b", Reason: "r", Address: "192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t testing.TB, trail *Trail, after uint64) Report {
	t.Helper()
	r, err := trail.Verify(context.Background(), after)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSec41_TamperingIsFoundAndNamed(t *testing.T) {
	swap := func(e []Entry) []Entry {
		e[3], e[4] = e[4], e[3]
		e[3].Seq, e[4].Seq = 4, 5
		return e
	}
	tests := []struct {
		name   string
		tamper func([]Entry) []Entry
		kind   string
		seq    uint64
	}{
		{"none", func(e []Entry) []Entry { return e }, "", 0},
		{"actor", func(e []Entry) []Entry { e[4].Actor = "person:x"; return e }, FoundChanged, 5},
		{"time", func(e []Entry) []Entry { e[4].Time = e[4].Time.Add(time.Microsecond); return e }, FoundChanged, 5},
		{"tenant", func(e []Entry) []Entry { e[4].Tenant = "t2"; return e }, FoundChanged, 5},
		{"field moved over a border", func(e []Entry) []Entry { e[4].Object, e[4].Reason = "booking:", "br"; return e }, FoundChanged, 5},
		{"MAC", func(e []Entry) []Entry { e[4].MAC[31] ^= 1; return e }, FoundChanged, 5},
		{"deleted", func(e []Entry) []Entry { return slices.Delete(e, 4, 5) }, FoundMissing, 5},
		{"first deleted", func(e []Entry) []Entry { return e[2:] }, FoundMissing, 1},
		{"deleted and renumbered", func(e []Entry) []Entry {
			e = slices.Delete(e, 4, 5)
			for i := range e {
				e[i].Seq = uint64(i + 1)
			}
			return e
		}, FoundChanged, 5},
		{"swapped", swap, FoundChanged, 4},
		{"tail cut", func(e []Entry) []Entry { return e[:7] }, FoundCut, 8},
		{"emptied", func([]Entry) []Entry { return nil }, FoundCut, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t.TempDir())
			trail := f.open(t)
			record(t, trail, 10)
			if err := trail.Close(); err != nil {
				t.Fatal(err)
			}
			f.store.tamper(tt.tamper)
			r := verify(t, trail, 0)
			if tt.kind == "" {
				if !r.Intact() || r.Entries != 10 {
					t.Fatalf("an untouched trail: %+v", r)
				}
				return
			}
			if r.Intact() || r.Findings[0].Kind != tt.kind || r.Findings[0].Seq != tt.seq {
				t.Errorf("found %+v, want %s at %d", r.Findings, tt.kind, tt.seq)
			}
		})
	}
}

// Whatever is done to the entries by somebody without the key, Verify finds it.
func TestSec41_AnyTamperingIsFound(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			rt.Fatal(err)
		}
		f := newFixture(sub)
		trail, err := Open(context.Background(), f.store, key, f.file, Rule{}, f.clock, slog.New(slog.DiscardHandler))
		if err != nil {
			rt.Fatal(err)
		}
		n := rapid.IntRange(1, 20).Draw(rt, "entries")
		for range n {
			e := Event{Tenant: "t1", Actor: rapid.String().Draw(rt, "actor"), Action: Book, Object: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "object"), Reason: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "reason")}
			if err := trail.Record(context.Background(), e); err != nil {
				rt.Fatal(err)
			}
		}
		if err := trail.Close(); err != nil {
			rt.Fatal(err)
		}
		before := slices.Clone(f.store.entries)
		f.store.tamper(func(e []Entry) []Entry {
			i := rapid.IntRange(0, n-1).Draw(rt, "at")
			switch rapid.SampledFrom([]string{"flip", "field", "move", "delete", "reorder", "truncate", "duplicate"}).Draw(rt, "how") {
			case "flip":
				e[i].MAC[rapid.IntRange(0, 31).Draw(rt, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			case "field":
				fields := []*string{&e[i].Actor, &e[i].Object, &e[i].Reason, &e[i].Address}
				*fields[rapid.IntRange(0, 3).Draw(rt, "field")] = rapid.String().Draw(rt, "value")
			case "move":
				e[i].Object, e[i].Reason = e[i].Object+e[i].Reason, ""
			case "delete":
				e = slices.Delete(e, i, i+1)
			case "reorder":
				j := rapid.IntRange(0, n-1).Draw(rt, "with")
				e[i], e[j] = e[j], e[i]
				e[i].Seq, e[j].Seq = uint64(i+1), uint64(j+1)
			case "truncate":
				e = e[:i]
			case "duplicate":
				e = append(e, e[i])
				e[n].Seq = uint64(n + 1)
			}
			return e
		})
		same := slices.Equal(before, f.store.entries)
		r, err := trail.Verify(context.Background(), 0)
		if err != nil {
			rt.Fatal(err)
		}
		if r.Intact() != same {
			rt.Fatalf("unchanged is %v, yet found %+v", same, r.Findings)
		}
	})
}

func TestSec41_ACutThatWasWrittenOnIsFoundAtTheNextStart(t *testing.T) {
	f := newFixture(t.TempDir())
	trail := f.open(t)
	record(t, trail, 10)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	f.store.tamper(func(e []Entry) []Entry { return e[:6] })
	trail = f.open(t)
	record(t, trail, 10)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	r := verify(t, f.open(t), 0)
	if len(r.Findings) != 1 || r.Findings[0].Kind != FoundBroken || r.Findings[0].Seq != 7 {
		t.Errorf("found %+v, want that entry 7 tells of the cut", r.Findings)
	}
	if !strings.Contains(f.log.String(), "tampered with") {
		t.Errorf("nothing was logged: %s", f.log.String())
	}
	if _, err := os.Stat(f.file + ".broken-7"); err != nil {
		t.Errorf("the head file that shows it is gone: %v", err)
	}
	if r := verify(t, trail, 7); !r.Intact() || r.Entries != 10 {
		t.Errorf("behind the break: %+v", r)
	}
}

func TestSec41_ACutIsFoundWhileRunning(t *testing.T) {
	f := newFixture(t.TempDir())
	trail := f.open(t)
	record(t, trail, 10)
	if err := trail.writeHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.store.tamper(func(e []Entry) []Entry { return e[:6] })
	record(t, trail, 10) // as many again, and beyond the old head
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, trail, 0); len(r.Findings) != 1 || r.Findings[0].Kind != FoundBroken || r.Findings[0].Seq != 17 {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestSec41_HeadFileIsChecked(t *testing.T) {
	other := newFixture(t.TempDir())
	empty := other.open(t)
	if err := empty.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tamper := range map[string]func(file string) error{
		"removed": os.Remove,
		"garbage": func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		"claims that there was nothing": func(file string) error {
			return os.WriteFile(file, []byte(`{"seq":0,"mac":"`+strings.Repeat("00", 32)+`"}`), 0o600)
		},
		"another MAC": func(file string) error {
			return os.WriteFile(file, []byte(`{"seq":5,"mac":"`+strings.Repeat("00", 32)+`"}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t.TempDir())
			trail := f.open(t)
			record(t, trail, 5)
			if err := trail.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tamper(f.file); err != nil {
				t.Fatal(err)
			}
			if verify(t, trail, 0).Intact() {
				t.Error("not found")
			}
			// A start takes nothing of it over.
			if r := verify(t, f.open(t), 0); r.Intact() || r.Findings[0].Kind != FoundBroken {
				t.Errorf("after a start: %+v", r.Findings)
			}
		})
	}
}

func TestHeadFileFollowsWithinASecond(t *testing.T) {
	f := newFixture(t.TempDir())
	trail := f.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := trail.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer func() { cancel(); wg.Wait() }()
	for want := uint64(3); want <= 6; want += 3 {
		record(t, trail, 3)
		deadline := time.NewTimer(20 * time.Second)
		tick := time.NewTicker(10 * time.Millisecond)
		for {
			head, err := trail.anchor.read()
			if err != nil {
				t.Fatal(err)
			}
			if head.Seq == want {
				break
			}
			select {
			case <-tick.C:
			case <-deadline.C:
				t.Fatalf("the head file holds %d, want %d", head.Seq, want)
			}
		}
		tick.Stop()
		deadline.Stop()
	}
}

func TestRecordOutlivesItsRequest(t *testing.T) {
	f := newFixture(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.open(t).Record(ctx, Event{Action: Book}); err != nil || len(f.store.entries) != 1 {
		t.Errorf("%v, %d entries", err, len(f.store.entries))
	}
}

func TestSec41_Clean(t *testing.T) {
	for in, want := range map[string]string{
		"Søren Ó Briain":         "Søren Ó Briain",
		"a\r\nadmin signed in":   `a\u{d}\u{a}admin signed in`,
		"\x1b[31mred":            `\u{1b}[31mred`,
		`a\u{a}`:                 `a\\u{a}`,
		"right\u202eleft":        `right\u{202e}left`,
		"bad\xffbyte":            `bad\xffbyte`,
		"line\u2028sep\u0085":    `line\u{2028}sep\u{85}`,
		strings.Repeat("x", 300): strings.Repeat("x", maxField) + "…",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSec41_CleanIsOnePrintableLine(f *testing.F) {
	f.Add("a\r\nb", "a\\r\\nb")
	f.Fuzz(func(t *testing.T, a, b string) {
		cleaned := Clean(a)
		for _, r := range cleaned {
			if r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("Clean(%q) holds %U", a, r)
			}
		}
		if a != b && cleaned == Clean(b) && len([]rune(a)) <= maxField && len([]rune(b)) <= maxField {
			t.Fatalf("%q and %q are cleaned to the same", a, b)
		}
	})
}
