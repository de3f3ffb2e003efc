package attendance

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// What is known of members is in no entry and no state but sealed under their
// keys, and gone with them.
func TestSec45_AnErasedPersonsMarksAreGone(t *testing.T) {
	log, keys := newLog(t), memory.NewPersonKeys()
	o := newOfficeWith(t, log, keys)
	d := draft()
	d.Members = []Member{{"ada", "Surname-of-ada"}, {"eve", "Surname-of-eve"}}
	d.Sightings = []Sighting{{Person: "ada", Name: "Surname-of-ada", Source: FromExperiment, From: at(1), To: at(3)}}
	r := o.open(d)
	o.seen("eve", FromExperiment, at(10), at(20))
	if _, err := o.Confirm(o.ctx, "t", r.ID, Coming{Person: "ada"}); err != nil {
		t.Fatal(err)
	}
	if m := o.mark(r.ID, "ada"); !m.Confirmed || m.Source != FromExperiment || m.Name != "Surname-of-ada" {
		t.Fatalf("%+v", m)
	}
	page, err := o.topics.Read(o.ctx, "t", topicRegisters, messaging.Pos{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	kept := ""
	for _, it := range page.Items {
		kept += string(it.Body)
	}
	if err := o.book("t").View(o.ctx, func(s *state) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		kept += string(b)
	}); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"Surname", "spans", "confirmed", string(FromExperiment)} {
		if strings.Contains(kept, word) {
			t.Errorf("%s is in the clear: %s", word, kept)
		}
	}

	if err := keys.Erase(o.ctx, "t", "ada"); err != nil {
		t.Fatal(err)
	}
	for _, node := range []*office{o, newOfficeWith(t, log, keys)} { // one that starts from the log
		got := node.get(r.ID)
		if _, there := got.Mark("ada"); there || len(got.Marks) != 1 || got.Marks[0].Name != "Surname-of-eve" {
			t.Errorf("the register has %+v", got.Marks)
		}
		if found, err := node.MarkedOf(node.ctx, "t", []lodge.PersonID{"ada", "eve"}); err != nil || len(found) != 1 || found[0].Person != "eve" {
			t.Errorf("marks %+v, %v", found, err)
		}
		if _, err := node.Confirm(node.ctx, "t", r.ID, Coming{Person: "ada"}); !errors.Is(err, messaging.ErrErased) || lodge.CodeOf(err) != lodge.CodeForbidden {
			t.Errorf("confirming again: %v", err)
		}
		node.seen("ada", FromExperiment, at(30), at(40))
	}
	d.ID = ""
	if again := o.open(d); len(again.Marks) != 1 {
		t.Errorf("a new register has %+v", again.Marks)
	}
}

// What was written before marks were sealed counts together with what is sealed
// since.
func TestPlainMarksOfBeforeStillCount(t *testing.T) {
	o := newOffice(t, newLog(t))
	for _, e := range []entry{
		{Kind: kindOpened, Register: "old", At: at(0), By: "grace", Title: "T", Group: "g", Start: at(0), End: at(60), Members: map[lodge.PersonID]string{"ada": "Ada", "eve": ""}},
		{Kind: kindSeen, Register: "old", Seen: []seen{{Person: "eve", Name: "Eve", Spans: map[Source]spans{FromExperiment: {{at(1).UnixMicro(), at(5).UnixMicro()}}}}}},
		{Kind: kindConfirmed, Register: "old", At: at(7), Person: "ada"},
	} {
		msg, err := e.message()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.topics.Append(o.ctx, "t", topicRegisters, msg); err != nil {
			t.Fatal(err)
		}
	}
	o.seen("eve", FromExperiment, at(20), at(26))
	if m := o.mark("old", "eve"); m.Name != "Eve" || m.Seen != at(10).Sub(at(0)) || !m.FirstSeen.Equal(at(1)) {
		t.Errorf("%+v", m)
	}
	if m := o.mark("old", "ada"); m.Name != "Ada" || !m.Confirmed || !m.FirstSeen.Equal(at(7)) {
		t.Errorf("%+v", m)
	}
	if r, err := o.Confirm(o.ctx, "t", "old", Coming{Person: "ada"}); err != nil || len(r.Marks) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}
