package survey

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
)

func TestCSVHasOneLineAPersonAndNoFormulas(t *testing.T) {
	d, _ := newDesk(t)
	draft := lesson()
	draft.Questions[0].Options = []string{"=1+1", "Bad"}
	draft.Questions[3].Text = "@why, \"really\"?"
	s := open(t, d, draft)
	for person, text := range map[string]string{"z": "-1", "y": "+1", "x": "@SUM(A1)", "w": "=cmd|' /C calc'!A0", "v": "plain, \"quoted\"\nlines"} {
		answerAs(t, d, s.ID, person, text)
	}
	var out strings.Builder
	if err := d.CSV(t.Context(), tenant, s.ID, &out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rows[0], "|"), `person|name|answered_at|How was it?|What did you use?|How hard?|'@why, "really"?`; got != want {
		t.Errorf("heading %s, want %s", got, want)
	}
	var texts []string
	for _, row := range rows[1:] {
		if row[3] != "'=1+1" || row[4] != "Drive; Plot" || row[5] != "" || !strings.HasSuffix(row[2], "Z") {
			t.Errorf("row %q", row)
		}
		texts = append(texts, row[1]+" "+row[6])
	}
	want := "'=HYPERLINK v plain, \"quoted\"\nlines|'=HYPERLINK w '=cmd|' /C calc'!A0|'=HYPERLINK x '@SUM(A1)|'=HYPERLINK y '+1|'=HYPERLINK z '-1"
	if got := strings.Join(texts, "|"); got != want {
		t.Errorf("texts %s, want %s", got, want)
	}
}

func answerAs(t *testing.T, d *Desk, id, person, text string) {
	t.Helper()
	_, err := d.Answer(t.Context(), tenant, id, lodge.PersonID(person), "=HYPERLINK "+person,
		map[string]Answer{"how": {Options: []int{0}}, "what": {Options: []int{0, 2}}, "why": {Text: text}})
	if err != nil {
		t.Fatal(err)
	}
}
