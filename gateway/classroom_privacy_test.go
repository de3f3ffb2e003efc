package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
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
