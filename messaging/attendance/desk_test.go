package attendance

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

var ten = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) set(minutes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at(minutes)
}

// at is minutes past ten.
func at(minutes int) time.Time { return ten.Add(time.Duration(minutes) * time.Minute) }

type office struct {
	*Desk
	t      testing.TB
	ctx    context.Context
	clock  *handClock
	topics *messaging.Topics
}

// keys are those of the people of all tests, save where people are erased.
var keys = memory.NewPersonKeys()

func newOffice(t testing.TB, log messaging.Log) *office { return newOfficeWith(t, log, keys) }

func newOfficeWith(t testing.TB, log messaging.Log, keys messaging.PersonKeys) *office {
	t.Helper()
	topics, err := messaging.NewTopics(log, messaging.Keyring{
		Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"k": bytes.Repeat([]byte{2}, 32)}, Current: "k",
	}, messaging.TopicsOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	clock := &handClock{now: at(30)}
	o := &office{Desk: NewDesk(topics, keys, clock), t: t, ctx: ctx, clock: clock, topics: topics}
	t.Cleanup(func() { o.Release(); cancel() })
	return o
}

func newLog(t testing.TB) messaging.Log {
	log := memory.New()
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func draft() Draft {
	return Draft{Title: "Pendulum", Group: "physics-1", Members: []Member{{"ada", "Ada"}, {"soren", "Søren Ó Briain"}, {"eve", ""}}}
}

func (o *office) open(d Draft) Register {
	o.t.Helper()
	r, err := o.Open(o.ctx, "t", "grace", d)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func (o *office) seen(person lodge.PersonID, source Source, from, to time.Time) {
	o.t.Helper()
	if err := o.Seen(o.ctx, "t", person, "Name of "+string(person), source, from, to); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) get(id string) Register {
	o.t.Helper()
	r, err := o.Get(o.ctx, "t", id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func (o *office) mark(id string, person lodge.PersonID) Mark {
	o.t.Helper()
	m, ok := o.get(id).Mark(person)
	if !ok {
		o.t.Fatalf("%s is not in the register", person)
	}
	return m
}

func TestARegisterFromOpeningToClosing(t *testing.T) {
	log := newLog(t)
	o := newOffice(t, log)
	d := draft()
	d.Sightings = []Sighting{
		{Person: "ada", Source: FromExperiment, From: at(-20), To: at(15)}, // also before the hour
		{Person: "ada", Source: FromExperiment, From: at(20), To: at(25)},
		{Person: "stranger", Source: FromExperiment, From: at(0), To: at(5)},
		{Person: "soren", Source: FromExperiment, From: at(-60), To: at(-10)}, // an earlier hour
		{Person: "soren", Source: FromMessages, From: at(3), To: at(4)},
	}
	r := o.open(d)
	if !r.Open || !r.Start.Equal(at(0)) || !r.End.Equal(at(60)) || !r.OpenedAt.Equal(at(30)) || r.By != "grace" || len(r.Marks) != 3 {
		t.Fatalf("%+v", r)
	}
	if m := o.mark(r.ID, "ada"); !reflect.DeepEqual(m, Mark{Person: "ada", Name: "Ada", State: Present, Source: FromExperiment, FirstSeen: at(0), LastSeen: at(25), Seen: 20 * time.Minute}) {
		t.Errorf("ada: %+v", m)
	}
	if m := o.mark(r.ID, "soren"); m.State != Expected || m.Source != FromMessages || m.Seen != 0 || !m.LastSeen.Equal(at(4)) {
		t.Errorf("soren: %+v", m)
	}
	if m := o.mark(r.ID, "eve"); !reflect.DeepEqual(m, Mark{Person: "eve", State: Expected}) {
		t.Errorf("eve: %+v", m)
	}
	for range 2 { // a tap, and a second one
		if _, err := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	if m := o.mark(r.ID, "ada"); !m.Confirmed || m.Source != FromExperiment {
		t.Errorf("ada: %+v", m)
	}
	if v, err := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "eve"}); err != nil || v.Marks[0].Person != "eve" || v.Marks[0].State != Present || v.Marks[0].Source != FromMember {
		t.Errorf("eve: %+v %v", v, err)
	}
	closed, err := o.Close(o.ctx, "t", r.ID, "grace")
	if err != nil || closed.Open || !closed.ClosedAt.Equal(at(30)) {
		t.Fatalf("%+v %v", closed, err)
	}
	if m := o.mark(r.ID, "soren"); m.State != Absent || m.Source != FromClosing {
		t.Errorf("soren: %+v", m)
	}

	// Nothing changes any more.
	o.clock.set(40)
	o.seen("soren", FromExperiment, at(35), at(40))
	if _, err := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "soren"}); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Errorf("confirmed after closing: %v", err)
	}
	if _, err := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "ada"}); err != nil {
		t.Errorf("a repeated confirmation: %v", err)
	}
	again, err := o.Close(o.ctx, "t", r.ID, "linus")
	if err != nil || !reflect.DeepEqual(again, closed) {
		t.Errorf("closed again: %+v %v", again, err)
	}
	// And it is all there for another node, or after a restart.
	if other := newOffice(t, log).get(r.ID); !reflect.DeepEqual(other, closed) {
		t.Errorf("elsewhere: %+v", other)
	}
}

func TestSeenMakesPresentAndIsCoalesced(t *testing.T) {
	o := newOffice(t, newLog(t))
	r := o.open(draft())
	other := o.open(Draft{Title: "Other", Group: "g", Members: []Member{{"ada", "Ada"}}})
	later := o.open(Draft{Title: "Later", Group: "g", Start: at(120), Members: []Member{{"ada", "Ada"}}})
	before := o.topics.Stats().Appended
	start := at(10)
	for s := range 300 { // five minutes, told every second, twice
		for range 2 {
			o.seen("ada", FromExperiment, start, start.Add(time.Duration(s)*time.Second))
		}
	}
	if n := o.topics.Stats().Appended - before; n > 2*5 {
		t.Errorf("%d entries for five minutes in two registers", n)
	}
	m := o.mark(r.ID, "ada")
	if m.State != Present || !m.FirstSeen.Equal(start) || m.Seen < 4*time.Minute {
		t.Errorf("%+v", m)
	}
	if o.mark(other.ID, "ada").State != Present || o.mark(later.ID, "ada").State != Expected {
		t.Error("every open register of the hour, and no other, counts")
	}
	// What waited goes with the closing.
	closed, err := o.Close(o.ctx, "t", r.ID, "grace")
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := closed.Mark("ada"); m.Seen != 299*time.Second {
		t.Errorf("%+v", m)
	}
	// Names come with people; strangers are no members.
	o.seen("eve", FromMessages, at(31), at(32))
	o.seen("stranger", FromExperiment, at(31), at(32))
	open := o.open(draft())
	o.seen("eve", FromMessages, at(31), at(32))
	if m := o.mark(open.ID, "eve"); m.Name != "Name of eve" || m.State != Expected || m.Source != FromMessages {
		t.Errorf("%+v", m)
	}
	if err := o.Seen(o.ctx, "t", "eve", "", "telepathy", at(31), at(32)); lodge.CodeOf(err) != lodge.CodeInvalid {
		t.Errorf("%v", err)
	}
}

func TestOpeningRefusesAndRepeats(t *testing.T) {
	o := newOffice(t, newLog(t))
	for name, change := range map[string]func(*Draft){
		"no title":   func(d *Draft) { d.Title = "  " },
		"long title": func(d *Draft) { d.Title = strings.Repeat("x", 201) },
		"no group":   func(d *Draft) { d.Group = "" },
		"no members": func(d *Draft) { d.Members = []Member{{}} },
		"inverted":   func(d *Draft) { d.Start, d.End = at(60), at(0) },
		"empty":      func(d *Draft) { d.Start, d.End = at(0), at(0) },
		"endless":    func(d *Draft) { d.Start, d.End = at(0), at(25*60) },
		"long id":    func(d *Draft) { d.ID = strings.Repeat("x", 129) },
		"crowd": func(d *Draft) {
			for i := range 5001 {
				d.Members = append(d.Members, Member{Person: lodge.PersonID(fmt.Sprint(i))})
			}
		},
	} {
		d := draft()
		change(&d)
		if _, err := o.Open(o.ctx, "t", "grace", d); lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := draft()
	d.ID = "mine"
	first := o.open(d)
	o.clock.set(45)
	if again := o.open(d); !reflect.DeepEqual(again, first) {
		t.Errorf("%+v", again)
	}
	if _, err := o.Open(o.ctx, "t", "linus", d); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Errorf("another's: %v", err)
	}
	d.Title = "Other"
	if _, err := o.Open(o.ctx, "t", "grace", d); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Errorf("another: %v", err)
	}
	d.ID = ""
	second := o.open(d)
	list, err := o.List(o.ctx, "t")
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].ID != "mine" {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := o.List(o.ctx, "other"); err != nil || len(list) != 0 {
		t.Errorf("another tenant's: %+v %v", list, err)
	}
}

func TestALargeGroupFits(t *testing.T) {
	o := newOffice(t, newLog(t))
	d := Draft{Title: "All", Group: "g"}
	for i := range 2000 {
		p := lodge.PersonID(fmt.Sprintf("person-%026d", i))
		d.Members = append(d.Members, Member{p, strings.Repeat("n", 60)})
		for m := range 10 {
			d.Sightings = append(d.Sightings, Sighting{Person: p, Source: FromExperiment, From: at(2 * m), To: at(2*m + 1)})
		}
	}
	for _, m := range o.open(d).Marks {
		if m.State != Present || m.Seen != 10*time.Minute {
			t.Fatalf("%+v", m)
		}
	}
}

func TestStrangersFindNothing(t *testing.T) {
	o := newOffice(t, newLog(t))
	r := o.open(draft())
	later := o.open(Draft{Title: "Later", Group: "g", Start: at(120), Members: []Member{{"ada", "Ada"}}})
	_, e1 := o.Get(o.ctx, "t", "none")
	_, e2 := o.Get(o.ctx, "other", r.ID)
	_, e3 := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "stranger"})
	_, e4 := o.Confirm(o.ctx, "t", "none", Coming{Person: "ada"})
	_, e5 := o.Close(o.ctx, "t", "none", "grace")
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if lodge.CodeOf(err) != lodge.CodeNotFound || err.Error() != e1.Error() {
			t.Errorf("%d: %v", i+1, err)
		}
	}
	if _, err := o.Confirm(o.ctx, "t", later.ID, Coming{Person: "ada"}); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("before the start: %v", err)
	}
}

// Confirming races closing on two nodes: the log decides, and both agree.
func TestClosingRacesConfirming(t *testing.T) {
	log := newLog(t)
	a, b := newOffice(t, log), newOffice(t, log)
	d := Draft{Title: "Race", Group: "g"}
	for i := range 20 {
		d.Members = append(d.Members, Member{Person: lodge.PersonID(fmt.Sprint(i))})
	}
	r := a.open(d)
	confirmed := make([]error, len(d.Members))
	var all sync.WaitGroup
	for i, m := range d.Members {
		all.Go(func() {
			desk := a
			if i%2 == 0 {
				desk = b
			}
			_, confirmed[i] = desk.Confirm(desk.ctx, "t", r.ID, Coming{Person: m.Person})
		})
	}
	all.Go(func() {
		if _, err := b.Close(b.ctx, "t", r.ID, "grace"); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	final := a.get(r.ID)
	if !reflect.DeepEqual(final, b.get(r.ID)) {
		t.Error("the nodes do not agree")
	}
	for i, m := range d.Members {
		mark, _ := final.Mark(m.Person)
		switch {
		case confirmed[i] == nil && mark.State != Present:
			t.Errorf("%s was told yes and is %s", m.Person, mark.State)
		case confirmed[i] != nil && (lodge.CodeOf(confirmed[i]) != lodge.CodeConflict || mark.State != Absent):
			t.Errorf("%s was told %v and is %s", m.Person, confirmed[i], mark.State)
		}
	}
}

// Folding is deterministic: the same entries give the same state, also from a
// snapshot anywhere between them, and a repeated sighting changes nothing.
func TestFoldIsDeterministic(t *testing.T) {
	people := []lodge.PersonID{"ada", "soren", "stranger"}
	genEntry := rapid.Custom(func(t *rapid.T) entry {
		e := entry{
			Kind:     rapid.SampledFrom([]string{kindOpened, kindSeen, kindSeen, kindSeen, kindConfirmed, kindClosed, "later"}).Draw(t, "kind"),
			Register: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "register"),
			At:       at(rapid.IntRange(0, 60).Draw(t, "at")), By: "grace",
		}
		switch e.Kind {
		case kindOpened:
			e.Title, e.Group, e.Start, e.End = "T", "g", at(0), at(60)
			e.Members = map[lodge.PersonID]string{"ada": "Ada", "soren": ""}
		case kindSeen:
			e.Seen = []seen{{
				Person: rapid.SampledFrom(people).Draw(t, "person"), Name: "N",
				Spans: map[Source]spans{rapid.SampledFrom([]Source{FromExperiment, FromMessages}).Draw(t, "source"): {genSpan.Draw(t, "span")}},
			}}
		case kindConfirmed:
			e.Person = rapid.SampledFrom(people).Draw(t, "person")
		}
		return e
	})
	codec := messaging.JSON[state]("x")
	rapid.Check(t, func(t *rapid.T) {
		entries := append([]entry{{Kind: kindOpened, Register: "r1", Members: map[lodge.PersonID]string{"ada": ""}, End: at(60)}},
			rapid.SliceOfN(genEntry, 0, 30).Draw(t, "entries")...)
		cut := rapid.IntRange(0, len(entries)).Draw(t, "snapshot")
		var straight, restored, doubled state
		for i, e := range entries {
			msg, err := e.message()
			if err != nil {
				t.Fatal(err)
			}
			item := messaging.Item{Body: msg.Body}
			if i == cut {
				b, err := codec.Marshal(&restored)
				if err != nil {
					t.Fatal(err)
				}
				restored = state{}
				if err := codec.Unmarshal(b, &restored); err != nil {
					t.Fatal(err)
				}
			}
			fold(&straight, item)
			fold(&restored, item)
			fold(&doubled, item)
			fold(&doubled, item)
		}
		for _, other := range []*state{&restored, &doubled} {
			if !reflect.DeepEqual(views(&straight), views(other)) {
				t.Fatalf("%+v\n%+v", views(&straight), views(other))
			}
		}
		for id, r := range views(&straight) {
			for _, m := range r.Marks {
				if !r.Open && m.State == Expected || r.Open && m.State == Absent {
					t.Fatalf("%s: %+v", id, m)
				}
			}
		}
	})
	var s state
	fold(&s, messaging.Item{Body: []byte("not JSON")})
}

func views(s *state) map[string]Register {
	all := make(map[string]Register)
	for id, r := range s.Registers {
		all[id] = r.view()
	}
	return all
}

func TestCSVHoldsNoFormulas(t *testing.T) {
	r := Register{Title: "=1+1", Group: "g", Marks: []Mark{
		{Person: "p1", Name: "@SUM(A1)", State: Present, Source: FromExperiment, Confirmed: true, FirstSeen: at(1), LastSeen: at(2), Seen: 60500 * time.Millisecond},
		{Person: "-p2", Name: "Ó Briain, \"Søren\"\r\n", State: Absent, Source: FromClosing},
		{Person: "+p3", Name: "\t=x", State: Expected},
		{Person: "p4", Name: "\r=x", State: Expected},
	}}
	var b bytes.Buffer
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"register", "group", "person", "name", "state", "source", "confirmed", "first_seen", "last_seen", "seconds"},
		{"'=1+1", "g", "p1", "'@SUM(A1)", "present", "experiment", "true", "2026-03-02T10:01:00Z", "2026-03-02T10:02:00Z", "60"},
		{"'=1+1", "g", "'-p2", "Ó Briain, \"Søren\"\n", "absent", "closed", "false", "", "", "0"},
		{"'=1+1", "g", "'+p3", "'\t'=x", "expected", "", "false", "", "", "0"},
		{"'=1+1", "g", "p4", "''=x", "expected", "", "false", "", "", "0"},
	}
	for i := range want {
		for j := range want[i] {
			if i >= len(rows) || strings.ReplaceAll(rows[i][j], "\r", "") != want[i][j] {
				t.Errorf("row %d: %q, want %q", i, rows[i], want[i])
				break
			}
		}
	}
	if err := r.CSV(failingWriter{}); err == nil {
		t.Error("a failed write was not reported")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }
