package gateway_test

import (
	"context"
	"errors"
	"html"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// ourPage is what a browser says of a form that a page of ours sent.
var ourPage = pair{"Sec-Fetch-Site", "same-origin"}

// A formCase fills a form in with something wrong. A form without a case, or with a
// field that its cases leave out, fails the test.
type formCase struct {
	action string // as in the template, with {} for what it computes
	who    string
	id     string     // what the first {} of the action is
	second string     // and the next
	typed  url.Values // by people; every field of the form is in it
	own    url.Values // what the form carries for itself
	offer  []string   // fields that hold what would be accepted instead
	parts  bool       // sent as multipart/form-data
	status int        // of the refusal; 0 where nothing that can be filled in is refused
	says   string     // what the page says to do
	fresh  bool       // it asks for a fresh sign-in
}

func (c formCase) path() string {
	return strings.Replace(strings.Replace(c.action, "{}", c.id, 1), "{}", c.second, 1)
}

func (c formCase) sent() (body any, headers []pair) {
	values := url.Values{}
	for _, some := range []url.Values{c.own, c.typed} {
		for name, all := range some {
			values[name] = all
		}
	}
	if !c.parts {
		return values, []pair{ourPage}
	}
	var text strings.Builder
	form := multipart.NewWriter(&text)
	var errs error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			errs = errors.Join(errs, form.WriteField(name, value))
		}
	}
	// As browsers send a field of files in which none was chosen.
	_, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename=""`}, "Content-Type": {"application/octet-stream"}})
	if errs = errors.Join(errs, err, form.Close()); errs != nil {
		panic(errs) // a strings.Builder takes everything
	}
	return text.String(), []pair{ourPage, {"Content-Type", form.FormDataContentType()}}
}

// formWorld is a laboratory in which every form can be filled in.
type formWorld struct {
	*lab
	people map[string]*browser
	cases  []formCase
}

func newFormWorld(t *testing.T) *formWorld {
	l := newLab(t)
	w := &formWorld{lab: l, people: map[string]*browser{}}
	for _, name := range []string{"ada", "grace", "linus", "root"} {
		w.people[name] = l.signedIn(name)
	}
	ada, grace := w.people["ada"], w.people["grace"]
	me := ada.me().Person
	booked := ada.book("pend00-everyone")
	question := []gateway.QuestionView{{ID: "why", Kind: "text", Text: "Why?"}, {ID: "how", Kind: "short", Text: "How?", Required: true}}
	survey := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "group:physics-1", Title: "S", Questions: question})
	draft := call[gateway.DraftView](grace, 201, "POST", "/api/v1/surveys/drafts", gateway.DraftRequest{Title: "Draft", To: "group:physics-1", Questions: question})
	register := call[gateway.RegisterView](grace, 201, "POST", registersPath, gateway.RegisterRequest{Title: "Hour", Group: "physics-1"})
	work := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", gateway.HandInRequest{To: "group:physics-1", Title: "Report", Points: 5})
	waiting := call[gateway.ScheduledView](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Text: "later", At: "2026-05-04T11:10", Zone: "UTC"})
	long := strings.Repeat("so long ", 700)
	w.cases = []formCase{
		{action: "/admin/end", who: "root", typed: url.Values{"reason": {"It was left open"}}, own: url.Values{"session": {"none"}}, status: 404, says: "no such session"},
		{action: "/admin/end", who: "root", typed: url.Values{"reason": {"A cookie was stolen"}}, own: url.Values{"all": {"true"}}, fresh: true},
		{action: "/attendance/code", who: "ada", typed: url.Values{"code": {"2ZZZZ"}}, status: 422, says: "code"},
		{action: "/book", who: "ada", typed: url.Values{"start": {""}, "seconds": {"86399"}, "surname": {"Lovelace"}}, own: url.Values{"group": {"everyone"}, "day": {"2026-05-04"}, "slot": {"pend02-everyone"}, "key": {"k"}}, offer: []string{"start", "seconds"}, status: 422, says: "at most"},
		{action: "/bookings/{}/extend", who: "ada", id: booked.ID, typed: url.Values{"seconds": {"86399"}}, status: 422, says: "at most"},
		{action: "/admin/catalogue/apply", who: "root", typed: url.Values{"message": {"We clean the lenses"}, "booking-{}": {"keep"}}, own: url.Values{"manifest": {"lodge: v1\ndescriptions:\n  spare: {title: Spare}\n"}, "base": {"999"}}, status: 409, says: "again"},
		{action: "/admin/catalogue/plan", who: "root", typed: url.Values{"manifest": {"lodge: v1\nnonsense:\n  - half"}, "lenient": {"yes"}, "prune": {"yes"}, "message": {"We clean"}}, parts: true, status: 422, says: "neither a practable manifest"},
		{action: "/groups/{}/codes", who: "root", id: "physics-1", typed: url.Values{"days": {"9999"}, "limit": {"7"}}, status: 422, says: "days"},
		{action: "/handins/{}", who: "ada", id: work.ID, typed: url.Values{"text": {"A page,\nor two"}, "keep": {"gone"}}, own: url.Values{"key": {"k"}}, parts: true, status: 409, says: "add the file again"},
		{action: "/claims", who: "ada", typed: url.Values{"surname": {"Hopper"}, "reference": {"ZZZZZZ"}}, status: 404, says: "surname"},
		{action: "/join", who: "ada", typed: url.Values{"code": {"lodge_join_none"}}, status: 404, says: "code"},
		{action: "/mail", who: "ada", typed: url.Values{"get": {"bookings", "reminders"}}},
		{action: "/bookings/{}/partners", who: "ada", id: booked.ID, typed: url.Values{"person": {"Nobody Known"}}, own: url.Values{"action": {"add"}}, status: 404, says: "send your partner a link"},
		{action: "/lookup", typed: url.Values{"surname": {"Hopper"}, "reference": {"ZZZZZZ"}}, status: 404, says: "surname"},
		{action: "/messages/{}/replies", who: "ada", id: "gone", typed: url.Values{"text": {"I did not\nunderstand it"}}, own: url.Values{"key": {"k"}}, status: 404, says: "no such message"},
		{action: "/registers/{}/apology", who: "ada", id: "gone", typed: url.Values{"words": {"I was ill"}}, status: 404, says: "no such register"},
		{action: "/registers/{}/apology", who: "ada", id: register.ID, typed: url.Values{"words": {long}}, status: 422, says: "characters"},
		{action: "/surveys/{}", who: "ada", id: survey.ID, typed: url.Values{"q-why": {"Because\nof the noise"}}, status: 422, says: "How?"},
		{action: "/teach/registers/{}/import", who: "grace", id: register.ID, typed: url.Values{"table": {"who\nAda Lovelace;present"}, "names": {"yes"}}, own: url.Values{"do": {"apply"}}, parts: true, status: 422, says: "column"},
		{action: "/teach/registers/{}/marks", who: "grace", id: register.ID, typed: url.Values{"state": {"late"}, "reason": {long}}, own: url.Values{"person": {me}}, status: 422, says: "Say why"},
		{action: "/teach/registers", who: "grace", typed: url.Values{"title": {"Hour two"}, "group": {"physics-1"}, "late": {"soon"}, "least": {"5"}, "room": {"yes"}, "start": {"2026-05-05T10:00"}, "minutes": {"60"}, "times": {"3"}}, own: url.Values{"key": {"k"}, "zone": {"UTC"}, "do": {"plan"}}, status: 422, says: "whole numbers"},
		{action: "/rigs/{}", who: "linus", id: "no-such-rig", typed: url.Values{"reason": {"The lamp is out"}}, own: url.Values{"online": {"false"}}, status: 403, says: "ask"},
		{action: "/admin/roles", who: "root", typed: url.Values{"role": {"technician"}, "scope": {"nonsense"}, "subject": {"dev:ada"}, "group": {"physics-1"}, "name": {"ada-helps"}}, status: 422, says: "scope", fresh: true},
		{action: "/teach/notices/{}", who: "grace", id: waiting.ID, typed: url.Values{"find": {"Ada"}, "to": {"group:physics-1"}, "title": {"Changed"}, "text": {"To be read"}, "priority": {"important"}, "replies": {"yes"}, "at": {"2026-05-01T10:00"}, "expires": {"2026-05-06T10:00"}, "zone": {"UTC"}}, status: 422, says: "choose a later one"},
		{action: "/teach/notices", who: "grace", typed: url.Values{"find": {"Ada"}, "to": {"group:physics-1"}, "title": {"New"}, "text": {long}, "priority": {"important"}, "replies": {"yes"}, "at": {"2026-05-05T10:00"}, "expires": {"2026-05-06T10:00"}, "zone": {"UTC"}}, own: url.Values{"key": {"k"}}, status: 413, says: "too long"},
		{action: "/teach/surveys/drafts/{}", who: "grace", id: draft.ID, typed: url.Values{
			"find": {"Ada"}, "to": {"group:physics-1"}, "title": {"Typed title"}, "intro": {"Typed words"}, "mode": {"pseudonymous"}, "when": {"after"}, "closes": {"2026-05-09T10:00"}, "small": {"7"}, "opens": {"2026-05-08T10:00"}, "template": {"yes"},
			"q-0-text": {"Typed question"}, "q-0-kind": {"multiple"}, "q-0-required": {"yes"}, "q-0-options": {"one\ntwo"}, "q-0-max": {"5"}, "q-0-low": {"1"}, "q-0-high": {"9"}, "q-0-section": {"Part"}, "q-0-correct": {"one"},
		}, own: url.Values{"rev": {"99"}, "do": {"save"}, "q-0-id": {"why"}, "key": {"k"}}, status: 409, says: "changed"},
		{action: "/teach/surveys", who: "grace", typed: url.Values{"find": {"Ada"}, "to": {"group:physics-1"}, "from": {"gone"}}, own: url.Values{"do": {"open"}, "key": {"k"}}, status: 404, says: "no such"},
		{action: "/teach/bookings/{}/cancel", who: "grace", id: "gone", typed: url.Values{"reason": {"The room is closed"}}, status: 404, says: "no such booking"},
		{action: "/teach/book", who: "grace", typed: url.Values{"choice": {"slot:pend00-everyone"}, "from": {"2026-05-05T10:00"}, "until": {"2026-05-05T09:00"}, "minutes": {"10"}, "member": {me}, "partial": {"yes"}, "name": {"A Guest"}, "surname": {"Guest"}}, own: url.Values{"group": {"everyone"}, "key": {"k"}, "do": {"group"}}, status: 422, says: "time"},
		{action: "/teach/handins/{}/grades/{}", who: "grace", id: work.ID, second: me, typed: url.Values{"points": {"many"}, "words": {"Well\ndone"}}, status: 422, says: "write it like"},
		{action: "/teach/handins", who: "grace", typed: url.Values{
			"find": {"Ada"}, "to": {"group:physics-1"}, "title": {"Typed report"}, "instructions": {"Two\npages"}, "when": {"after"}, "deadline": {"2026-05-09T10:00"}, "points": {"many"}, "opens": {"2026-05-08T10:00"}, "zone": {"UTC"},
			"late": {"penalty"}, "per_day": {"1.5"}, "files": {"3"}, "mib": {"8"}, "types": {"pdf"},
		}, own: url.Values{"key": {"k"}}, status: 422, says: "write it like"},
		{action: "/waits", who: "ada", typed: url.Values{"choice": {"slot:pend00-everyone"}, "start": {"2026-05-05T10:00"}, "minutes": {"1400"}, "surname": {"Lovelace"}}, own: url.Values{"group": {"everyone"}, "key": {"k"}, "do": {"book"}}, offer: []string{"choice", "start", "minutes"}, status: 422, says: "at most"},
	}
	return w
}

// kept looks whether a page that refuses a form has all that was typed in it, in a form
// that can be sent again or to be copied, and says what to do.
func (w *formWorld) kept(c formCase, got answer, status int, says string) {
	w.Helper()
	page, at := string(got.body), c.path()
	if got.status != status {
		w.Errorf("%s: %d, want %d: %s", at, got.status, status, alertPattern.FindStringSubmatch(page))
		return
	}
	if alert := alertPattern.FindStringSubmatch(page); alert == nil || !strings.Contains(html.UnescapeString(alert[1]), says) {
		w.Errorf("%s: says %q, and not %q", at, alert, says)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		w.Errorf("%s: may be stored: %q", at, got.header.Get("Cache-Control"))
	}
	again, told := wouldSend(page, at, "/continue?to="+url.QueryEscape(at)), toldAbout(page)
	for name, values := range c.typed {
		if status == c.status && slices.Contains(c.offer, name) {
			if again.Get(name) == "" {
				w.Errorf("%s offers nothing for %s", at, name)
			}
			continue
		}
		for _, value := range values {
			if strings.Contains(name, "code") || name == "reference" {
				if status != c.status && strings.Contains(page, value) {
					w.Errorf("%s: a page of errors repeats %s", at, name)
				}
				continue
			}
			if !slices.Contains(again[name], value) && !slices.Contains(told, value) {
				w.Errorf("%s: %s is not %.60q any more: %.60q, and to copy %.200q", at, name, value, again[name], told)
			}
		}
	}
}

func (w *formWorld) post(b *browser, c formCase) answer {
	w.Helper()
	body, headers := c.sent()
	if text, ok := body.(string); ok {
		return b.sendAs("POST", c.path(), text, headers...)
	}
	return b.do("POST", c.path(), body, headers...)
}

// complete looks whether there is a case for every form and field of the templates:
// whoever makes one says here what happens to what was typed.
func (w *formWorld) complete(t *testing.T) {
	labels := web.FieldLabels()
	shown := map[string]bool{}
	for _, f := range templateForms(t) {
		if f.action == "{}" { // the held form itself
			continue
		}
		shown[f.action] = shown[f.action] || len(f.fields) > 0 || f.files
		for _, name := range f.fields {
			pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\{\}`, ".+") + "$")
			if !slices.ContainsFunc(w.cases, func(c formCase) bool {
				return c.action == f.action && slices.ContainsFunc(keysOf(c.typed), pattern.MatchString)
			}) {
				t.Errorf("no case of %s fills in %s: what becomes of it when the form is refused?", f.action, name)
			}
			if labels[name] == "" && !strings.Contains(name, "{}") {
				t.Errorf("web.FieldLabels has no words for %s of %s", name, f.action)
			}
		}
	}
	for _, c := range w.cases {
		if !shown[c.action] {
			t.Errorf("no page has a form for %s", c.action)
		}
	}
}

func keysOf(v url.Values) (out []string) {
	for name := range v {
		out = append(out, name)
	}
	return out
}

// TestFormsKeepWhatWasTyped fills in every form with something wrong, and sends each
// when the sender is not signed in any more, was away, has to prove anew who they are,
// and when the session store is down.
func TestFormsKeepWhatWasTyped(t *testing.T) {
	w := newFormWorld(t)
	w.complete(t)
	for _, c := range w.cases {
		if c.status != 0 && c.who != "" {
			w.kept(c, w.post(w.people[c.who], c), c.status, c.says)
		} else if c.status != 0 {
			w.kept(c, w.post(w.browser(), c), c.status, c.says)
		}
	}

	const sendAgain = `data-testid="send-again"`
	nobody := w.browser()
	down := w.withoutSessions()
	for _, c := range w.cases {
		if c.who == "" {
			continue
		}
		got := w.post(nobody, c)
		w.kept(c, got, 401, "sign in again")
		if page := string(got.body); !strings.Contains(page, `href="/login?return=%2Fsigned-in" target="_blank" rel="noopener"`) || !strings.Contains(page, sendAgain) {
			t.Errorf("%s: no way to sign in and send it again", c.path())
		}
		if c.own.Has("key") && !slices.Contains(wouldSend(string(got.body), c.path())["key"], "k") {
			t.Errorf("%s: what is sent again is not the same", c.path())
		}
		got = down(c)
		w.kept(c, got, 503, "")
		if !strings.Contains(string(got.body), sendAgain) {
			t.Errorf("%s: no way to send it again", c.path())
		}
	}

	w.clock.pass(20 * time.Minute)
	for _, c := range w.cases {
		if c.fresh {
			got := w.post(w.people[c.who], c)
			w.kept(c, got, 401, "Confirm that it is you")
			if !strings.Contains(string(got.body), `href="/login/dev?fresh=true&amp;return=%2Fsigned-in" target="_blank"`) {
				t.Errorf("%s: no way to confirm it", c.path())
			}
		}
	}

	root := w.people["root"] // proves it in another tab, and sends again what the page kept
	asked := root.do("POST", "/admin/roles", url.Values{"role": {"viewer"}, "scope": {"group:physics-1"}, "subject": {"dev:ada"}, "name": {"ada-looks"}}, ourPage)
	if at := root.confirm("/login/dev?fresh=true&return=%2Fsigned-in", "root"); at != w.url+"/signed-in" {
		t.Errorf("proved it and ended up at %s", at)
	}
	if got := root.do("POST", "/admin/roles", wouldSend(string(asked.body), "/admin/roles"), ourPage); got.status != 303 || got.header.Get("Location") != "/admin/roles?done=given" {
		t.Errorf("sent again: %d to %s", got.status, got.header.Get("Location"))
	}

	w.clock.pass(time.Hour)
	for _, c := range w.cases {
		if c.who == "" {
			continue
		}
		got := w.post(w.people[c.who], c)
		w.kept(c, got, 401, "You have been away")
		if !strings.Contains(string(got.body), `action="/continue?to=`+html.EscapeString(url.QueryEscape(c.path()))+`"`) {
			t.Errorf("%s: no way to go on", c.path())
		}
	}
	for _, c := range w.cases { // the first of each person goes on, and arrives as it was sent
		if c.who == "" || c.fresh || c.status == 0 {
			continue
		}
		on := c
		on.action = "/continue?to=" + url.QueryEscape(c.path())
		got := w.post(w.people[c.who], on)
		if got.status != http.StatusTemporaryRedirect || got.header.Get("Location") != c.path() {
			t.Errorf("%s goes on with %d to %s", c.path(), got.status, got.header.Get("Location"))
		}
		if got := w.post(w.people[c.who], c); got.status < 400 || strings.Contains(string(got.body), `action="/continue`) {
			t.Errorf("%s: %d after going on", c.path(), got.status)
		}
	}
	if page := string(w.people["ada"].do("GET", "/signed-in", nil).body); !strings.Contains(page, "Go back to the tab with your form") {
		t.Error("who signed in elsewhere is not told to go back")
	}
	if strings.Contains(w.log.String(), "The room is closed") || strings.Contains(w.log.String(), "noise") {
		t.Error("the log has what was typed")
	}
}

// unreachable is a session store that is down.
type unreachable struct{ sessions.Store }

func (unreachable) Get(context.Context, lodge.Tenant, []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	return nil, errors.New("connection refused")
}

// withoutSessions sends forms to a node that cannot reach the session store.
func (w *formWorld) withoutSessions() func(formCase) answer {
	parts := w.parts
	parts.Sessions = sessions.NewManager(unreachable{}, nil, sessions.NewLocalSignals(), w.clock, sessions.Options{Logger: parts.Log})
	parts.Topics, parts.Desk = w.newTopics(), w.newDesk()
	node, err := gateway.New(w.cfg, parts)
	w.must(err)
	at, err := url.Parse(w.url)
	w.must(err)
	return func(c formCase) answer {
		body, headers := c.sent()
		contentType := "application/x-www-form-urlencoded"
		text, ok := body.(string)
		if !ok {
			text = body.(url.Values).Encode()
		}
		r := httptest.NewRequest("POST", w.url+c.path(), strings.NewReader(text))
		r.Header.Set("Content-Type", contentType)
		for _, h := range headers {
			r.Header.Set(h.name, h.value)
		}
		for _, cookie := range w.people[c.who].client.Jar.Cookies(at) {
			r.AddCookie(cookie)
		}
		got := httptest.NewRecorder()
		node.Handler().ServeHTTP(got, r)
		return answer{got.Code, got.Header(), got.Body.Bytes()}
	}
}
