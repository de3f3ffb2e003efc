package survey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

func schemaOf(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("survey.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("survey.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t interface{ Fatal(...any) }, s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func number(v float64) *float64 { return &v }

// drawn is a draft that may be opened.
func drawn(rt *rapid.T) Draft {
	text := rapid.StringMatching(`[A-Za-zé=<"&][A-Za-z é?]{0,20}[a-z]`)
	d := Draft{To: "all", Title: text.Draw(rt, "title"), Intro: rapid.SampledFrom([]string{"", "Before you begin."}).Draw(rt, "intro"),
		Mode: rapid.SampledFrom([]Mode{Identified, Pseudonymous, Unlinkable}).Draw(rt, "mode"), After: rapid.Bool().Draw(rt, "after")}
	for i := range rapid.IntRange(1, 6).Draw(rt, "questions") {
		q := Question{ID: fmt.Sprint("q", i), Text: text.Draw(rt, "question"), Required: rapid.Bool().Draw(rt, "required"),
			Kind: rapid.SampledFrom([]Kind{Single, Multiple, Scale, Number, Short, Text}).Draw(rt, "kind")}
		switch q.Kind {
		case Single, Multiple:
			q.Options = []string{"a", "b", "c"}
			if rapid.Bool().Draw(rt, "correct") {
				q.Correct = &Answer{Options: []int{1}}
			}
		case Scale:
			q.Max = rapid.IntRange(2, 10).Draw(rt, "max")
			q.Labels = rapid.SampledFrom([][]string{nil, {"low", "high"}}).Draw(rt, "labels")
		case Number:
			q.Lowest, q.Highest = number(-1.5), number(rapid.Float64Range(0, 1e6).Draw(rt, "highest"))
			q.Correct, q.Tolerance = &Answer{Value: number(0)}, 0.25
		default:
			q.Section = "Words"
		}
		d.Questions = append(d.Questions, q)
	}
	return d
}

// What leaves Lodge is what the schema says, and comes back as it left.
func TestDocumentsComeBackAsTheyLeft(t *testing.T) {
	schema := schemaOf(t)
	rapid.Check(t, func(rt *rapid.T) {
		d := drawn(rt).tidy()
		data, err := json.Marshal(d.Document())
		if err != nil {
			rt.Fatal(err)
		}
		if err := valid(rt, schema, data); err != nil {
			rt.Fatalf("%s: %v", data, err)
		}
		back, err := ReadDocument(data)
		if err != nil {
			rt.Fatalf("%s: %v", data, err)
		}
		d.To = "" // it is chosen where it comes back
		if got, want := written(rt, back), written(rt, d); got != want || !reflect.DeepEqual(back.mode(), d.mode()) {
			rt.Fatalf("%s came back, %s left", got, want)
		}
	})
}

func english(text string) string { return text }

func TestTemplatesCanBeOpened(t *testing.T) {
	d, _ := newDesk(t)
	schema := schemaOf(t)
	for _, one := range Templates(english) {
		data := asJSON(t, one.Document())
		if err := valid(t, schema, []byte(data)); err != nil {
			t.Errorf("%s: %v", one.ID, err)
		}
		one.To, one.ID = "all", ""
		open(t, d, one.Draft)
	}
}

func TestFilesThatAreNoSurveysAreRefusedWithTheRemedy(t *testing.T) {
	for file, says := range map[string]string{
		``:   "cut short",
		`{`:  "cut short",
		`[]`: "wrong type",
		`{"lodge_survey":"v2","title":"T","questions":[]}`:                                "lodge_survey",
		`{"title":"T","questions":[{"kind":"text","text":"?"}]}`:                          "lodge_survey",
		`{"lodge_survey":"v1","title":"T","questions":[]}`:                                "1 to 50 questions",
		`{"lodge_survey":"v1","title":"T","answers":[]}`:                                  "a member that a survey has not",
		`{"lodge_survey":"v1","title":"T","questions":[{"kind":"text","text":"?"}]}{}`:    "goes on behind",
		`{"lodge_survey":"v1","title":"T","questions":[{"kind":"essay","text":"?"}]}`:     "Question 1",
		`{"lodge_survey":"v1","title":"T","mode":"secret","questions":[{"kind":"text"}]}`: "identified, pseudonymous or unlinkable",
	} {
		_, err := ReadDocument([]byte(file))
		if lodge.CodeOf(err) != lodge.CodeRefused || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", file, err, says)
		}
	}
	_, err := ReadDocument(bytes.Repeat([]byte(" "), maxForm+1))
	wantCode(t, "a large file", err, lodge.CodeTooLarge)
}

// Whatever is in a file: it is refused with a code, or it is a survey that fits the
// schema and can be opened.
func FuzzReadDocument(f *testing.F) {
	for _, one := range Templates(english) {
		data, err := json.Marshal(one.Document())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"lodge_survey":"v1","title":"T","questions":[{"kind":"number","text":"?","lowest":1e308,"correct":{"value":-0}}]}`))
	schema := schemaOf(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadDocument(data)
		if err != nil {
			if code := lodge.CodeOf(err); code != lodge.CodeRefused && code != lodge.CodeTooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		out, err := json.Marshal(d.Document())
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, schema, out); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if _, err := ReadDocument(out); err != nil {
			t.Fatalf("%s does not come back: %v", out, err)
		}
	})
}
