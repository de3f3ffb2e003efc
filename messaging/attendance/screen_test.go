package attendance

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

// at15 is seconds past ten and half an hour, where a step of codes begins.
func (o *office) seconds(s int) {
	o.clock.mu.Lock()
	defer o.clock.mu.Unlock()
	o.clock.now = at(30).Add(time.Duration(s) * time.Second)
}

func TestCodesOfAScreen(t *testing.T) {
	o := newOffice(t, newLog(t))
	d := draft()
	d.Room = true
	r, elsewhere := o.open(d), o.open(d)
	shown, err := o.Show(o.ctx, "t", r.ID)
	if err != nil || len(shown.Code) != codeLength || !shown.Until.Equal(at(30).Add(CodeStep)) {
		t.Fatalf("%+v %v", shown, err)
	}
	ada := Coming{Person: "ada"}
	if _, err := o.Confirm(o.ctx, "t", r.ID, ada); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("a tap: %v", err)
	}
	for _, c := range []struct {
		second   int
		register string
		code     string
		good     bool
	}{
		{0, elsewhere.ID, shown.Code, false}, {0, r.ID, "", false}, {0, r.ID, "22222222", false}, {21, r.ID, shown.Code, false}, {-1, r.ID, shown.Code, false},
		{20, r.ID, " " + strings.ToLower(shown.Code[:2]) + "-" + shown.Code[2:], true},
	} {
		o.seconds(c.second)
		if _, err := o.Type(o.ctx, "t", c.register, ada, c.code); (err == nil) != c.good || err != nil && lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if m := o.mark(r.ID, "ada"); m.State != Present || m.Source != FromCode {
		t.Errorf("%+v", m)
	}

	// A link, for who signs in first: the pass says when they were there.
	o.seconds(0)
	if _, err := o.Admit(o.ctx, "t", elsewhere.ID, shown.Token); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("the token of another register: %v", err)
	}
	pass, err := o.Admit(o.ctx, "t", r.ID, shown.Token)
	if err != nil {
		t.Fatal(err)
	}
	o.seconds(60)
	if _, err := o.Admit(o.ctx, "t", r.ID, shown.Token); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("an old token: %v", err)
	}
	soren := Coming{Person: "soren"}
	for _, bad := range []string{"", "x", pass[:len(pass)-4] + "AAAA", strings.Repeat("A", len(pass))} {
		if _, err := o.Present(o.ctx, "t", r.ID, soren, bad); lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := o.Present(o.ctx, "t", elsewhere.ID, soren, pass); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("the pass of another register: %v", err)
	}
	if _, err := o.Present(o.ctx, "t", r.ID, soren, pass); err != nil {
		t.Fatal(err)
	}
	if m := o.mark(r.ID, "soren"); m.Source != FromCode || !m.FirstSeen.Equal(at(30)) {
		t.Errorf("%+v", m)
	}
	o.seconds(601)
	if _, err := o.Present(o.ctx, "t", r.ID, Coming{Person: "eve"}, pass); lodge.CodeOf(err) != lodge.CodeRefused {
		t.Errorf("an old pass: %v", err)
	}

	// Who came into the group since is let in; a stranger finds nothing.
	now, err := o.Show(o.ctx, "t", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Type(o.ctx, "t", r.ID, Coming{Person: "new", Name: "New"}, now.Code); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("a stranger: %v", err)
	}
	if got, err := o.Type(o.ctx, "t", r.ID, Coming{Person: "new", Name: "New", Joins: true}, now.Code); err != nil || len(got.Marks) != 4 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := o.Close(o.ctx, "t", r.ID, "grace"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Show(o.ctx, "t", r.ID); lodge.CodeOf(err) != lodge.CodeConflict {
		t.Errorf("closed: %v", err)
	}
}

// However often and by whatever node somebody is marked, it is one mark, of the
// first time.
func TestOneMarkAPersonUnderRetries(t *testing.T) {
	log := newLog(t)
	nodes := []*office{newOffice(t, log), newOffice(t, log), newOffice(t, log)}
	o := nodes[0]
	r := o.open(Draft{Title: "T", Group: "g", Members: []Member{{"eve", "Eve"}}})
	shown, err := o.Show(o.ctx, "t", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	before := o.topics.Stats().Appended + nodes[1].topics.Stats().Appended + nodes[2].topics.Stats().Appended
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			node := nodes[i%len(nodes)]
			var err error
			if i%2 == 0 {
				_, err = node.Type(node.ctx, "t", r.ID, Coming{Person: "ada", Name: "Ada", Joins: true}, shown.Code)
			} else {
				_, err = node.Confirm(node.ctx, "t", r.ID, Coming{Person: "ada", Name: "Ada", Joins: true})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	after := o.topics.Stats().Appended + nodes[1].topics.Stats().Appended + nodes[2].topics.Stats().Appended
	if got := o.get(r.ID); after-before != 1 || len(got.Marks) != 2 || got.Marks[0].State != Present {
		t.Errorf("%d entries, %+v", after-before, got.Marks)
	}
}
