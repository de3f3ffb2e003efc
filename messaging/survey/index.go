package survey

import (
	"encoding/json"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// The kinds of entries that the list of surveys has beside opened and closed.
const (
	kindDropped   = "dropped"
	kindDrafted   = "drafted"
	kindUndrafted = "undrafted"
	kindTold      = "told"
	kindEnding    = "ending" // it is being closed: whoever finds that goes on with it
)

// listed is a survey as the list has it.
type listed struct {
	Draft
	// The names are those of before there were drafts: they are in snapshots.
	By         lodge.PersonID `json:"By"`
	OpenedAt   time.Time      `json:"OpenedAt"`
	ClosedAt   time.Time      `json:"ClosedAt,omitzero"`
	ReleasedAt time.Time      `json:"ReleasedAt,omitzero"`
	Answered   int            `json:"Answered"` // once it is closed
	Tells      bool           `json:"Tells,omitempty"`
	Told       string         `json:"Told,omitempty"` // the last change that the audience was told of
	Ending     bool           `json:"Ending,omitempty"`
}

func (l *listed) open() bool { return l.ClosedAt.IsZero() }

func (l *listed) survey() Survey {
	one := Survey{Draft: l.Draft, By: l.By, OpenedAt: l.OpenedAt, ClosedAt: l.ClosedAt, ReleasedAt: l.ReleasedAt, Answered: l.Answered}
	one.Mode, one.Questions = l.mode(), clone(l.Questions)
	return one
}

// change is what its audience is to have been told of.
func (l *listed) change() string {
	if l.open() {
		return Opened
	}
	return Closed
}

// index is what the entries of a tenant's list of surveys fold into. That a
// survey is closed is noted in its own topic first: the index may lag behind. That it
// is going to be is noted here before, so that what was cut off half way is due.
type index struct {
	Surveys map[string]*listed `json:"surveys"`
	Drafts  map[string]*Saved  `json:"drafts,omitempty"`
}

func foldIndex(x *index, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return
	}
	s := x.Surveys[e.Survey]
	switch {
	case e.Kind == kindOpened && s == nil && e.Survey != "":
		if x.Surveys == nil {
			x.Surveys = map[string]*listed{}
		}
		x.Surveys[e.Survey] = &listed{Draft: e.draft(), By: e.By, OpenedAt: e.At, Tells: e.Tells}
		delete(x.Drafts, e.Survey) // it is no draft any more
	case e.Kind == kindEnding && s != nil && s.open():
		s.Ending = true
	case e.Kind == kindClosed && s != nil && s.open():
		s.ClosedAt, s.Answered, s.Ending = e.At, e.Answered, false
	case e.Kind == kindReleased && s != nil && s.ReleasedAt.IsZero():
		s.ReleasedAt = e.At
	case e.Kind == kindTold && s != nil:
		s.Told = e.Told
	case e.Kind == kindDropped:
		delete(x.Surveys, e.Survey)
	case e.Kind == kindDrafted && s == nil && e.Draft != nil && e.Survey != "":
		if x.Drafts == nil {
			x.Drafts = map[string]*Saved{}
		}
		x.Drafts[e.Survey] = e.Draft
	case e.Kind == kindUndrafted:
		delete(x.Drafts, e.Survey)
	}
}
