package survey

import (
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

func TestSec45_OldSurveysAreDroppedWhole(t *testing.T) {
	d, log := newDesk(t)
	other := newNode(t, log)
	closed, left, young := open(t, d, lesson()), open(t, d, lesson()), open(t, d, lesson())
	for _, s := range []Survey{closed, left, young} {
		answer(t, d, s.ID, "ada", map[string]Answer{"how": {Options: []int{0}}})
	}
	closed, err := d.Close(t.Context(), tenant, closed.ID, grace)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		before time.Time
		gone   int
		want   string
	}{
		{left.OpenedAt, 0, closed.ID + left.ID + young.ID},
		{young.OpenedAt, 1, closed.ID + young.ID}, // never closed
		{closed.ClosedAt, 1, closed.ID},
		{closed.ClosedAt.Add(1), 1, ""},
		{closed.ClosedAt.Add(1), 0, ""},
	} {
		gone, err := d.Retain(t.Context(), tenant, c.before)
		all, listErr := other.List(t.Context(), tenant)
		if err != nil || listErr != nil || gone != c.gone {
			t.Fatalf("%d gone, %v %v, want %d", gone, err, listErr, c.gone)
		}
		for _, s := range []Survey{closed, left, young} {
			kept := strings.Contains(c.want, s.ID)
			_, err := other.Tally(t.Context(), tenant, s.ID)
			if there := err == nil; there != kept || !kept && lodge.CodeOf(err) != lodge.CodeNotFound {
				t.Errorf("before %s: %s is there: %t, %v", c.before, s.ID, there, err)
			}
		}
		if len(all)*len(young.ID) != len(c.want) {
			t.Errorf("listed %+v", all)
		}
	}
	topics, err := d.topics.Directory(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range topics {
		if strings.HasPrefix(one.Name, "survey:") {
			t.Errorf("%s is there", one.Name)
		}
	}
}
