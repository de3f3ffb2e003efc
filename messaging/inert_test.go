package messaging

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However a table is cut into cells, none begins as a formula does; nothing is left
// out; and what was put on comes off again.
func TestInertFieldsBeginNoFormula(t *testing.T) {
	formula := regexp.MustCompile(`(^|[,;|\t\r\n])"*[=+\-@＝＋－＠]`)
	parts := rapid.SampledFrom([]string{"=", "+", "-", "@", "＝", "＠", ";", ",", "|", "\t", "\r", "\n", `"`, " ", "cmd", "1", "é"})
	rapid.Check(t, func(rt *rapid.T) {
		field := strings.Join(rapid.SliceOfN(parts, 0, 12).Draw(rt, "field"), "")
		got := Inert(field)
		if found := formula.FindString(got); found != "" || got != "" && strings.ContainsAny(got[:1], "\t\r\n") {
			rt.Fatalf("%q became %q, where %q begins a formula", field, got, found)
		}
		if strings.ReplaceAll(got, "'", "") != field || Bare(got) != field {
			rt.Fatalf("%q became %q and came back as %q", field, got, Bare(got))
		}
		if again := Inert(got); again != got {
			rt.Fatalf("%q became %q, then %q", field, got, again)
		}
	})
	for field, want := range map[string]string{
		"x;=cmd|' /C calc'!A0": "x;'=cmd|' /C calc'!A0", "3 - 2 = 1": "3 - 2 = 1", "a, -1; b": "a, -1; b", "Søren-Ó": "Søren-Ó", `;"=1;`: `;"'=1;`,
	} {
		if got := Inert(field); got != want {
			t.Errorf("%q became %q, want %q", field, got, want)
		}
	}
}
