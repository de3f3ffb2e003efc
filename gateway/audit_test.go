package gateway_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// entries are the newest of an action.
func (l *lab) entries(action audit.Action) []audit.Entry {
	l.Helper()
	found, err := l.trail.List(l.Context(), lodge.DefaultTenant, audit.Filter{Action: action, Limit: 1000})
	l.must(err)
	return found
}

// recorded expects the newest entry of an action to be of an actor and about an
// object.
func (l *lab) recorded(action audit.Action, actor, object string) {
	l.Helper()
	found := l.entries(action)
	if len(found) == 0 {
		l.Errorf("no %s is recorded", action)
		return
	}
	if last := found[len(found)-1]; last.Actor != actor || last.Object != object || last.Address != "127.0.0.1" {
		l.Errorf("%s is recorded as %+v, want actor %s and object %s", action, last, actor, object)
	}
}

func TestSec41_EveryDecisionIsRecorded(t *testing.T) {
	l := newLab(t)
	ada, grace, linus, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("linus"), l.signedIn("root")
	actor := func(b *browser) string { return "person:" + b.me().Person }
	l.recorded(audit.SignIn, actor(root), "issuer:dev")

	b := l.browser()
	if got := b.do("GET", "/callback/dev?state=forged&code=x", nil); got.status < 400 {
		t.Fatalf("a forged callback: %d", got.status)
	}
	l.recorded(audit.SignInRefused, "nobody", "issuer:dev")

	booking := ada.book("pend00-everyone")
	l.recorded(audit.Book, actor(ada), "booking:"+booking.ID)
	guest := l.lookUp(booking)
	l.recorded(audit.Lookup, "session:"+guest.me().Session.ID, "booking:"+booking.ID)
	wrong := gateway.LookupRequest{Surname: "Nobody\r\nElse", Reference: booking.Reference}
	b.refused(404, "POST", "/api/v1/bookings/lookup", wrong)
	l.recorded(audit.LookupRefused, "nobody", "lookup")
	activity := ada.launch(booking)
	l.recorded(audit.Grant, actor(ada), "experiment:pend00")
	call[gateway.BookingView](guest, 200, "POST", booking.Links.Self+"/extend", gateway.ExtendRequest{Seconds: booking.Extend[0] * 60})
	l.recorded(audit.Extend, "session:"+guest.me().Session.ID, "booking:"+booking.ID)

	ada.refused(403, "GET", "/api/v1/admin/sessions", nil)
	l.recorded(audit.Deny, actor(ada), "GET /api/v1/admin/sessions")
	ada.refused(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "hello"})
	l.recorded(audit.Deny, actor(ada), "POST /api/v1/messages")
	call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "hello"})
	l.recorded(audit.Send, actor(grace), "all")
	state := "/api/v1/admin/experiments/pend00/state"
	call[gateway.ExperimentView](linus, 200, "PUT", state, gateway.ExperimentStateRequest{Reason: "broken"})
	call[gateway.ExperimentView](linus, 200, "PUT", state, gateway.ExperimentStateRequest{Online: true})
	l.recorded(audit.ExperimentState, actor(linus), "experiment:pend00")

	call[gateway.BookingView](grace, 200, "DELETE", booking.Links.Self, nil)
	l.recorded(audit.CancelByOther, actor(grace), "booking:"+booking.ID)
	if got := ada.do("POST", activity.Streams[0].URL, nil, authorization(code(activity))); got.status < 400 {
		t.Fatalf("a stream of a cancelled booking: %d", got.status)
	}
	if found := l.entries(audit.Deny); !strings.HasPrefix(found[len(found)-1].Object, "POST /session/") {
		t.Errorf("the refused stream is not recorded: %+v", found[len(found)-1])
	}

	made := call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	l.recorded(audit.CodeCreate, actor(root), "session:"+made.Session.ID)
	root.do("DELETE", "/api/v1/admin/codes/"+made.Session.ID, nil)
	l.recorded(audit.CodeRevoke, actor(root), "session:"+made.Session.ID)
	target := guest.me().Session.ID
	root.do("DELETE", "/api/v1/admin/sessions/"+target, nil)
	l.recorded(audit.SessionEnd, actor(root), "session:"+target)
	person := ada.me().Person
	call[gateway.RevokedView](root, 200, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Person: person})
	l.recorded(audit.SessionsEnd, actor(root), "person:"+person)
	for action, disabled := range map[audit.Action]bool{audit.PersonDisable: true, audit.PersonEnable: false} {
		call[gateway.PersonView](root, 200, "PUT", "/api/v1/admin/persons/"+person+"/disabled", gateway.DisableRequest{Disabled: disabled})
		l.recorded(action, actor(root), "person:"+person)
	}
	call[gateway.PersonView](root, 200, "PUT", "/api/v1/admin/persons/"+person+"/disabled", gateway.DisableRequest{})
	who, session := actor(linus), linus.me().Session.ID
	linus.do("POST", "/logout", url.Values{})
	l.recorded(audit.SignOut, who, "session:"+session)

	report, err := l.trail.Verify(t.Context(), 0)
	if err != nil || !report.Intact() {
		t.Errorf("the trail: %+v, %v", report, err)
	}
	l.mute(booking, wrong, made.Code, code(activity))
}

// mute expects that no key is in the trail, nor a line break.
func (l *lab) mute(booking gateway.BookingView, wrong gateway.LookupRequest, codes ...string) {
	l.Helper()
	all, err := l.trail.List(l.Context(), lodge.DefaultTenant, audit.Filter{Limit: 1000})
	l.must(err)
	for _, e := range all {
		for _, text := range []string{e.Actor, e.Object, e.Reason, e.Address} {
			for _, secret := range append(codes, booking.Reference, wrong.Surname, "\r", "\n") {
				if strings.Contains(text, secret) {
					l.Errorf("entry %d holds %q: %q", e.Seq, secret, text)
				}
			}
		}
	}
}

func TestSec41_AnyTamperingShowsAndChecksWriteNothing(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	count := func() int {
		all, err := l.trail.List(t.Context(), lodge.DefaultTenant, audit.Filter{Limit: 1000})
		l.must(err)
		return len(all)
	}
	before := count()
	for range 20 {
		ada.do("GET", "/auth/verify", nil)
		ada.me()
		l.browser().do("GET", "/auth/verify", nil)
	}
	if after := count(); after != before {
		t.Errorf("checks wrote %d entries", after-before)
	}
	// The head is written outside the database when it is closed, at the latest.
	l.must(l.trail.Close())
	if _, err := os.Stat(filepath.Join(l.dir, "audit.head")); err != nil {
		t.Error(err)
	}
	l.must(os.WriteFile(filepath.Join(l.dir, "audit.head"), []byte(`{"seq":99,"mac":"`+strings.Repeat("ab", 32)+`"}`), 0o600))
	if report, err := l.gateway.VerifyAudit(t.Context(), 0); err != nil || report.Intact() || report.Findings[0].Kind != audit.FoundCut {
		t.Errorf("a head that the trail has not: %+v, %v", report, err)
	}
}

func TestSec41_RoleChangeIsRecorded(t *testing.T) {
	l := newLab(t)
	grace := l.signedIn("grace")
	me := grace.me()
	l.must(l.sessions.Refresh(t.Context(), lodge.DefaultTenant, lodge.PersonID(me.Person), me.Groups, []lodge.Binding{{Role: lodge.RoleViewer, Scope: lodge.ScopeTenant}}))
	l.clock.pass(time.Second)
	grace.signIn("grace")
	l.recorded(audit.RoleChange, "person:"+me.Person, "person:"+me.Person)
	if last := l.entries(audit.RoleChange)[0]; !strings.Contains(last.Reason, "before: roles viewer@tenant") || !strings.Contains(last.Reason, "now: roles instructor@") {
		t.Errorf("the reason: %s", last.Reason)
	}
	grace.signIn("grace")
	if n := len(l.entries(audit.RoleChange)); n != 1 {
		t.Errorf("the same roles again are recorded as a change: %d", n)
	}
}

func TestAuditIsForAdministrators(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	ada.refused(403, "GET", "/api/v1/admin/audit", nil)
	all := call[gateway.AuditView](root, 200, "GET", "/api/v1/admin/audit", nil).Entries
	if len(all) < 3 || !slices.IsSortedFunc(all, func(a, b gateway.AuditEntryView) int { return int(a.Seq) - int(b.Seq) }) {
		t.Fatalf("the trail: %+v", all)
	}
	last := all[len(all)-1]
	if last.Action != "deny" || last.Actor != "person:"+ada.me().Person {
		t.Errorf("the last entry: %+v", last)
	}
	for query, want := range map[string]int{"action=deny": 1, "actor=" + url.QueryEscape(last.Actor): 2, "limit=1": 1, "after=0": len(all), "action=never": 0} {
		if got := call[gateway.AuditView](root, 200, "GET", "/api/v1/admin/audit?"+query, nil).Entries; len(got) != want {
			t.Errorf("%s: %d entries, want %d", query, len(got), want)
		}
	}
	for _, query := range []string{"limit=0", "limit=501", "after=-1"} {
		root.refused(400, "GET", "/api/v1/admin/audit?"+query, nil)
	}
}
