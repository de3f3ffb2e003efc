package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

const lodgeV1 = "lodge: v1\n"

func ifMatch(value string) pair { return pair{"If-Match", value} }

func manifest(text string) gateway.CatalogueChange {
	return gateway.CatalogueChange{Manifest: lodgeV1 + text}
}

func (b *browser) plan(text string) (gateway.PlanView, string) {
	b.Helper()
	got := b.do("POST", "/api/v1/admin/catalogue/plan", manifest(text))
	if got.status != 200 {
		b.Fatalf("plan: %d %s", got.status, got.body)
	}
	return call[gateway.PlanView](b, 200, "POST", "/api/v1/admin/catalogue/plan", manifest(text)), got.header.Get("ETag")
}

func (b *browser) applies(text string) gateway.AppliedView {
	b.Helper()
	return call[gateway.AppliedView](b, 200, "POST", "/api/v1/admin/catalogue/apply", manifest(text), ifMatch("*"))
}

func (b *browser) mayNotApply(text string) {
	b.Helper()
	for _, path := range []string{"plan", "apply"} {
		b.refused(403, "POST", "/api/v1/admin/catalogue/"+path, manifest(text), ifMatch("*"))
	}
}

// closed awaits the end of a stream.
func (l *lab) closed(stream *websocket.Conn) {
	l.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for {
		if _, _, err := stream.Read(ctx); err != nil {
			if ctx.Err() != nil {
				l.Fatal("the stream is open still")
			}
			return
		}
	}
}

// refusedPractable asks for a stream with a code and is refused.
func (b *browser) refusedPractable(status int, path, code string) {
	b.Helper()
	if got := b.do("POST", path, nil, authorization(code)); got.status != status {
		b.Errorf("%s: %d, want %d", path, got.status, status)
	}
}

// grant gives somebody a role by the catalogue, as an operator would.
func (l *lab) grant(name, role, scope, account string) {
	l.Helper()
	ch := booking.Change{Put: booking.Catalogue{Roles: map[string]booking.RoleBinding{name: {Role: role, Scope: scope, Subjects: []string{"dev:" + account}}}}}
	_, err := l.desk.ApplyChange(l.Context(), "default", ch, booking.Decision{})
	l.must(err)
}

// From a plan to an apply, under a live booking: the stream that is open moves with
// it, or ends, and its person hears why.
func TestPlanAndApplyUnderALiveBooking(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	mine := ada.book("pend00-everyone")
	activity := ada.launch(mine)
	data := ada.stream(activity, "data")
	news, bystander := ada.messages(), l.signedIn("soren").messages()
	news.caughtUp()
	bystander.caughtUp()

	const change = "pools: {pendulums: {experiments: [pend01, pend02]}}\nroles: {linus: {role: technician, scope: 'experiment:pend01', subjects: ['dev:linus']}}\n" +
		"remove: {experiments: [pend00], slots: [pend00-everyone, pend00-physics-1]}"
	plan, etag := root.plan(change)
	if len(plan.Touched) != 1 || plan.Touched[0].Booking != mine.ID || plan.Touched[0].MoveTo != "pend02" || plan.Touched[0].Name != "Ada Lovelace" {
		t.Fatalf("touched: %+v", plan.Touched)
	}
	problem := root.do("POST", "/api/v1/admin/catalogue/apply", manifest(change), ifMatch(etag))
	if problem.status != 422 || !strings.Contains(string(problem.body), mine.ID) {
		t.Errorf("without a choice: %d %s", problem.status, problem.body)
	}
	req := manifest(change)
	req.Objects = map[string]string{"experiments.pend00": "move"}
	req.Message = "Pendulum 0 is taken apart; you have Pendulum 2 instead."
	root.refused(400, "POST", "/api/v1/admin/catalogue/apply", req)
	root.refused(400, "POST", "/api/v1/admin/catalogue/apply", req, ifMatch("yesterday"))
	root.refused(409, "POST", "/api/v1/admin/catalogue/apply", req, ifMatch(`"77"`))
	done := call[gateway.AppliedView](root, 200, "POST", "/api/v1/admin/catalogue/apply", req, ifMatch(etag))
	if len(done.Outcomes) != 1 || done.Outcomes[0].Choice != booking.MoveIt || done.Outcomes[0].From != "pend00" || done.Outcomes[0].Experiment != "pend02" {
		t.Fatalf("outcomes: %+v", done.Outcomes)
	}
	l.closed(data)
	var heard gateway.BookingChanged
	l.must(json.Unmarshal(news.await("the move", func(e event) bool { return e.Type == "lodge.booking" && strings.Contains(string(e.Data), "moved") }).Data, &heard))
	if heard.Change != "moved" || heard.Experiment != "pend02" || heard.Reason != req.Message {
		t.Errorf("heard: %+v", heard)
	}
	bystander.await("that the offer has changed", func(e event) bool { return e.Type == "lodge.catalogue" && e.Topic == "all" })
	// The code that was given out is good for the new rig's streams, and a launch
	// shows them.
	call[gateway.TicketView](ada, 200, "POST", "/session/pend02-data", nil, authorization(code(activity)))
	ada.refusedPractable(403, "/session/pend00-data", code(activity))
	if again := ada.launch(mine); again.Booking.Experiment != "pend02" || again.Streams[0].Topic != "pend02-data" {
		t.Errorf("launched: %+v", again.Streams)
	}
	// Two who planned with the same: one wins.
	root.refused(409, "POST", "/api/v1/admin/catalogue/apply", gateway.CatalogueChange{Manifest: lodgeV1 + "pools: {pendulums: {experiments: [pend02]}}"}, ifMatch(etag))

	actor := "person:" + root.me().Person
	l.recorded(audit.CatalogueApply, actor, "catalogue")
	l.recorded(audit.BookingMove, actor, "booking:"+mine.ID)
	l.recorded(audit.RoleBind, actor, "role:linus")
	if e := l.entries(audit.BookingMove)[0]; !strings.Contains(e.Reason, "moved from pend00 to pend02") || !strings.Contains(e.Reason, "experiments.pend00 is removed") {
		t.Errorf("recorded: %s", e.Reason)
	}
}

// A booking that is cancelled by a change ends for everybody who is on it.
func TestApplyCancelsWithAMessage(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	mine := ada.book("pend00-everyone")
	data := ada.stream(ada.launch(mine), "data")
	req := manifest("groups: {everyone: {policies: []}}")
	req.Touched, req.Message = "cancel", "The open day is over."
	call[gateway.AppliedView](root, 200, "POST", "/api/v1/admin/catalogue/apply", req, ifMatch("*"))
	l.closed(data)
	if after := call[gateway.BookingView](ada, 200, "GET", mine.Links.Self, nil); after.State != "cancelled" || after.Reason != req.Message {
		t.Errorf("after: %+v", after)
	}
	l.recorded(audit.CancelByOther, "person:"+root.me().Person, "booking:"+mine.ID)
}

// What was kept is kept; new streams of its experiment reach the codes that are out,
// and the host's.
func TestApplyKeepsAndRenewsCodes(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	mine := ada.book("pend00-everyone")
	activity := ada.launch(mine)
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	req := manifest("experiments: {pend00: {description: pend00, streams: [{for: data, topic: pend00-renamed, scopes: [read]}]}}")
	req.Bookings = map[string]string{mine.ID: "keep"}
	call[gateway.AppliedView](root, 200, "POST", "/api/v1/admin/catalogue/apply", req, ifMatch("*"))
	for _, one := range []string{code(activity), host} {
		call[gateway.TicketView](ada, 200, "POST", "/session/pend00-renamed", nil, authorization(one))
		ada.refusedPractable(403, "/session/pend00-data", one)
	}
	l.recorded(audit.BookingKeep, "person:"+root.me().Person, "booking:"+mine.ID)
}

// Who may change what: a technician their experiment, an organiser what is their
// groups', nobody else anything.
func TestWhoMayChangeWhat(t *testing.T) {
	l := newLab(t)
	l.grant("grace-organises", "organiser", "group:physics-1", "grace")
	root, linus, grace, ada := l.signedIn("root"), l.signedIn("linus"), l.signedIn("grace"), l.signedIn("ada")

	// The technician of pend00.
	linus.applies("experiments: {pend00: {description: pend00, topic_stub: pend00, config_url: 'https://x.example/c.json', tests: [swings], streams: [{for: data, scopes: [read, write]}, {for: video, scopes: [read]}], state: {online: false, reason: oiled}}}")
	linus.applies("descriptions: {pend00: {title: Pendulum nought}}\nexperiments: {pend00: {description: pend00, streams: [{for: data, scopes: [read, write]}, {for: video, scopes: [read]}]}}")
	for _, theirs := range []string{
		"experiments: {pend01: {description: pend01}}",
		"experiments: {pend09: {}}",
		"remove: {experiments: [pend00], slots: [pend00-everyone, pend00-physics-1], roles: [linus]}\npools: {pendulums: {experiments: [pend01, pend02]}}",
		"experiments: {pend00: {streams: [{for: data, topic: pend01-data, scopes: [read, write]}]}}", // another's relay topic
		"descriptions: {pend01: {title: Mine}}",
		"descriptions: {nobodys: {title: Mine}}",
		"pools: {pendulums: {experiments: [pend00]}}",
		"policies: {everyone: {max_duration: 9h}}",
		"slots: {mine: {experiment: pend00, policy: everyone, ui_set: plain}}",
		"groups: {everyone: {policies: [everyone, physics-1]}}",
		"roles: {more: {role: administrator, scope: tenant, subjects: ['dev:linus']}}",
		"uis: {pendulum: {url: 'https://evil.example'}}",
	} {
		linus.mayNotApply(theirs)
	}

	// The organiser of physics-1.
	grace.applies("policies: {physics-1: {description: physics-1, max_duration: 2h, min_duration: 5m}}")
	grace.applies("policies: {evening: {max_duration: 3h, guides: [hour]}}\ngroups: {physics-1: {policies: [physics-1, evening]}}\n" +
		"windows: {evenings: {allowed: [{start: 2026-09-01, end: 2026-12-01}]}}\nui_sets: {course: {uis: [pendulum]}}\n" +
		"slots: {pend02-evening: {experiment: pend02, policy: evening, ui_set: course, window: evenings}}\n" +
		"guides: {hour: {duration: 1h, book_ahead: 24h, max_slots: 3}}\noverrides: {ada: {subjects: ['dev:ada'], policy: evening, max_duration: 5h}}")
	grace.applies("windows: {evenings: {allowed: [{start: 2026-09-01, end: 2026-11-01}]}}")
	grace.applies("remove: {slots: [pend02-evening]}")
	for _, theirs := range []string{
		"experiments: {pend00: {description: pend00}}",
		"pools: {new: {experiments: [pend00]}}",
		"policies: {everyone: {max_duration: 9h}}",
		"groups: {everyone: {policies: []}}",
		"groups: {mine: {policies: []}}",
		"groups: {physics-1: {policies: [physics-1, everyone]}}", // another group's policy
		"policies: {stray: {}}",                                  // nobody's
		"slots: {pend00-everyone: {experiment: pend01, policy: everyone, ui_set: plain}}",
		"slots: {pend00-everyone: {experiment: pend00, policy: physics-1, ui_set: plain}}", // taken from another policy
		"windows: {open: {allowed: []}}",                                                   // others use it too
		"overrides: {all: {subjects: ['dev:grace'], max_duration: 9h}}",
		"guides: {short: {duration: 1m}}",
		"roles: {more: {role: organiser, scope: tenant, subjects: ['dev:grace']}}",
		"remove: {groups: [physics-1], roles: [grace-organises]}",
	} {
		grace.mayNotApply(theirs)
	}
	ada.mayNotApply("descriptions: {pend00: {title: Mine}}")
	l.browser().refused(401, "POST", "/api/v1/admin/catalogue/plan", manifest("windows: {}"))

	// Each gets as a file what is theirs.
	files := map[*browser]string{}
	for _, b := range []*browser{root, linus, grace} {
		got := b.do("GET", "/api/v1/admin/catalogue/export", nil)
		if got.status != 200 || got.header.Get("ETag") == "" {
			t.Fatalf("export: %d %s", got.status, got.body)
		}
		files[b] = string(got.body)
	}
	if f := files[linus]; !strings.Contains(f, "pend00") || strings.Contains(f, "policies:") || strings.Contains(f, "roles:") {
		t.Errorf("the technician's: %s", f)
	}
	if f := files[grace]; !strings.Contains(f, "evening:") || strings.Contains(f, "experiments:") || strings.Contains(f, "everyone:") {
		t.Errorf("the organiser's: %s", f)
	}
	ada.refused(403, "GET", "/api/v1/admin/catalogue/export", nil)
	for b, f := range files {
		if done := call[gateway.AppliedView](b, 200, "POST", "/api/v1/admin/catalogue/apply", gateway.CatalogueChange{Manifest: f}, ifMatch("*")); len(done.Ops) != 0 {
			t.Errorf("an export applied changed %+v", done.Ops)
		}
	}
}

// The role of a pool's technician holds for its experiments, as they are now.
func TestTechnicianOfAPool(t *testing.T) {
	l := newLab(t)
	l.grant("pool", "technician", "pool:pendulums", "grace")
	grace, root := l.signedIn("grace"), l.signedIn("root")
	call[gateway.ExperimentView](grace, 200, "PUT", "/api/v1/admin/experiments/pend01/state", gateway.ExperimentStateRequest{Online: false, Reason: "dust"})
	root.applies("pools: {pendulums: {experiments: [pend00, pend02]}}")
	grace.refused(403, "PUT", "/api/v1/admin/experiments/pend01/state", gateway.ExperimentStateRequest{Online: true})
	call[gateway.ExperimentView](grace, 200, "PUT", "/api/v1/admin/experiments/pend02/state", gateway.ExperimentStateRequest{Online: false, Reason: "dust"})
}

// A manifest that cannot be used is refused with what is wrong and where.
func TestFaultyManifestsAreRefused(t *testing.T) {
	l := newLab(t)
	root := l.signedIn("root")
	for text, want := range map[string]string{
		"experiments:\n  x: {colour: red}":                                 `"line":3`,
		"slots:\n  s: {experiment: gone, policy: everyone, ui_set: plain}": `"line":3`,
		"":     "neither a practable manifest",
		"a: [": "manifest",
	} {
		got := root.do("POST", "/api/v1/admin/catalogue/plan", manifest(text))
		if got.status != 422 || !strings.Contains(string(got.body), want) {
			t.Errorf("%q: %d %s", text, got.status, got.body)
		}
	}
	req := manifest("descriptions: {d: {title: D}}")
	req.Objects = map[string]string{"rigs.pend00": "keep"}
	root.refused(422, "POST", "/api/v1/admin/catalogue/plan", req)
	req = manifest("slots:\n  s: {experiment: gone, policy: everyone, ui_set: plain}\ndescriptions: {d: {title: D}}")
	req.Lenient = true
	plan := call[gateway.PlanView](root, 200, "POST", "/api/v1/admin/catalogue/plan", req)
	if len(plan.LeftOut) != 1 || plan.LeftOut[0].Line != 3 || len(plan.Ops) != 1 {
		t.Errorf("leniently: %+v", plan)
	}
}

// A technician tests a rig that is hidden from everybody, on a session of their
// own, which ends when the rig is given back.
func TestTestingARig(t *testing.T) {
	l := newLab(t)
	linus, ada, root := l.signedIn("linus"), l.signedIn("ada"), l.signedIn("root")
	l.rig("pend00", "pend00-data")
	mine := ada.book("pend00-everyone")
	const path = "/api/v1/admin/experiments/pend00/test"
	linus.refused(409, "POST", path, nil)
	ada.refused(403, "POST", path, nil)
	linus.refused(403, "POST", "/api/v1/admin/experiments/pend01/test", nil)
	root.refused(404, "POST", "/api/v1/admin/experiments/gone/test", nil)
	call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: false, Reason: "test"})
	ada.refused(409, "POST", mine.Links.Self+"/activity", nil)
	test := call[gateway.TestView](linus, 201, "POST", path, nil)
	if len(test.UIs) != 2 || len(test.Streams) != 2 || !strings.Contains(test.UIs[0].URL, "streams=") {
		t.Errorf("test: %+v", test)
	}
	data := linus.stream(gateway.Activity{Streams: test.Streams}, "data")
	if left := call[gateway.RemainingView](linus, 200, "GET", "/api/v1/experiment", nil, authorization(test.Streams[0].Token)); left.Booking != "" || !left.End.Equal(l.clock.Now().Add(time.Hour)) {
		t.Errorf("remaining: %+v", left)
	}
	l.recorded(audit.TestStart, "person:"+linus.me().Person, "experiment:pend00")
	call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: true})
	l.closed(data)
	l.recorded(audit.TestEnd, "lodge", "experiment:pend00")
	ada.launch(mine)

	// Ended by hand, and with the right.
	call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: false, Reason: "again"})
	test = call[gateway.TestView](linus, 201, "POST", path, nil)
	data = linus.stream(gateway.Activity{Streams: test.Streams}, "data")
	ada.refused(403, "DELETE", path, nil)
	if got := linus.do("DELETE", path, nil); got.status != 204 {
		t.Fatalf("ended: %d %s", got.status, got.body)
	}
	l.closed(data)
	test = call[gateway.TestView](linus, 201, "POST", path, nil)
	data = linus.stream(gateway.Activity{Streams: test.Streams}, "data")
	root.do("DELETE", "/api/v1/admin/roles/linus", nil)
	l.closed(data)
}
