package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

const registersPath = "/api/v1/registers"

// In a room it takes what the screen shows: typed, or by the link, also for who has to
// sign in first; a tap is not enough, and guessing is limited.
func TestARegisterInARoom(t *testing.T) {
	l := newLab(t)
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace")
	r := call[gateway.RegisterView](grace, 201, "POST", registersPath, gateway.RegisterRequest{
		Title: "In the room", Group: "physics-1", RegisterRules: gateway.RegisterRules{Late: 30, Room: true},
	})
	at := registersPath + "/" + r.ID
	state := func(b *browser) string { return call[gateway.RegisterView](b, 200, "GET", at, nil).Marks[0].State }
	screen := call[gateway.ScreenView](grace, 200, "GET", at+"/screen", nil)
	ada.refused(403, "GET", at+"/screen", nil)
	ada.refused(422, "POST", at+"/marks", nil)
	if got := call[gateway.RegisterView](ada, 200, "POST", at+"/marks", gateway.MarkRequest{Code: strings.ToLower(screen.Code)}); got.Marks[0].Source != "code" || got.Marks[0].State != "present" {
		t.Errorf("%+v", got)
	}
	for range 10 {
		soren.refused(422, "POST", at+"/marks", gateway.MarkRequest{Code: "22222"})
	}
	soren.refused(429, "POST", at+"/marks", gateway.MarkRequest{Code: screen.Code})
	page := grace.page(200, "/teach/registers/"+r.ID+"/screen")
	if !strings.Contains(page, screen.Code) || !strings.Contains(page, `data-testid="qr"`) {
		t.Error("the screen shows no code")
	}

	// By the link: the token runs out while he signs in, and is in no address since.
	phone := l.browser()
	link, err := url.Parse(screen.Link)
	l.must(err)
	first := phone.do("GET", link.RequestURI(), nil)
	if first.status != http.StatusSeeOther || first.header.Get("Location") != "/login?return="+url.QueryEscape(link.Path) {
		t.Fatalf("%d to %s", first.status, first.header.Get("Location"))
	}
	l.clock.pass(2 * time.Minute)
	phone.signIn("soren")
	if back := phone.do("GET", link.Path, nil); back.status != http.StatusSeeOther || back.header.Get("Location") != "/attendance?done=here" {
		t.Errorf("%d to %s", back.status, back.header.Get("Location"))
	}
	if got := state(soren); got != "present" {
		t.Errorf("Søren is %s", got)
	}
	if late := l.browser().do("GET", link.RequestURI(), nil); late.status == http.StatusOK || strings.Contains(late.header.Get("Set-Cookie"), "here=") {
		t.Errorf("a token that ran out: %d %s", late.status, late.header.Get("Set-Cookie"))
	}
	if strings.Contains(l.log.String(), link.Query().Get("token")) {
		t.Error("a token is in the log")
	}
}

// A student sees their own record and nobody else's, whatever they ask for.
func TestSec31_EverybodySeesTheirOwnMarksAlone(t *testing.T) {
	l := newLab(t)
	students := map[string]*browser{"Ada": l.signedIn("ada"), "Søren": l.signedIn("soren")}
	grace := l.signedIn("grace")
	r := call[gateway.RegisterView](grace, 201, "POST", registersPath, gateway.RegisterRequest{Title: "Hour", Group: "physics-1"})
	for name, b := range students {
		if got := b.do("POST", registersPath+"/"+r.ID+"/apology", gateway.ApologyRequest{Words: "Words of " + name}); got.status != 204 {
			t.Errorf("%d %s", got.status, got.body)
		}
		call[gateway.RegisterView](grace, 200, "PUT", registersPath+"/"+r.ID+"/marks/"+b.me().Person, gateway.MarkChange{State: "late", Reason: "Reason of " + name})
	}
	call[gateway.RegisterView](grace, 200, "POST", registersPath+"/"+r.ID+"/close", nil)
	for name, b := range students {
		for other, of := range students {
			mine := name == other
			for _, path := range []string{registersPath, registersPath + "/" + r.ID, "/attendance", registersPath + "/summary", "/api/v1/me/export"} {
				body := string(b.do("GET", path, nil).body)
				if !mine && (strings.Contains(body, "of "+other) || strings.Contains(body, of.me().Person)) {
					t.Errorf("%s finds %s at %s", name, other, path)
				}
			}
			b.refused(403, "PUT", registersPath+"/"+r.ID+"/marks/"+of.me().Person, gateway.MarkChange{State: "present", Reason: "x"})
			b.refused(403, "PUT", registersPath+"/"+r.ID+"/marks/"+of.me().Person+"/apology", gateway.ApologyDecision{Accept: true})
		}
		if !strings.Contains(string(b.do("GET", "/attendance", nil).body), "Reason of "+name) {
			t.Errorf("%s does not see why", name)
		}
		for _, path := range []string{"/summary?group=physics-1", "/summary.csv?group=physics-1", "/" + r.ID + ".csv"} {
			b.refused(403, "GET", registersPath+path, nil)
		}
		b.refused(403, "POST", registersPath+"/"+r.ID+"/import", "name\nx\n", pair{"Content-Type", "text/csv"})
		b.refused(403, "POST", registersPath+"/planned", gateway.SeriesRequest{Title: "X", Group: "physics-1", Start: "2026-05-05T09:00:00Z", Minutes: 60})
		b.page(403, "/teach/registers")
		b.page(403, "/teach/registers/"+r.ID)
	}
}

// Planned registers open and close by themselves, once on any number of nodes; an
// apology made before is there; tables and corrections change what is closed.
func TestPlannedRegistersRunByThemselves(t *testing.T) {
	l := newLab(t)
	l.another()
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	type list = struct{ Registers []gateway.PlannedView }
	start := l.clock.Now().Add(30 * time.Minute)
	planned := call[list](grace, 201, "POST", registersPath+"/planned", gateway.SeriesRequest{
		Title: "Lab", Group: "physics-1", Start: start.Format(time.RFC3339), Zone: "Europe/Berlin", Minutes: 30, Times: 3, RegisterRules: gateway.RegisterRules{Late: 5},
	}).Registers
	if len(planned) != 3 {
		t.Fatalf("%+v", planned)
	}
	grace.refused(422, "POST", registersPath+"/planned", gateway.SeriesRequest{Title: "Lab", Group: "physics-1", Start: "2026-03-29T02:30", Zone: "Europe/Berlin", Minutes: 60})
	if got := grace.do("DELETE", registersPath+"/planned/"+planned[1].ID+"?rest=true", nil); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
	id := planned[0].ID
	if got := ada.do("POST", registersPath+"/"+id+"/apology", gateway.ApologyRequest{Words: "I am ill."}); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := call[list](ada, 200, "GET", registersPath+"/planned", nil).Registers; len(got) != 1 || got[0].Apology == nil {
		t.Errorf("%+v", got)
	}
	l.clock.pass(30 * time.Minute)
	wstest.Eventually(t, "it is open", func() bool { return grace.do("GET", registersPath+"/"+id, nil).status == 200 })
	adaID := ada.me().Person
	call[gateway.RegisterView](grace, 200, "PUT", registersPath+"/"+id+"/marks/"+adaID+"/apology", gateway.ApologyDecision{Accept: true})
	l.recorded(audit.RegisterExcuse, "person:"+grace.me().Person, "register:"+id)
	l.clock.pass(30 * time.Minute)
	wstest.Eventually(t, "it is closed", func() bool { return !call[gateway.RegisterView](grace, 200, "GET", registersPath+"/"+id, nil).Open })
	if got := call[gateway.RegisterView](ada, 200, "GET", registersPath+"/"+id, nil); got.Marks[0].State != "excused" {
		t.Errorf("%+v", got)
	}
	told := regexp.MustCompile(`"change":"(opened|closed)"`)
	wstest.Eventually(t, "the group was told of both, once", func() bool {
		return len(told.FindAllString(string(ada.do("GET", "/api/v1/messages?topic=group:physics-1&limit=100", nil).body), -1)) == 2
	})

	table := "name;state\nSøren Ó Briain;late\nNobody;absent\n"
	read := func(query string) (view gateway.ImportView) {
		got := grace.sendAs("POST", registersPath+"/"+id+"/import"+query, table, pair{"Content-Type", "text/csv"})
		if got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
		l.must(json.Unmarshal(got.body, &view))
		return view
	}
	look := read("")
	if look.Applied || len(look.Marks) != 1 || len(look.Unread) != 1 {
		t.Errorf("%+v", look)
	}
	if entered := read("?apply=true"); !entered.Applied || len(entered.Marks) != 1 {
		t.Errorf("%+v", entered)
	}
	l.recorded(audit.RegisterMark, "person:"+grace.me().Person, "register:"+id)
	sums := call[struct{ People []gateway.SummaryView }](grace, 200, "GET", registersPath+"/summary?group=physics-1", nil).People
	if len(sums) != 2 || sums[0].Percent+sums[1].Percent != 200 {
		t.Errorf("%+v", sums)
	}
	if got := grace.do("GET", registersPath+"/summary.csv?group=physics-1", nil); got.status != 200 || !strings.Contains(string(got.body), "Søren") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if page := grace.page(200, "/teach/registers"); !strings.Contains(page, "100 %") {
		t.Error("the page adds nothing up")
	}
	if page := grace.page(200, "/teach/registers/"+id); !strings.Contains(page, "Søren") {
		t.Error("the page has no marks")
	}
}
