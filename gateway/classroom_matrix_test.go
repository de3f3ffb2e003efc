package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// classroomPrefixes are the addresses of surveys, registers and hand-ins.
var classroomPrefixes = []string{
	"/api/v1/surveys", "/api/v1/registers", "/api/v1/handins", "/surveys", "/registers", "/handins", "/attendance", "/teach/surveys", "/teach/registers", "/teach/handins",
}

// A allotted is the status that each kind of caller is to get. Strangers are those of
// another tenant, and whoever teaches another group only; 0 is what is not tried,
// because the caller may do it.
type allotted struct {
	nobody, student, staff int // strangers: a student; instructors and an administrator
	member                 int // a student of the group it is all about
	booking                int // a booking session of that student
}

var (
	mine    = allotted{401, 404, 404, 0, 404}   // for those it is put to
	kept    = allotted{401, 404, 404, 403, 404} // for those who keep it
	written = allotted{401, 403, 404, 403, 403} // for whoever wrote it, among those who may write
	authors = allotted{401, 403, 0, 403, 403}   // for whoever may write: they get what is theirs
	listed  = allotted{401, 200, 200, 200, 200} // what is one's own: nothing of others
	people  = allotted{401, 200, 200, 200, 403} // likewise, for those who are signed in
	ofGroup = allotted{401, 403, 403, 403, 403} // about the group by name
	page    = allotted{303, 404, 404, 0, 404}   // as mine
	teach   = allotted{303, 404, 404, 403, 404} // as kept
	desk    = allotted{303, 403, 200, 403, 403} // what is one's own, for those who teach
	forms   = allotted{303, 403, 403, 403, 403} // as ofGroup
	drafted = allotted{303, 403, 404, 403, 403} // as written
	begun   = allotted{303, 403, 0, 403, 403}   // as authors
	own     = allotted{303, 200, 200, 200, 200} // as listed
	tapped  = allotted{303, 404, 404, 0, 404}   // as mine, through one\'s own login
)

// A caller is somebody with a session, or without one.
type caller struct {
	name    string
	want    func(allotted) int
	headers []pair
}

// caller makes a person and their login.
func (l *lab) caller(name string, tenant lodge.Tenant, host string, want func(allotted) int, groups []string, bindings ...lodge.Binding) caller {
	l.Helper()
	person, err := l.persons.SignedIn(l.Context(), tenant, idp.Identity{Issuer: "dev", Subject: name, Name: name, FamilyName: name, Groups: groups})
	l.must(err)
	code, _, err := l.sessions.Create(l.Context(), sessions.New{
		Tenant: tenant, Kind: sessions.Login, Person: person.ID, Name: name, Groups: groups, Bindings: bindings, Issuer: "dev", Subject: name,
		AuthenticatedAt: l.clock.Now(), ExpiresAt: l.clock.Now().Add(time.Hour),
	})
	l.must(err)
	return caller{name, want, []pair{{"Cookie", "lodge-dev=" + code}, {"Host", host}}}
}

// Every address of surveys, registers and hand-ins, asked by everybody whom it is
// none of the business of: what is not there and what is not theirs reads the same,
// what they may not do is refused, nothing is told and nothing changes.
func TestSec32_TheClassroomIsNobodyElses(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 10_000 })
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	me := ada.me().Person
	const group, canary = "group:physics-1", "Canary"
	binding := func(role lodge.Role, scope lodge.Scope) lodge.Binding { return lodge.Binding{Role: role, Scope: scope} }
	home := strings.TrimPrefix(l.url, "http://")
	student, staff := func(w allotted) int { return w.student }, func(w allotted) int { return w.staff }
	callers := []caller{
		{"nobody", func(w allotted) int { return w.nobody }, []pair{{"Host", home}}},
		l.caller("student elsewhere", otherTenant, otherHost, student, []string{"everyone", "physics-1"}),
		l.caller("instructor elsewhere", otherTenant, otherHost, staff, []string{"staff"}, binding(lodge.RoleInstructor, lodge.ScopeTenant)),
		l.caller("administrator elsewhere", otherTenant, otherHost, staff, []string{"staff"}, binding(lodge.RoleAdministrator, lodge.ScopeTenant)),
		l.caller("student of another group", lodge.DefaultTenant, home, student, []string{"everyone"}),
		l.caller("instructor of another group", lodge.DefaultTenant, home, staff, []string{"everyone"}, binding(lodge.RoleInstructor, "group:everyone")),
		l.caller("student of the group", lodge.DefaultTenant, home, func(w allotted) int { return w.member }, []string{"physics-1"}),
	}
	survey := call[gateway.SurveyView](grace, 201, "POST", surveysPath, gateway.SurveyRequest{To: group, Title: canary, Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}}})
	draft := call[gateway.DraftView](grace, 201, "POST", surveysPath+"/drafts", gateway.DraftRequest{To: group, Title: canary})
	register := call[gateway.RegisterView](grace, 201, "POST", registersPath, gateway.RegisterRequest{Title: canary, Group: "physics-1"})
	planned := call[struct{ Registers []gateway.PlannedView }](grace, 201, "POST", registersPath+"/planned", gateway.SeriesRequest{
		Title: canary, Group: "physics-1", Start: l.clock.Now().Add(time.Hour).Format(time.RFC3339), Minutes: 60,
	}).Registers[0]
	handedIn := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", gateway.HandInRequest{To: group, Title: canary, Points: 10})
	ada.handIn(201, "/api/v1/handins/"+handedIn.ID, "", part{"file", "a.txt", canary})
	file := call[gateway.WorksView](grace, 200, "GET", "/api/v1/handins/"+handedIn.ID+"/work", nil).Work[0].Files[0].ID

	code, _, err := l.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Booking, Person: lodge.PersonID(me), Booking: ada.book("pend00-everyone").ID, ExpiresAt: l.clock.Now().Add(time.Hour),
	})
	l.must(err)
	callers = append(callers, caller{"booking", func(w allotted) int { return w.booking }, []pair{{"Cookie", "lodge-dev-booking=" + code}, {"Host", home}}})

	answers := gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: "from outside"}}}
	ids := strings.NewReplacer("{survey}", survey.ID, "{draft}", draft.ID, "{register}", register.ID, "{planned}", planned.ID, "{handin}", handedIn.ID, "{person}", me, "{file}", file)
	rows := map[string]struct {
		allotted
		id   string // what {id} is
		body any
	}{
		"GET /api/v1/surveys":                   {listed, "", nil},
		"POST /api/v1/surveys":                  {ofGroup, "", gateway.SurveyRequest{To: group, Title: "X", Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}}}},
		"GET /api/v1/surveys/drafts":            {allotted{401, 403, 200, 403, 403}, "", nil},
		"POST /api/v1/surveys/drafts":           {authors, "", gateway.DraftRequest{From: survey.ID}},
		"GET /api/v1/surveys/drafts/{id}":       {written, "{draft}", nil},
		"PUT /api/v1/surveys/drafts/{id}":       {written, "{draft}", gateway.DraftRequest{Rev: draft.Rev, Title: "X"}},
		"DELETE /api/v1/surveys/drafts/{id}":    {written, "{draft}", nil},
		"POST /api/v1/surveys/drafts/{id}/open": {written, "{draft}", nil},
		"POST /api/v1/surveys/import":           {authors, "", "{}"},
		"GET /api/v1/surveys/{id}/document":     {written, "{survey}", nil},
		"GET /api/v1/surveys/{id}.csv":          {kept, "{survey}", nil},
		"GET /api/v1/surveys/{id}":              {mine, "{survey}", nil},
		"POST /api/v1/surveys/{id}/answers":     {mine, "{survey}", answers},
		"POST /api/v1/surveys/{id}/close":       {kept, "{survey}", nil},
		"POST /api/v1/surveys/{id}/ballot":      {mine, "{survey}", gateway.BallotRequest{Blinded: "AAAA"}},
		"POST /api/v1/surveys/{id}/release":     {kept, "{survey}", nil},
		"PUT /api/v1/surveys/{id}/words":        {kept, "{survey}", gateway.WordsRequest{Words: "q~0~0", Shown: true}},
		"GET /api/v1/surveys/{id}/results":      {kept, "{survey}", nil},
		"GET /api/v1/surveys/{id}/answers":      {kept, "{survey}", nil},

		"GET /api/v1/registers":                               {listed, "", nil},
		"POST /api/v1/registers":                              {ofGroup, "", gateway.RegisterRequest{Title: "X", Group: "physics-1"}},
		"GET /api/v1/registers/planned":                       {people, "", nil},
		"POST /api/v1/registers/planned":                      {ofGroup, "", gateway.SeriesRequest{Title: "X", Group: "physics-1", Start: "2026-05-05T09:00:00Z", Minutes: 60}},
		"DELETE /api/v1/registers/planned/{id}":               {allotted{401, 404, 404, 404, 403}, "{planned}", nil},
		"GET /api/v1/registers/summary":                       {ofGroup, "", nil},
		"GET /api/v1/registers/summary.csv":                   {ofGroup, "", nil},
		"GET /api/v1/registers/{id}.csv":                      {kept, "{register}", nil},
		"GET /api/v1/registers/{id}/screen":                   {kept, "{register}", nil},
		"POST /api/v1/registers/{id}/apology":                 {mine, "{register}", gateway.ApologyRequest{Words: "From outside."}},
		"PUT /api/v1/registers/{id}/marks/{person}":           {kept, "{register}", gateway.MarkChange{State: "absent", Reason: "X"}},
		"PUT /api/v1/registers/{id}/marks/{person}/apology":   {kept, "{register}", gateway.ApologyDecision{Accept: true}},
		"POST /api/v1/registers/{id}/import":                  {kept, "{register}", "name,state\nAda Lovelace,absent\n"},
		"GET /api/v1/registers/{id}":                          {mine, "{register}", nil},
		"POST /api/v1/registers/{id}/marks":                   {mine, "{register}", nil},
		"POST /api/v1/registers/{id}/close":                   {kept, "{register}", nil},
		"GET /api/v1/handins":                                 {listed, "", nil},
		"POST /api/v1/handins":                                {ofGroup, "", gateway.HandInRequest{To: group, Title: "X", Points: 10}},
		"GET /api/v1/handins/{id}.csv":                        {kept, "{handin}", nil},
		"GET /api/v1/handins/{id}.zip":                        {kept, "{handin}", nil},
		"GET /api/v1/handins/{id}":                            {mine, "{handin}", nil},
		"GET /api/v1/handins/{id}/work":                       {kept, "{handin}", nil},
		"POST /api/v1/handins/{id}/work":                      {mine, "{handin}", nil},
		"GET /api/v1/handins/{id}/work/{person}/files/{file}": {allotted{401, 404, 404, 404, 404}, "{handin}", nil},
		"PUT /api/v1/handins/{id}/grades/{person}":            {kept, "{handin}", gateway.GradeRequest{Points: 1}},
		"POST /api/v1/handins/{id}/release":                   {kept, "{handin}", nil},
		"POST /api/v1/handins/{id}/close":                     {kept, "{handin}", nil},

		"GET /surveys/{id}":                        {page, "{survey}", nil},
		"POST /surveys/{id}":                       {page, "{survey}", url.Values{"q": {"from outside"}}},
		"GET /handins/{id}":                        {page, "{handin}", nil},
		"POST /handins/{id}":                       {page, "{handin}", url.Values{"text": {"from outside"}}},
		"GET /attendance":                          {own, "", nil},
		"POST /attendance/code":                    {allotted{303, 422, 422, 0, 403}, "", url.Values{"code": {"22222"}}},
		"GET /attendance/here/{id}":                {allotted{303, 422, 422, 0, 303}, "{register}", nil},
		"POST /registers/{id}/confirm":             {tapped, "{register}", url.Values{}},
		"POST /registers/{id}/apology":             {tapped, "{register}", url.Values{"words": {"From outside."}}},
		"GET /teach/surveys":                       {desk, "", nil},
		"POST /teach/surveys":                      {begun, "", url.Values{"from": {survey.ID}}},
		"POST /teach/surveys/import":               {begun, "", url.Values{}},
		"GET /teach/surveys/drafts/{id}":           {drafted, "{draft}", nil},
		"POST /teach/surveys/drafts/{id}":          {drafted, "{draft}", url.Values{"title": {"X"}}},
		"GET /teach/surveys/{id}":                  {teach, "{survey}", nil},
		"POST /teach/surveys/{id}":                 {teach, "{survey}", url.Values{"do": {"close"}}},
		"GET /teach/surveys/{id}/wall":             {teach, "{survey}", nil},
		"GET /teach/registers":                     {desk, "", nil},
		"POST /teach/registers":                    {forms, "", url.Values{"title": {"X"}, "group": {"physics-1"}}},
		"GET /teach/registers/{id}":                {teach, "{register}", nil},
		"GET /teach/registers/{id}/screen":         {teach, "{register}", nil},
		"POST /teach/registers/{id}/close":         {teach, "{register}", url.Values{}},
		"POST /teach/registers/{id}/unplan":        {allotted{303, 403, 404, 403, 403}, "{planned}", url.Values{}},
		"POST /teach/registers/{id}/marks":         {teach, "{register}", url.Values{"person": {me}, "state": {"absent"}, "reason": {"X"}}},
		"POST /teach/registers/{id}/import":        {teach, "{register}", url.Values{"table": {"name,state\nAda Lovelace,absent\n"}}},
		"GET /teach/handins":                       {desk, "", nil},
		"POST /teach/handins":                      {forms, "", url.Values{"to": {group}, "title": {"X"}, "points": {"10"}}},
		"GET /teach/handins/{id}":                  {teach, "{handin}", nil},
		"POST /teach/handins/{id}/grades/{person}": {teach, "{handin}", url.Values{"points": {"1"}}},
		"POST /teach/handins/{id}/release":         {teach, "{handin}", url.Values{}},
		"POST /teach/handins/{id}/close":           {teach, "{handin}", url.Values{}},
	}
	// Who is of another tenant does there what they like: 0; or learns that here is
	// nothing by that id, before anything else.
	elsewhere := map[string]int{
		"POST /api/v1/surveys": 0, "POST /api/v1/registers": 0, "POST /api/v1/registers/planned": 0, "POST /api/v1/handins": 0, "POST /teach/registers": 0,
		"POST /teach/handins": 0, "GET /api/v1/registers/summary": 0, "GET /api/v1/registers/summary.csv": 0,
		"DELETE /api/v1/surveys/drafts/{id}": 204, "GET /attendance/here/{id}": 404,
	}
	// All there is, as those see it who may.
	all := func() (out string) {
		for _, path := range []string{
			surveysPath, surveysPath + "/drafts", surveysPath + "/" + survey.ID + "/answers", registersPath, registersPath + "/planned",
			"/api/v1/handins", "/api/v1/handins/" + handedIn.ID + "/work",
		} {
			got := grace.do("GET", path, nil)
			if got.status != 200 {
				t.Fatalf("%s: %d %s", path, got.status, got.body)
			}
			out += string(got.body)
		}
		return out
	}
	before := all()
	var routes []string
	l.must(chi.Walk(l.gateway.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if slices.ContainsFunc(classroomPrefixes, func(p string) bool { return route == p || strings.HasPrefix(route, p+"/") }) {
			routes = append(routes, method+" "+route)
		}
		return nil
	}))
	b := l.browser()
	for _, route := range routes {
		row, known := rows[route]
		if !known {
			t.Errorf("nobody says who may use %s", route)
			continue
		}
		delete(rows, route)
		method, path, _ := strings.Cut(route, " ")
		path = ids.Replace(strings.ReplaceAll(path, "{id}", row.id))
		if strings.Contains(path, "/summary") {
			path += "?group=physics-1"
		}
		for _, c := range callers {
			want := c.want(row.allotted)
			if other, is := elsewhere[route]; is && strings.HasSuffix(c.name, "elsewhere") && (c.name != "student elsewhere" || want != 403) {
				want = other
			}
			if want == 0 {
				continue
			}
			if want == 303 && c.name == "nobody" && method == "POST" {
				want = 401 // only what can be asked again leads to signing in
			}
			got := b.do(method, path, row.body, c.headers...)
			if got.status != want {
				t.Errorf("%s by %s: %d, want %d: %.200s", route, c.name, got.status, want, got.body)
			}
			// A student of the group is asked: what is put to them is no secret of theirs.
			if c.name != "student of the group" && strings.Contains(string(got.body), canary) || c.name != "booking" && strings.Contains(string(got.body), me) {
				t.Errorf("%s tells %s: %.300s", route, c.name, got.body)
			}
		}
	}
	for route := range rows {
		t.Errorf("there is no %s", route)
	}
	if after := all(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}
