package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// Apologies, for an hour to come too, what was entered by hand and why, and grades
// are somebody's own: they are in the person's export, and gone with the person.
func TestSec45_WordsAboutAPersonAreExportedAndErased(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	me := ada.me().Person
	type list = struct{ Registers []gateway.PlannedView }
	planned := call[list](grace, 201, "POST", registersPath+"/planned", gateway.SeriesRequest{
		Title: "Next week", Group: "physics-1", Start: l.clock.Now().Add(7 * 24 * time.Hour).Format(time.RFC3339), Minutes: 60,
	}).Registers[0]
	today := call[gateway.RegisterView](grace, 201, "POST", registersPath, gateway.RegisterRequest{Title: "Today", Group: "physics-1"})
	for register, words := range map[string]string{planned.ID: "I shall be at a funeral.", today.ID: "My train is late."} {
		if got := ada.do("POST", registersPath+"/"+register+"/apology", gateway.ApologyRequest{Words: words}); got.status != 204 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	call[gateway.RegisterView](grace, 200, "PUT", registersPath+"/"+today.ID+"/marks/"+me, gateway.MarkChange{State: "late", Reason: "Came at ten."})
	work := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", report(l))
	at := "/api/v1/handins/" + work.ID
	call[gateway.WorkView](grace, 200, "PUT", at+"/grades/"+me, gateway.GradeRequest{Points: 0, Words: "Nothing was handed in."})

	export := func() gateway.Export { return call[gateway.Export](ada, 200, "GET", "/api/v1/me/export", nil) }
	if got := export(); len(got.Work) != 0 {
		t.Errorf("a grade that is not released: %+v", got.Work)
	}
	call[gateway.HandInView](grace, 200, "POST", at+"/release", nil)
	got := export()
	if len(got.Work) != 1 || got.Work[0].Work.Grade == nil || got.Work[0].Work.Grade.Words != "Nothing was handed in." {
		t.Errorf("%+v", got.Work)
	}
	marks := map[string]gateway.ExportedMark{}
	for _, m := range got.Marks {
		marks[m.Register] = m
	}
	if m := marks[planned.ID]; len(marks) != 2 || m.State != "expected" || m.Apology == nil || m.Apology.Words != "I shall be at a funeral." {
		t.Errorf("%+v", got.Marks)
	}
	if m := marks[today.ID]; m.State != "late" || m.Source != "manual" || m.Apology == nil || m.Apology.Words != "My train is late." ||
		len(m.Changes) != 1 || m.Changes[0].Reason != "Came at ten." || m.Changes[0].State != "late" {
		t.Errorf("%+v", m)
	}

	preview := call[gateway.ErasePreview](ada, 200, "GET", "/api/v1/me/erase", nil)
	if preview.Marks != 2 || preview.Work != 1 {
		t.Errorf("%+v", preview)
	}
	call[gateway.Erased](ada, 200, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: preview.Version})
	for _, address := range []string{registersPath + "/" + today.ID, registersPath + "/" + today.ID + ".csv", at + "/work", at + ".csv"} {
		got := grace.do("GET", address, nil)
		for _, words := range []string{"Ada", "train", "Came at ten", "Nothing was"} {
			if got.status != 200 || strings.Contains(string(got.body), words) {
				t.Errorf("%s: %d %s", address, got.status, got.body)
			}
		}
	}
}

// What waits for the end of somebody's experiment finds whoever they have become by
// then, once for each survey and hand-in; and reaches nobody who was erased.
func TestSec45_WhatFollowsAnExperimentFindsTheMergedAndNotTheErased(t *testing.T) {
	w := newTwo(t)
	his := w.soren.book("pend00-everyone")
	w.soren.launch(his)
	linus := w.signedIn("linus")
	lost := linus.book("pend02-everyone")
	linus.launch(lost)
	reached := w.lookUp(lost)
	survey := call[gateway.SurveyView](w.grace, 201, "POST", surveysPath, gateway.SurveyRequest{
		To: "user:" + w.from, After: true, Title: "Afterwards", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}},
	})
	work := call[gateway.HandInView](w.grace, 201, "POST", "/api/v1/handins", gateway.HandInRequest{To: "all", After: true, Title: "Readings", Points: 5})
	w.merge(w.from, w.into)
	preview := call[gateway.ErasePreview](linus, 200, "GET", "/api/v1/me/erase", nil)
	call[gateway.Erased](linus, 200, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: preview.Version})
	for _, b := range []*browser{linus, reached} {
		b.refused(401, "GET", surveysPath, nil)
	}
	if got := asked(w.ada); slices.Contains(got, "Afterwards") {
		t.Errorf("asked too early: %v", got)
	}
	w.clock.pass(his.End.Sub(w.clock.Now()) + time.Second)
	wstest.Eventually(t, "she is told", func() bool { return openings(w.lab, w.ada, survey.ID) == 1 })
	if got := asked(w.ada); len(got) != 2 || !slices.Contains(got, "Afterwards") {
		t.Errorf("she is asked %v", got)
	}
	w.ada.handIn(201, "/api/v1/handins/"+work.ID, "", part{"text", "", "Mine"})
	call[gateway.SurveyView](w.ada, 200, "POST", surveysPath+"/"+survey.ID+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: "Mine"}}})
	if got := w.browser().do("POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: lost.Surname, Reference: lost.Reference}); got.status == 200 {
		t.Errorf("the erased one's booking is found: %s", got.body)
	}
	if n := openings(w.lab, w.ada, survey.ID); n != 1 {
		t.Errorf("she was told %d times", n)
	}
	again := w.signedIn("linus")
	if got := asked(again); len(got) != 0 {
		t.Errorf("who comes anew is asked %v", got)
	}
	again.refused(404, "GET", "/api/v1/handins/"+work.ID, nil)
}
