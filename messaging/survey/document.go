package survey

import (
	"bytes"
	_ "embed" // the schema
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lodge-gateway/lodge"
)

// Schema is the JSON Schema of a Document.
//
//go:embed schema.json
var Schema []byte

// MaxDocument bounds a Document, in bytes.
const MaxDocument = maxForm

// documentVersion is what the first member of a Document says.
const documentVersion = "v1"

// A Document is a survey's questions as they leave Lodge and come back, to keep
// them, to give them to a colleague, or to write them with another program. Whom
// it was put to, when, and what was answered is not in it.
type Document struct {
	Version   string     `json:"lodge_survey"` // v1
	Title     string     `json:"title"`
	Intro     string     `json:"intro,omitempty"`
	Mode      Mode       `json:"mode,omitempty"`
	After     bool       `json:"after,omitempty"`
	Questions []Question `json:"questions"`
}

// Document returns a draft as it leaves Lodge.
func (d Draft) Document() Document {
	questions := clone(d.Questions)
	if questions == nil {
		questions = []Question{}
	}
	return Document{Version: documentVersion, Title: d.Title, Intro: d.Intro, Mode: d.mode(), After: d.After, Questions: questions}
}

// ReadDocument reads what Document wrote, or somebody else. What is wrong is
// CodeRefused with the place and the remedy.
func ReadDocument(data []byte) (Draft, error) {
	if len(data) > maxForm {
		return Draft{}, lodge.E(lodge.CodeTooLarge, "The file is too large for a survey: at most 128 KiB.")
	}
	var doc Document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return Draft{}, lodge.Wrap(lodge.CodeRefused, "The file is no survey that Lodge can read: "+fault(err)+" Its form is described at /api/survey.schema.json.", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Draft{}, refuse("The file goes on behind the survey; put one survey into it.")
	}
	if doc.Version != documentVersion {
		return Draft{}, refuse("The file does not say \"lodge_survey\": \"v1\", so it is no survey that this version of Lodge can read.")
	}
	d := Draft{Title: doc.Title, Intro: doc.Intro, Mode: doc.Mode, After: doc.After, Questions: doc.Questions}.tidy()
	// Everything but whom it is for has to be right.
	whole := d
	whole.ID, whole.To = "x", "all"
	if _, err := whole.entry("", whole.Closes); err != nil {
		return Draft{}, err
	}
	return d, nil
}

// fault says what is wrong with a JSON document without repeating it.
func fault(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is not JSON at byte %d.", e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("member %q has the wrong type.", e.Field)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it is cut short."
	}
	return "it has a member that a survey has not."
}
