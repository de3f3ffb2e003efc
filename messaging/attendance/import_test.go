package attendance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
)

func TestTablesAreReadAndEntered(t *testing.T) {
	o := newOffice(t, newLog(t))
	r := o.open(draft())
	table := "\ufeffName;Status;Grund;other\r\nada;verspätet;bus;x\r\n  søren   ó briain ;;\r\nMallory;absent\r\nZed;P;'=1+1\r\nada;absent\r\nEve;maybe\r\n;present\r\n"
	rows, unread, err := ReadTable([]byte(table))
	if err != nil || len(rows) != 5 || len(unread) != 2 || unread[0].Line != 7 || rows[3].Reason != "=1+1" {
		t.Fatalf("%+v %+v %v", rows, unread, err)
	}
	group := []Member{{"zed", "Zed"}, {"ada", "Ada"}}
	got := r.Read(rows, group, false)
	if len(got.Marks) != 2 || got.Marks[0].Person != "ada" || got.Marks[0].To != Late || len(got.Added) != 1 || !got.Added[0].Known || got.Same != 1 || len(got.Unread) != 2 {
		t.Fatalf("%+v", got)
	}
	got = r.Read(rows, group, true)
	if len(got.Added) != 2 || len(got.Unread) != 1 {
		t.Fatalf("with names: %+v", got)
	}
	for range 2 {
		if r, _, err = o.Apply(o.ctx, "t", r.ID, "grace", got); err != nil || len(r.Marks) != 5 {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if m := o.mark(r.ID, "ada"); m.State != Late || len(m.Changes) != 1 || m.Changes[0].Reason != "bus" || m.Changes[0].By != "grace" {
		t.Errorf("%+v", m)
	}
	// What is written is read as what is there.
	var out bytes.Buffer
	if err := r.CSV(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "'=1+1") {
		t.Errorf("a formula: %s", out.String())
	}
	rows, unread, err = ReadTable(out.Bytes())
	if err != nil || len(unread) != 0 || len(rows) != 5 {
		t.Fatalf("%+v %+v %v", rows, unread, err)
	}
	if again := r.Read(rows, nil, false); len(again.Marks)+len(again.Added)+len(again.Unread) != 0 || again.Same != 5 {
		t.Errorf("%+v", again)
	}
	if r, err = o.Close(o.ctx, "t", r.ID, "grace"); err != nil {
		t.Fatal(err)
	}
	if closed := r.Read([]Row{{Name: "Nobody"}}, nil, true); len(closed.Added) != 0 || len(closed.Unread) != 1 {
		t.Errorf("%+v", closed)
	}
	for name, bad := range map[string]string{"empty": "", "no heading": "Ada,present\n", "not UTF-8": "name\n\xff\n"} {
		if _, _, err := ReadTable([]byte(bad)); lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ReadTable(bytes.Repeat([]byte("x"), MaxTable+1)); lodge.CodeOf(err) != lodge.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
}

func TestCorrections(t *testing.T) {
	o := newOffice(t, newLog(t))
	r := o.open(draft())
	if _, err := o.Close(o.ctx, "t", r.ID, "grace"); err != nil {
		t.Fatal(err)
	}
	correct := func(person lodge.PersonID, state State, reason string) error {
		_, _, err := o.Correct(o.ctx, "t", r.ID, "grace", []Correction{{person, state, reason}})
		return err
	}
	for _, bad := range []error{correct("ada", "maybe", "x"), correct("ada", Present, " "), correct("ada", Present, strings.Repeat("x", maxReason+1))} {
		if lodge.CodeOf(bad) != lodge.CodeRefused {
			t.Error(bad)
		}
	}
	if err := correct("stranger", Present, "x"); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Error(err)
	}
	for i := range maxChanges + 5 {
		o.clock.set(100 + i)
		if err := correct("ada", []State{Present, Excused}[i%2], fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if m := o.mark(r.ID, "ada"); m.State != Present || m.Source != FromHand || len(m.Changes) != maxChanges || m.Changes[maxChanges-1].Reason != fmt.Sprint(maxChanges+4) {
		t.Errorf("%s by %s, %d changes", m.State, m.Source, len(m.Changes))
	}
	if err := correct("ada", "", "a mistake"); err != nil || o.mark(r.ID, "ada").State != Absent {
		t.Errorf("left to the rules: %v %+v", err, o.mark(r.ID, "ada"))
	}
	all, err := o.List(o.ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	if sums := Summarise(all); len(sums) != 3 || sums[1].Person != "ada" || sums[1].Absent != 1 || sums[1].Attended() != 0 {
		t.Errorf("%+v", sums)
	}
	for _, c := range []struct {
		s    Summary
		want int
	}{{Summary{}, 100}, {Summary{Excused: 3}, 100}, {Summary{Present: 1, Late: 1, Absent: 1}, 67}, {Summary{Present: 1, Absent: 7}, 13}} {
		if got := c.s.Attended(); got != c.want {
			t.Errorf("%+v: %d", c.s, got)
		}
	}
}

// Whatever a table holds, it is read or told why not, and what is written of it again
// holds no formula.
func FuzzReadTable(f *testing.F) {
	for _, seed := range []string{"name,state\nAda,present\n", "person;mark\n\"a", "name\tstate\nAda\tlate", "name\n=1+1\n", "\ufeffname\n\n\n", "name,name\na,b,c\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, unread, err := ReadTable(data)
		if err != nil && (lodge.CodeOf(err) == lodge.CodeInternal || len(rows)+len(unread) > 0) {
			t.Fatal(err)
		}
		r := Register{Group: "g", Open: true}
		in := r.Read(rows, []Member{{"ada", "Ada"}}, true)
		for _, a := range in.Added {
			r.Marks = append(r.Marks, Mark{Person: a.Person, Name: a.Name, State: Expected})
		}
		var out bytes.Buffer
		if err := r.CSV(&out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			for field := range strings.SplitSeq(line, ",") {
				if field = strings.Trim(field, "\""); field != "" && strings.ContainsAny(field[:1], "=@") && strings.HasPrefix(line, "g,") {
					t.Fatalf("a formula: %q", line)
				}
			}
		}
	})
}
