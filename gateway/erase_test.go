package gateway_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging"
)

// Of an erased person nothing is left that tells who it was: not in answers and
// registers, bookings, persons, sessions, topics of their own, nor the audit trail.
func TestSec45_AnErasedPersonIsGone(t *testing.T) {
	w := newTwo(t)
	his, hers := w.soren.book("pend00-everyone"), w.ada.book("pend02-everyone")
	w.answer(w.soren, 2)
	w.answer(w.ada, 4)
	call[gateway.RegisterView](w.soren, 200, "POST", w.register+"/marks", nil)
	call[map[string]string](w.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "user:" + w.from, Text: "for Søren"})
	w.merge(w.from, w.into) // who erases the one erases the other
	at := "/api/v1/admin/persons/" + w.into + "/erase"
	preview := call[gateway.ErasePreview](w.root, 200, "GET", at, nil)
	if preview.Bookings != 2 || preview.Cancelled != 2 || preview.Answers != 2 || preview.Marks != 2 || preview.Identities != 2 ||
		len(preview.Merged) != 1 || preview.Merged[0] != w.from || preview.Sessions == 0 {
		t.Errorf("preview %+v", preview)
	}
	w.grace.refused(403, "GET", at, nil)
	w.grace.refused(403, "POST", at, gateway.EraseRequest{Version: preview.Version})
	w.root.refused(409, "POST", at, gateway.EraseRequest{Version: "stale"})
	w.root.refused(404, "GET", "/api/v1/admin/persons/nobody/erase", nil)
	w.root.refused(404, "POST", "/api/v1/admin/persons/nobody/erase", gateway.EraseRequest{})

	if got := call[gateway.Erased](w.root, 200, "POST", at, gateway.EraseRequest{Version: preview.Version}); got.Person != w.into {
		t.Errorf("erased %+v", got)
	}
	w.ada.refused(401, "GET", "/api/v1/me", nil)
	tally := call[gateway.TallyView](w.grace, 200, "GET", w.survey+"/results", nil)
	if [5]int(tally.Counts["q"]) != [5]int{} {
		t.Errorf("the tally is %v", tally.Counts["q"])
	}
	if register := call[gateway.RegisterView](w.grace, 200, "GET", w.register, nil); len(register.Marks) != 0 {
		t.Errorf("marks %+v", register.Marks)
	}
	for _, id := range []string{his.ID, hers.ID} {
		b, err := w.desk.Get(t.Context(), lodge.DefaultTenant, id)
		if err != nil || b.OwnerName != "" || b.Surname != "" || b.CancelledAt.IsZero() || b.Experiment == "" {
			t.Errorf("booking %+v, %v", b, err)
		}
	}
	people, err := w.persons.Get(t.Context(), lodge.DefaultTenant, lodge.PersonID(w.from), lodge.PersonID(w.into))
	if err != nil || len(people) != 2 {
		t.Fatalf("%+v, %v", people, err)
	}
	for _, p := range people {
		if p.Name != "" || p.FamilyName != "" || p.Email != "" || len(p.Subjects) != 0 || !p.Disabled {
			t.Errorf("left of a person: %+v", p)
		}
	}
	w.recorded(audit.Erase, "person:"+w.root.me().Person, "person:"+w.into)
	for _, e := range w.entries(audit.Erase) {
		if strings.Contains(e.Reason, "Lovelace") || strings.Contains(e.Reason, "Søren") {
			t.Errorf("the trail says %+v", e)
		}
	}
	again := call[gateway.ErasePreview](w.root, 200, "GET", at, nil) // it may be repeated
	call[gateway.Erased](w.root, 200, "POST", at, gateway.EraseRequest{Version: again.Version})
	if anew := w.signedIn("ada"); anew.me().Person == w.into || len(anew.bookingIDs()) != 0 {
		t.Error("whoever signs in with the account is the erased person")
	}
}

// A copy of the database made before an erasure, put beside the keys of after it,
// opens none of the person's answers: what was in the log is ciphertext.
func TestSec45_TheDatabaseNeverHasAnAnswerInTheClear(t *testing.T) {
	l := newLab(t)
	grace, ada := l.signedIn("grace"), l.signedIn("ada")
	survey := "/api/v1/surveys/" + call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
		To: "group:physics-1", Title: "Today", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "What?"}},
	}).ID
	const said = "the-words-of-ada-herself"
	call[gateway.SurveyView](ada, 200, "POST", survey+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: said}}})
	for _, name := range []string{"lodge.db", "lodge.db-wal"} {
		body, err := os.ReadFile(filepath.Join(l.dir, name))
		l.must(err)
		if bytes.Contains(body, []byte(said)) {
			t.Errorf("%s has it", name)
		}
	}
}

func TestSec45_PeopleEraseAndExportThemselves(t *testing.T) {
	w := newTwo(t)
	booked := w.ada.book("pend02-everyone")
	w.answer(w.ada, 4)
	call[gateway.RegisterView](w.ada, 200, "POST", w.register+"/marks", nil)
	call[map[string]string](w.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "user:" + w.into, Text: "for Ada"})

	all := call[gateway.Export](w.ada, 200, "GET", "/api/v1/me/export", nil)
	w.recorded(audit.Export, "person:"+w.into, "person:"+w.into)
	if all.Person.ID != w.into || len(all.Identities) != 1 || len(all.Sessions) == 0 || len(all.Bookings) != 1 || all.Bookings[0].ID != booked.ID ||
		len(all.Answers) != 1 || all.Answers[0].Answers["q"].Number != 4 || len(all.Marks) != 1 || !all.Marks[0].Confirmed {
		t.Errorf("export %+v", all)
	}
	found := ""
	for _, m := range all.Received {
		if strings.Contains(string(m.Event), "for Ada") {
			found += m.Topic + " " + m.Receipt
		}
		if strings.Contains(string(m.Event), "lodgesender") {
			t.Errorf("it shows whom receipts go to: %s", m.Event)
		}
	}
	if found != "user:"+w.into+" sent" {
		t.Errorf("the message is in %q", found)
	}
	if sent := call[gateway.Export](w.grace, 200, "GET", "/api/v1/me/export", nil).Sent; len(sent) != 1 || !strings.Contains(string(sent[0].Event), "for Ada") {
		t.Errorf("the sender's export has %+v", sent)
	}
	w.clock.pass(11 * time.Minute)
	w.ada.refused(403, "GET", "/api/v1/me/erase", nil) // the sign-in is not fresh
	w.ada.refused(403, "POST", "/api/v1/me/erase", gateway.EraseRequest{})
	fresh := w.signedIn("ada")
	preview := call[gateway.ErasePreview](fresh, 200, "GET", "/api/v1/me/erase", nil)
	fresh.refused(409, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: "other"})
	call[gateway.Erased](fresh, 200, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: preview.Version})
	for _, b := range []*browser{fresh, w.ada} {
		b.refused(401, "GET", "/api/v1/me", nil)
	}
}

// What an erased person scheduled is taken back, with what it said.
func TestSec45_WhatAnErasedPersonScheduledIsNotSent(t *testing.T) {
	w := newTwo(t)
	soon := w.clock.Now().Add(5 * time.Minute)
	theirs := w.grace.schedules("all", "of the erased", soon)
	w.root.schedules("all", "of another", soon.Add(time.Minute))
	person := w.grace.me().Person
	at := "/api/v1/admin/persons/" + person + "/erase"
	for range 2 { // it may be repeated
		preview := call[gateway.ErasePreview](w.root, 200, "GET", at, nil)
		call[gateway.Erased](w.root, 200, "POST", at, gateway.EraseRequest{Version: preview.Version})
	}
	w.clock.pass(10 * time.Minute)
	wstest.Eventually(t, "the other one", func() bool { return len(w.ada.texts("?topic=all")) > 0 })
	if got := w.ada.texts("?topic=all"); !slices.Equal(got, []string{"of another"}) {
		t.Errorf("%q", got)
	}
	for _, e := range w.entries(audit.Deny) {
		if strings.Contains(e.Reason, theirs.ID) {
			t.Errorf("it was tried: %+v", e)
		}
	}
}

// So is what a node has taken up and not sent: whether or not that node lives.
func TestSec45_WhatIsBeingSentForAnErasedPersonIsForgotten(t *testing.T) {
	w := newTwo(t)
	soon := w.clock.Now().Add(5 * time.Minute)
	theirs := w.grace.schedules("all", "of the erased", soon)
	body, err := json.Marshal(map[string]any{"kind": "claim", "id": theirs.ID, "time": w.clock.Now(), "claim": "of a node that died"})
	w.must(err)
	_, err = w.topics.Append(t.Context(), lodge.DefaultTenant, "schedule", messaging.Message{Body: body})
	w.must(err)
	if got := w.grace.scheduled(); !slices.Equal(got, []string{"of the erased sending"}) {
		t.Fatalf("%q", got)
	}
	at := "/api/v1/admin/persons/" + w.grace.me().Person + "/erase"
	preview := call[gateway.ErasePreview](w.root, 200, "GET", at, nil)
	call[gateway.Erased](w.root, 200, "POST", at, gateway.EraseRequest{Version: preview.Version})
	w.root.schedules("all", "of another", soon)
	w.clock.pass(10 * time.Minute)
	wstest.Eventually(t, "the other one", func() bool { return len(w.ada.texts("?topic=all")) > 0 })
	if got := w.ada.texts("?topic=all"); !slices.Equal(got, []string{"of another"}) {
		t.Errorf("%q", got)
	}
	for _, e := range w.entries(audit.Deny) {
		if strings.Contains(e.Reason, theirs.ID) {
			t.Errorf("it was taken up again: %+v", e)
		}
	}
}

func TestALaboratoryMayKeepErasingToItself(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.RefuseSelfErasure = true })
	ada := l.signedIn("ada")
	if p := ada.refused(403, "GET", "/api/v1/me/erase", nil); !strings.Contains(p.Detail, "administrator") {
		t.Errorf("%+v", p)
	}
	ada.refused(403, "POST", "/api/v1/me/erase", gateway.EraseRequest{})
}
