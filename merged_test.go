package lodge

import (
	"slices"
	"testing"
)

func TestMerged(t *testing.T) {
	m := Merged{"b": "a", "c": "a", "e": "d"}
	for person, want := range map[PersonID][]PersonID{
		"a": {"a", "b", "c"}, "b": {"a", "b", "c"}, "c": {"a", "b", "c"}, "d": {"d", "e"}, "e": {"d", "e"}, "f": {"f"},
	} {
		if got := m.All(person); !slices.Equal(got, want) || m.Of(person) != want[0] {
			t.Errorf("%s: all %v as %s, want %v", person, got, m.Of(person), want)
		}
	}
	if got := (Merged)(nil).All("a"); !slices.Equal(got, []PersonID{"a"}) {
		t.Errorf("where nobody is merged: %v", got)
	}
}
