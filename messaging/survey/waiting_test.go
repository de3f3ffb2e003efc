package survey

import (
	"context"
	"errors"
	"testing"

	"github.com/lodge-gateway/lodge"
)

// What waits for a person is what is put to them, open, and neither answered nor
// voted in, by whichever id of theirs.
func TestWaitingCountsWhatAPersonHasNotAnswered(t *testing.T) {
	d, _ := newDesk(t)
	named := open(t, d, lesson())
	ballot := lesson()
	ballot.Mode = Unlinkable
	unlinkable := open(t, d, ballot)
	other := lesson()
	other.To = "group:physics-2"
	open(t, d, other)
	asks := func(one Survey) (bool, error) { return one.To == "group:physics-1", nil }
	want := func(what string, person lodge.PersonID, n int) {
		t.Helper()
		if got, err := d.Waiting(t.Context(), tenant, person, asks); err != nil || got != n {
			t.Fatalf("%s: %d surveys wait for %s (%v), want %d", what, got, person, err, n)
		}
	}
	want("at first", "p-ada", 2)
	answer(t, d, named.ID, "p-ada", map[string]Answer{"how": {Options: []int{0}}})
	want("after an answer", "p-ada", 1)
	want("after another's answer", "p-soren", 2)
	newVoter(t, unlinkable).take(t, d, unlinkable, "p-ada")
	want("after taking the ballot", "p-ada", 0)

	d.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) {
		return lodge.Merged{"p-ada": "p-countess"}, nil
	})
	want("of whoever she counts as", "p-countess", 0)

	if _, err := d.Close(t.Context(), tenant, named.ID, grace); err != nil {
		t.Fatal(err)
	}
	want("after closing", "p-soren", 1)
	broken := errors.New("no answer")
	if _, err := d.Waiting(t.Context(), tenant, "p-soren", func(Survey) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Fatalf("whom it is put to could not be told, and yet: %v", err)
	}
}
