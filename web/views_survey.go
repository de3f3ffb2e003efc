package web

import (
	"html/template"
	"time"
)

// SurveyPage is /surveys/{id}. Results is set once they are released.
type SurveyPage struct {
	Layout
	Survey  Survey
	Results *Tally
}

// Survey is a survey to be answered.
type Survey struct {
	ID        string
	To        string // in words
	Title     string
	Intro     string
	Mode      string // identified, pseudonymous, unlinkable
	Questions []Question
	Open      bool
	OpenedAt  time.Time
	Closes    time.Time // zero: by hand
	After     bool      // put to each person when an experiment of theirs ends
	Released  bool
	Mine      map[string]Answer // the reader's own answer, or what was typed
	Done      bool              // the reader has answered, or taken their ballot
	Answered  int               // for those who conduct it
	// KeyN and KeyE are what ballots are signed with, as a JWK has them; empty where
	// there are none.
	KeyN, KeyE string
}

// Question is one question.
type Question struct {
	ID              string
	Section         string
	Kind            string // single, multiple, scale, number, short, text
	Text            string
	Options         []string
	Max             int      // scale: 1…Max
	Labels          []string // scale: of each number, or of both ends
	Lowest, Highest *float64
	Required        bool
	Correct         string // in words, once it may be known
}

// Answer answers one question: option indexes from 0, a number, or text.
type Answer struct {
	Options []int
	Number  int
	Value   *float64
	Text    string
}

// Surveys is /teach/surveys.
type Surveys struct {
	Layout
	Audience  Audiences
	Templates []SurveyDraft
	Drafts    []SurveyDraft
	Open      []Survey
	Past      []Survey
	To        string // chosen
	Key       string // makes a repeated post one survey
}

// SurveyDraft is a survey that is not open yet.
type SurveyDraft struct {
	ID        string
	Title     string
	To        string // in words
	Mode      string
	Questions int
	Opens     time.Time // zero: by hand
	Changed   time.Time
	Own       bool
	Problem   string // why it did not open when it was to
}

// SurveyEdit is /teach/surveys/drafts/{id}. The keys of Problem.Fields are the
// names of the form's fields.
type SurveyEdit struct {
	Layout
	Audience Audiences
	Form     SurveyForm
	Small    int // fewer answers than that are never shown without names
}

// SurveyForm is a draft as it is typed. Opens and Closes are times as a
// datetime-local field has them, in the reader's zone.
type SurveyForm struct {
	ID            string
	Rev           int
	To, Title     string
	Intro, Mode   string
	After         bool
	Opens, Closes string
	Small         string
	Template      bool
	Own           bool
	Planned       time.Time // it opens by itself then; zero: it does not
	Why           string    // why it did not
	Questions     []QuestionForm
	Key           string
}

// QuestionForm is one question as typed; Options has one a line.
type QuestionForm struct {
	ID, Section, Text, Kind string
	Options                 string // of a scale: its labels
	Max, Low, High          string
	Correct                 string
	Required                bool
}

// SurveyResults is /teach/surveys/{id} and, for the wall, /teach/surveys/{id}/wall.
type SurveyResults struct {
	Layout
	Tally  Tally
	Answer string       // address where it is answered
	QR     template.URL // that address as a picture, on the wall while it is open
	// Address is where people sign in, short enough to be typed off a wall.
	Address  string
	Question string // the only one on the wall; empty: all
}

// Shows reports whether a question is on the wall.
func (r SurveyResults) Shows(id string) bool { return r.Question == "" || r.Question == id }

// Tally is a survey with its results so far.
type Tally struct {
	Survey
	Answered, Counted int
	Small             int
	Held              bool // too few answered to show what
	Results           []Result
	Public            bool // for those who were asked
}

// Result is what the answers to one question add up to.
type Result struct {
	Question
	Answered     int
	Held         bool
	Counts       []int
	Values       []float64
	Mean, Median float64
	Right        int
	Texts        []Words
}

// Words is what one person wrote.
type Words struct {
	ID, Text string
	Shown    bool
}

// The titles of the templates that every installation has: a list shows them in the
// reader's language; what is opened from one is in English until its author changes
// it.
var _ = [...]string{
	Text("How is the pace?"), Text("Which is it: A, B, C or D?"), Text("What did you measure?"), Text("Before you go"), Text("How was the experiment?"),
}
