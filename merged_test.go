package lodge_test

import (
	"slices"
	"testing"

	"github.com/lodge-gateway/lodge"
)

func TestMerged(t *testing.T) {
	m := lodge.Merged{"b": "a", "c": "a", "e": "d"}
	for person, want := range map[lodge.PersonID][]lodge.PersonID{
		"a": {"a", "b", "c"}, "b": {"a", "b", "c"}, "c": {"a", "b", "c"}, "d": {"d", "e"}, "e": {"d", "e"}, "f": {"f"},
	} {
		if got := m.All(person); !slices.Equal(got, want) || m.Of(person) != want[0] {
			t.Errorf("%s: all %v as %s, want %v", person, got, m.Of(person), want)
		}
	}
	if got := (lodge.Merged)(nil).All("a"); !slices.Equal(got, []lodge.PersonID{"a"}) {
		t.Errorf("where nobody is merged: %v", got)
	}
}
