package attendance

import (
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A series stays at its hour on the clock of its zone.
func TestSeriesFollowTheClock(t *testing.T) {
	for _, c := range []struct {
		name, zone, first string
		times             int
		want              string // in UTC, and on the clock
	}{
		{"winter to summer", "Europe/Berlin", "2026-03-23T10:00", 2, "2026-03-23T09:00Z 10:00, 2026-03-30T08:00Z 10:00"},
		{"summer to winter", "Europe/London", "2026-10-20T09:30", 2, "2026-10-20T08:30Z 09:30, 2026-10-27T09:30Z 09:30"},
		{"across the ocean", "America/New_York", "2026-10-26T16:00", 2, "2026-10-26T20:00Z 16:00, 2026-11-02T21:00Z 16:00"},
		{"half an hour of summer", "Australia/Lord_Howe", "2026-03-30T12:00", 2, "2026-03-30T01:00Z 12:00, 2026-04-06T01:30Z 12:00"},
		{"no such hour", "Europe/Berlin", "2026-03-22T02:30", 2, "2026-03-22T01:30Z 02:30, 2026-03-29T01:30Z 03:30"},
		{"an hour that comes twice", "Europe/Berlin", "2026-10-18T02:30", 2, "2026-10-18T00:30Z 02:30, 2026-10-25T01:30Z 02:30"},
		{"over the year", "UTC", "2026-12-28T08:00", 2, "2026-12-28T08:00Z 08:00, 2027-01-04T08:00Z 08:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		first, err := time.ParseInLocation("2006-01-02T15:04", c.first, zone)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, start := range (Series{Start: first, Times: c.times}).starts() {
			got = append(got, start.UTC().Format("2006-01-02T15:04Z")+" "+start.Format("15:04"))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, ", "), c.want)
		}
	}
}

func TestPlannedRegisters(t *testing.T) {
	log := newLog(t)
	o, other := newOffice(t, log), newOffice(t, log)
	series := Series{ID: "s", Title: "Lab", Group: "g", Start: at(60), Length: time.Hour, Times: 3, Rules: Rules{Late: 5 * time.Minute, Room: true}}
	for range 2 { // again is not twice
		if got, err := o.Plan(o.ctx, "t", "grace", series); err != nil || len(got) != 3 || !got[2].Start.Equal(at(60).AddDate(0, 0, 14)) {
			t.Fatalf("%+v %v", got, err)
		}
	}
	for name, bad := range map[string]Series{
		"none": {Title: "L", Group: "g", Start: at(60), Length: time.Hour}, "too many": {Title: "L", Group: "g", Start: at(60), Length: time.Hour, Times: 53},
		"over": {Title: "L", Group: "g", Start: at(-90), Length: time.Hour, Times: 1}, "untitled": {Group: "g", Start: at(60), Length: time.Hour, Times: 1},
		"late after the end": {Title: "L", Group: "g", Start: at(60), Length: time.Hour, Times: 1, Rules: Rules{Late: 2 * time.Hour}},
	} {
		if _, err := o.Plan(o.ctx, "t", "grace", bad); lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	ada := Coming{Person: "ada", Name: "Ada", Joins: true}
	if err := o.Apologise(o.ctx, "t", "s-1", Coming{Person: "eve", Name: "Eve"}, "I am ill."); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("of another group: %v", err)
	}
	if err := o.Apologise(o.ctx, "t", "s-1", ada, "I am ill."); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Plans(o.ctx, "t", "ada"); err != nil || got[0].Apologies["ada"].Words != "I am ill." {
		t.Errorf("%+v %v", got, err)
	}
	if due, err := o.Due(o.ctx, "t"); err != nil || len(due.Open) != 0 || !due.Next.Equal(at(60)) {
		t.Errorf("%+v %v", due, err)
	}
	o.clock.set(60)
	due, err := o.Due(o.ctx, "t")
	if err != nil || len(due.Open) != 1 || due.Open[0].ID != "s-1" {
		t.Fatalf("%+v %v", due, err)
	}
	d := due.Open[0].Draft()
	d.Members = []Member{{"ada", "Ada"}, {"soren", "Søren"}}
	other.clock.set(60)
	for _, node := range []*office{o, other} {
		if r, err := node.Open(o.ctx, "t", "grace", d); err != nil || !r.Room || r.Series != "s" || len(r.Marks) != 2 {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if m := o.mark("s-1", "ada"); m.Apology.Words != "I am ill." || m.Apology.State != Pending || m.Name != "Ada" {
		t.Errorf("%+v", m)
	}
	if _, err := o.Decide(o.ctx, "t", "s-1", "grace", "ada", true); err != nil {
		t.Fatal(err)
	}
	if err := o.Apologise(o.ctx, "t", "s-1", ada, "Better words."); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Errorf("after the decision: %v", err)
	}
	if due, err = o.Due(o.ctx, "t"); err != nil || len(due.Open) != 0 || len(due.Tell) != 1 || !due.Next.Equal(at(120)) {
		t.Fatalf("%+v %v", due, err)
	}
	if err := o.Told(o.ctx, "t", "s-1", Opened); err != nil {
		t.Fatal(err)
	}
	o.clock.set(120)
	if due, err = o.Due(o.ctx, "t"); err != nil || len(due.Close) != 1 || len(due.Tell) != 0 {
		t.Fatalf("%+v %v", due, err)
	}
	if _, err := o.Close(o.ctx, "t", "s-1", ""); err != nil {
		t.Fatal(err)
	}
	if a, s := o.mark("s-1", "ada").State, o.mark("s-1", "soren").State; a != Excused || s != Absent {
		t.Errorf("%s, %s", a, s)
	}
	if err := o.Unplan(o.ctx, "t", "s-2", true); err != nil {
		t.Fatal(err)
	}
	if left, err := other.Plans(o.ctx, "t", ""); err != nil || len(left) != 0 {
		t.Errorf("%+v %v", left, err)
	}
	if err := o.Unplan(o.ctx, "t", "s-1", false); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("an open one: %v", err)
	}
}
