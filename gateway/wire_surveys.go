package gateway

import (
	"time"

	"github.com/lodge-gateway/lodge/messaging/survey"
)

// SurveyRequest is the body of POST /api/v1/surveys: the survey opens at once.
type SurveyRequest struct {
	To        string         `json:"to"`
	Title     string         `json:"title"`
	Intro     string         `json:"intro,omitempty"`
	Mode      string         `json:"mode,omitempty"` // identified (absent: so), pseudonymous, unlinkable
	Questions []QuestionView `json:"questions"`
	After     bool           `json:"after,omitempty"` // put to each person when an experiment of theirs ends
	Closes    time.Time      `json:"closes,omitzero"` // absent: it is closed by hand
	Small     int            `json:"small,omitempty"` // absent: as the installation has it, which is the least
}

// DraftRequest is the body of POST /api/v1/surveys/drafts and PUT
// /api/v1/surveys/drafts/{id}: a survey that is not open yet and may be unfinished.
type DraftRequest struct {
	From      string         `json:"from,omitempty"` // POST: a survey, draft or template to begin with; what else is given replaces its
	To        string         `json:"to,omitempty"`
	Title     string         `json:"title,omitempty"`
	Intro     string         `json:"intro,omitempty"`
	Mode      string         `json:"mode,omitempty"`
	Questions []QuestionView `json:"questions,omitempty"`
	After     bool           `json:"after,omitempty"`
	Opens     time.Time      `json:"opens,omitzero"` // it opens by itself then
	Closes    time.Time      `json:"closes,omitzero"`
	Small     int            `json:"small,omitempty"`
	Template  bool           `json:"template,omitempty"` // everybody who may open surveys sees it
	Rev       int            `json:"rev,omitempty"`      // PUT: the version that is changed
}

// DraftView is a draft as its author, or a template as anybody who teaches, sees it.
type DraftView struct {
	ID        string         `json:"id"`
	To        string         `json:"to,omitempty"`
	Title     string         `json:"title"`
	Intro     string         `json:"intro,omitempty"`
	Mode      string         `json:"mode"`
	Questions []QuestionView `json:"questions"`
	After     bool           `json:"after,omitempty"`
	Opens     time.Time      `json:"opens,omitzero"`
	Closes    time.Time      `json:"closes,omitzero"`
	Small     int            `json:"small,omitempty"`
	Template  bool           `json:"template,omitempty"`
	Own       bool           `json:"own"` // the caller may change it
	Changed   time.Time      `json:"changed,omitzero"`
	Rev       int            `json:"rev"`
	Problem   string         `json:"problem,omitempty"` // why it did not open when it was to
}

// QuestionView is one question.
type QuestionView struct {
	ID       string   `json:"id"`
	Section  string   `json:"section,omitempty"` // heading of the section that begins with it
	Kind     string   `json:"kind"`              // single, multiple, scale, number, short, text
	Text     string   `json:"text"`
	Options  []string `json:"options,omitempty"` // single, multiple
	Max      int      `json:"max,omitempty"`     // scale: 1…max
	Labels   []string `json:"labels,omitempty"`  // scale: of each number, or of both ends
	Lowest   *float64 `json:"lowest,omitempty"`  // number
	Highest  *float64 `json:"highest,omitempty"` // number
	Required bool     `json:"required,omitempty"`
	// Correct is for those who conduct the survey, and for all once the results are
	// released.
	Correct   *Answer `json:"correct,omitempty"`
	Tolerance float64 `json:"tolerance,omitempty"` // number
}

// SurveyView is a survey as a student or its instructor sees it.
type SurveyView struct {
	ID        string            `json:"id"`
	To        string            `json:"to"`
	Title     string            `json:"title"`
	Intro     string            `json:"intro,omitempty"`
	Mode      string            `json:"mode"`
	Questions []QuestionView    `json:"questions"`
	Open      bool              `json:"open"`
	OpenedAt  time.Time         `json:"opened_at"`
	After     bool              `json:"after,omitempty"`
	Closes    time.Time         `json:"closes,omitzero"`
	Released  bool              `json:"released"`             // those asked may see the results
	Mine      map[string]Answer `json:"mine,omitempty"`       // the reader's own answer, by question
	BallotKey *BallotKey        `json:"ballot_key,omitempty"` // unlinkable, while it is open: what ballots are signed with
	HasBallot bool              `json:"has_ballot,omitempty"` // unlinkable: the reader took theirs
	Answered  int               `json:"answered"`             // how many people answered; to instructors only
}

// BallotKey is an RSA public key, as a JWK has it (RFC 7518 section 6.3.1).
type BallotKey struct {
	N string `json:"n"`
	E string `json:"e"`
}

// Answer is the answer to one question: option indexes from 0, a number of a
// scale, any number, or text.
type Answer struct {
	Options []int    `json:"options,omitempty"`
	Number  int      `json:"number,omitempty"`
	Value   *float64 `json:"value,omitempty"`
	Text    string   `json:"text,omitempty"`
}

// AnswerRequest is the body of POST /api/v1/surveys/{id}/answers; it replaces
// the person's earlier answer while the survey is open.
type AnswerRequest struct {
	Answers map[string]Answer `json:"answers"`
}

// BallotRequest is the body of POST /api/v1/surveys/{id}/ballot: what the browser
// blinded, in base64url without padding.
type BallotRequest struct {
	Blinded string `json:"blinded"`
}

// BallotView answers it: the signature on what was blinded.
type BallotView struct {
	Signature string `json:"signature"`
}

// CastRequest is the body of POST /api/v1/ballots: the message that was signed and
// its signature, unblinded, and the answers. It says nothing of who sends it.
type CastRequest struct {
	Survey    string            `json:"survey"`
	Serial    string            `json:"serial"`
	Signature string            `json:"signature"`
	Answers   map[string]Answer `json:"answers"`
}

// TallyView answers GET /api/v1/surveys/{id}/results, each map by question.
type TallyView struct {
	ID       string                 `json:"id"`
	Title    string                 `json:"title"`
	Open     bool                   `json:"open"`
	Mode     string                 `json:"mode"`
	Answered int                    `json:"answered"`
	Counted  int                    `json:"counted"`   // of these; the rest waits until it is enough to tell nobody apart
	Small    int                    `json:"small"`     // fewer answers than that are not shown
	Held     bool                   `json:"held"`      // too few answered to show what
	HeldBack []string               `json:"held_back"` // questions that too few answered
	Gave     map[string]int         `json:"gave"`      // how many answered the question
	Right    map[string]int         `json:"right"`     // how many of them correctly, where that is known
	Counts   map[string][]int       `json:"counts"`    // count by option or by number from 1
	Numbers  map[string]NumbersView `json:"numbers"`   // of scales and numbers
	Texts    map[string][]WordsView `json:"texts"`
}

// NumbersView is what numbers add up to. Values are those of a number, ascending.
type NumbersView struct {
	Mean   float64   `json:"mean"`
	Median float64   `json:"median"`
	Values []float64 `json:"values,omitempty"`
}

// WordsView is what one person wrote.
type WordsView struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Shown bool   `json:"shown"` // those asked may read it once the results are released
}

// WordsRequest is the body of PUT /api/v1/surveys/{id}/words.
type WordsRequest struct {
	Words string `json:"words"` // the id of what somebody wrote
	Shown bool   `json:"shown"`
}

// LinesView answers GET /api/v1/surveys/{id}/answers.
type LinesView struct {
	ID    string        `json:"id"`
	Title string        `json:"title"`
	Mode  string        `json:"mode"`
	Lines []survey.Line `json:"lines"`
}
