package gateway_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// A part of a form: a field, or a file where it has a file name.
type part struct{ name, file, value string }

const jpeg = "\xff\xd8\xff\xe0picture"

// formOf writes a form as a browser does.
func formOf(t *testing.T, parts ...part) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, p := range parts {
		w, err := form.CreateFormField(p.name)
		if p.file != "" {
			w, err = form.CreateFormFile(p.name, p.file)
		}
		if err == nil {
			_, err = io.WriteString(w, p.value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), form.FormDataContentType()
}

// handIn hands in, and returns the receipt where the answer is 201.
func (b *browser) handIn(status int, at, key string, parts ...part) gateway.HandInReceipt {
	b.Helper()
	body, contentType := formOf(b.T, parts...)
	headers := []pair{{"Content-Type", contentType}}
	if key != "" {
		headers = append(headers, pair{"Idempotency-Key", key})
	}
	got := b.sendAs("POST", at+"/work", body, headers...)
	if got.status != status {
		b.Fatalf("%s: %d, want %d: %s", at, got.status, status, got.body)
	}
	var r gateway.HandInReceipt
	if status == http.StatusCreated {
		b.must(json.Unmarshal(got.body, &r))
	}
	return r
}

// sendAs sends text whose Content-Type is among the headers.
func (b *browser) sendAs(method, path, body string, headers ...pair) answer {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.address(path), strings.NewReader(body))
	b.must(err)
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	res, err := b.client.Do(req)
	b.must(err)
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	b.must(err)
	return answer{status: res.StatusCode, header: res.Header, body: got}
}

func report(l *lab) gateway.HandInRequest {
	return gateway.HandInRequest{
		To: "group:physics-1", Title: "Report", Instructions: "One page.", Deadline: l.clock.Now().Add(24 * time.Hour).Format(time.RFC3339),
		Late: "penalty", PerDay: 2, Points: 20, Limits: gateway.HandInLimits{Files: 2, FileSize: 2000, Total: 3000, Types: []string{"txt", "jpg"}},
	}
}

func TestHandIn(t *testing.T) {
	l := newLab(t)
	ada, soren, grace, linus := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace"), l.signedIn("linus")
	for name, change := range map[string]func(*gateway.HandInRequest){
		"no title": func(r *gateway.HandInRequest) { r.Title = "" }, "no such group": func(r *gateway.HandInRequest) { r.To = "group:nothing" },
		"over before it begins": func(r *gateway.HandInRequest) { r.Deadline = "2020-01-01T00:00:00Z" }, "no such rule": func(r *gateway.HandInRequest) { r.Late = "beat" },
		"a page of ours": func(r *gateway.HandInRequest) { r.Limits.Types = []string{"html"} }, "too much": func(r *gateway.HandInRequest) { r.Limits.Total = 1 << 40 },
	} {
		req := report(l)
		change(&req)
		if name == "no such rule" {
			grace.refused(422, "POST", "/api/v1/handins", map[string]any{"to": req.To, "title": req.Title, "points": 1, "late": "beat"})
			continue
		}
		if p := grace.refused(422, "POST", "/api/v1/handins", req); p.Code != "refused" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	ada.refused(403, "POST", "/api/v1/handins", report(l))
	hears, hearsGrace := ada.messages(), grace.messages()
	hears.caughtUp()
	hearsGrace.caughtUp()
	changed := func(s *socket, want string) {
		t.Helper()
		s.await(want, func(e event) bool {
			var c gateway.HandInChanged
			return e.Type == "lodge.handin" && json.Unmarshal(e.Data, &c) == nil && c.Change == want
		})
	}
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", report(l), pair{"Idempotency-Key", "k"})
	if again := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", report(l), pair{"Idempotency-Key", "k"}); again.ID != one.ID {
		t.Errorf("opened twice: %+v", again)
	}
	at := "/api/v1/handins/" + one.ID
	changed(hears, "opened")

	// What breaks a rule leaves nothing behind.
	ada.handIn(422, at, "", part{"file", "run.exe", "MZ"})
	ada.handIn(422, at, "", part{"file", "picture.jpg", "no picture"})
	ada.handIn(422, at, "")
	ada.handIn(413, at, "", part{"file", "a.txt", strings.Repeat("a", 2001)})
	ada.handIn(413, at, "", part{"file", "a.txt", strings.Repeat("a", 1900)}, part{"file", "b.txt", strings.Repeat("a", 1900)})
	ada.handIn(422, at, "", part{"file", "a.txt", "a"}, part{"file", "b.txt", "a"}, part{"file", "c.txt", "a"})
	ada.handIn(409, at, "", part{"keep", "", "nothing"})
	if got := ada.sendAs("POST", at+"/work", "{}", pair{"Content-Type", "application/json"}); got.status != 400 {
		t.Errorf("no form: %d", got.status)
	}
	linus.handIn(404, at, "", part{"text", "", "x"})
	if n := l.storedFiles(); n != 0 {
		t.Errorf("%d files were left", n)
	}

	first := ada.handIn(201, at, "one", part{"text", "", "My words"}, part{"file", `C:\..\=cmd.txt`, "=1+1"}, part{"file", "Bild.JPG", jpeg})
	changed(hears, "received")
	changed(hearsGrace, "received")
	if again := ada.handIn(201, at, "one", part{"text", "", "Other words"}); again != first {
		t.Errorf("the same key: %+v, before %+v", again, first)
	}
	soren.handIn(201, at, "", part{"key", "", "in the form"}, part{"text", "", "Søren's"})
	mine := call[gateway.HandInView](ada, 200, "GET", at, nil)
	if mine.Mine == nil || mine.Mine.SHA256 != first.SHA256 || len(mine.Mine.Files) != 2 || mine.Mine.Files[0].Name != "cmd.txt" || mine.HandedIn != 0 {
		t.Fatalf("%+v %+v", mine, mine.Mine)
	}
	file := mine.Mine.Files[1]
	got := ada.do("GET", file.URL, nil)
	if got.status != 200 || string(got.body) != jpeg || got.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") || !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d %v %q", got.status, got.header, got.body)
	}
	soren.refused(404, "GET", file.URL, nil)
	linus.refused(404, "GET", file.URL, nil)
	soren.refused(403, "GET", at+"/work", nil)
	soren.refused(403, "GET", at+".zip", nil)
	soren.refused(403, "GET", at+".csv", nil)
	soren.refused(403, "POST", at+"/release", nil)
	soren.refused(403, "POST", at+"/close", nil)
	soren.refused(403, "PUT", at+"/grades/"+mine.Mine.Person, gateway.GradeRequest{Points: 20})

	// Two days late: what is replaced is late, and what was kept is still there.
	l.clock.pass(24*time.Hour + 24*time.Hour + time.Minute)
	for _, b := range []*browser{ada, soren, grace, linus} {
		b.client.Jar, _ = cookiejar.New(nil) // never fails
	}
	ada.signIn("ada")
	soren.signIn("soren")
	grace.signIn("grace")
	linus.signIn("linus")
	hears = ada.messages()
	hears.caughtUp()
	second := ada.handIn(201, at, "two", part{"text", "", "New words"}, part{"keep", "", file.ID})
	if second.Version != 2 || second.DaysLate != 2 {
		t.Errorf("%+v", second)
	}
	works := call[gateway.WorksView](grace, 200, "GET", at+"/work", nil)
	if len(works.Work) != 2 || works.Work[0].Surname != "Lovelace" || len(works.Work[0].Files) != 1 || works.Work[0].DaysLate != 2 {
		t.Fatalf("%+v", works)
	}
	if n := l.storedFiles(); n != 3 { // her text and picture, his text
		t.Errorf("%d files are stored", n)
	}

	grace.refused(422, "POST", at+"/release", nil)
	grace.refused(422, "PUT", at+"/grades/"+mine.Mine.Person, gateway.GradeRequest{Points: 21})
	grace.refused(404, "PUT", at+"/grades/nobody", gateway.GradeRequest{Points: 1})
	graded := call[gateway.WorkView](grace, 200, "PUT", at+"/grades/"+mine.Mine.Person, gateway.GradeRequest{Points: 17.5, Words: "Good."})
	if graded.Grade == nil || graded.Grade.Points != 17.5 || graded.Grade.Counted != 13.5 || graded.Grade.Version != 2 {
		t.Fatalf("%+v", graded.Grade)
	}
	if now := call[gateway.HandInView](ada, 200, "GET", at, nil); now.Mine.Grade != nil {
		t.Errorf("she sees %+v before the release", now.Mine.Grade)
	}
	call[gateway.HandInView](grace, 200, "POST", at+"/release", nil)
	changed(hears, "graded")
	if now := call[gateway.HandInView](ada, 200, "GET", at, nil); now.Mine.Grade == nil || now.Mine.Grade.Words != "Good." {
		t.Errorf("she sees %+v", now.Mine.Grade)
	}
	ada.handIn(409, at, "", part{"text", "", "once more"})
	call[gateway.WorkView](grace, 200, "PUT", at+"/grades/"+mine.Mine.Person, gateway.GradeRequest{Points: 18, Words: "@Better"})
	changed(hears, "graded")

	archive := grace.do("GET", at+".zip", nil)
	z, err := zip.NewReader(bytes.NewReader(archive.body), int64(len(archive.body)))
	l.must(err)
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if want := "[Lovelace-Ada/text.txt Lovelace-Ada/Bild.JPG Ó Briain-Søren/text.txt manifest.csv]"; fmt.Sprint(names) != want {
		t.Errorf("%v, want %s", names, want)
	}
	table := string(grace.do("GET", at+".csv", nil).body)
	if !strings.Contains(table, "18,14,'@Better") || !strings.Contains(table, "Søren") {
		t.Error(table)
	}
	if closed := call[gateway.HandInView](grace, 200, "POST", at+"/close", nil); closed.Standing != "closed" || closed.HandedIn != 2 {
		t.Errorf("%+v", closed)
	}
	soren.handIn(409, at, "", part{"text", "", "late"})
	if all := call[struct{ HandIns []gateway.HandInView }](soren, 200, "GET", "/api/v1/handins", nil); len(all.HandIns) != 1 {
		t.Errorf("%+v", all)
	}
	if all := call[struct{ HandIns []gateway.HandInView }](linus, 200, "GET", "/api/v1/handins", nil); len(all.HandIns) != 0 {
		t.Errorf("Linus is set %+v", all)
	}
}

// storedFiles counts the files of what people handed in.
func (l *lab) storedFiles() int {
	l.Helper()
	n := 0
	for _, err := range l.files.List(l.Context(), ".") {
		l.must(err)
		n++
	}
	return n
}

// A hand-in that opens later is not there before, and its audience is told when it is.
func TestHandInOpensAtItsTime(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	hears := ada.messages()
	hears.caughtUp()
	req := report(l)
	req.Opens = l.clock.Now().Add(time.Minute).Format(time.RFC3339)
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", req)
	if one.Standing != "coming" {
		t.Errorf("%+v", one)
	}
	ada.refused(404, "GET", "/api/v1/handins/"+one.ID, nil)
	l.clock.pass(time.Minute)
	hears.await("opened", func(e event) bool { return e.Type == "lodge.handin" && strings.Contains(string(e.Data), "opened") })
	ada.handIn(201, "/api/v1/handins/"+one.ID, "", part{"text", "", "Here"})
}

// A hand-in that goes with the experiment opens to each person when theirs has ended,
// and is nobody else's till then.
func TestHandInOpensAtTheEndOfEachExperiment(t *testing.T) {
	l := newLab(t)
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("grace")
	req := report(l)
	req.To, req.After = "experiment:pend00", true
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", req)
	at := "/api/v1/handins/" + one.ID
	booked := ada.book("pend00-everyone")
	hears := ada.messages()
	hears.caughtUp()
	l.clock.pass(time.Minute)
	call[gateway.Activity](ada, 200, "POST", booked.Links.Self+"/activity", nil)
	ada.refused(404, "GET", at, nil)
	ada.handIn(404, at, "", part{"text", "", "Too early"})
	if page := ada.page(200, "/"); strings.Contains(page, "/handins/"+one.ID) {
		t.Error("it is on her page before her experiment has ended")
	}
	call[gateway.BookingView](ada, 200, "DELETE", booked.Links.Self, nil) // finished early
	hears.await("opened", func(e event) bool {
		return e.Type == "lodge.handin" && e.Topic == "booking:"+booked.ID && strings.Contains(string(e.Data), "opened")
	})
	if page := ada.page(200, "/"); !strings.Contains(page, "/handins/"+one.ID) {
		t.Error("it is not on her page")
	}
	ada.handIn(201, at, "", part{"text", "", "My readings"})
	soren.refused(404, "GET", at, nil)
	if works := call[gateway.WorksView](grace, 200, "GET", at+"/work", nil); len(works.Work) != 1 {
		t.Errorf("%+v", works)
	}
}

// What somebody handed in is in their export, and gone with them.
func TestSec45_WorkIsExportedAndErased(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", report(l))
	at := "/api/v1/handins/" + one.ID
	ada.handIn(201, at, "", part{"text", "", "My words"}, part{"file", "a.txt", "My file"})
	export := call[gateway.Export](ada, 200, "GET", "/api/v1/me/export", nil)
	if len(export.Work) != 1 || export.Work[0].Text != "My words" || len(export.Work[0].Work.Files) != 1 {
		t.Fatalf("%+v", export.Work)
	}
	if got := ada.do("GET", export.Work[0].Work.Files[0].URL, nil); string(got.body) != "My file" {
		t.Errorf("%d %s", got.status, got.body)
	}
	preview := call[gateway.ErasePreview](ada, 200, "GET", "/api/v1/me/erase", nil)
	if preview.Work != 1 {
		t.Errorf("%+v", preview)
	}
	call[gateway.Erased](ada, 200, "POST", "/api/v1/me/erase", gateway.EraseRequest{Version: preview.Version})
	if n := l.storedFiles(); n != 0 {
		t.Errorf("%d files are left", n)
	}
	works := call[gateway.WorksView](grace, 200, "GET", at+"/work", nil)
	if len(works.Work) != 1 || !works.Work[0].Erased || works.Work[0].Name != "" {
		t.Errorf("%+v", works.Work)
	}
}

// Another tenant's hand-ins are nobody's here, by whatever address.
func TestSec32_HandInsOfAnotherTenant(t *testing.T) {
	l := newLab(t)
	grace := l.signedIn("grace")
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", report(l))
	for _, path := range []string{"", "/work", ".csv", ".zip"} {
		if got := grace.do("GET", "/api/v1/handins/"+one.ID+path, nil, pair{"Host", otherHost}); got.status != 401 {
			t.Errorf("%q: %d", path, got.status)
		}
	}
}
