package gateway_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

const physicsCodes = "/api/v1/admin/groups/physics-1/codes"

// Joining gives what the group gives, in every session of the person at once; a
// leaked code is replaced without touching those who joined by it.
func TestJoinByCode(t *testing.T) {
	l := newLab(t)
	root, linus, phone := l.signedIn("root"), l.signedIn("linus"), l.signedIn("linus")
	linus.refused(403, "GET", physicsCodes, nil)
	made := call[gateway.JoinCodeView](root, 201, "POST", physicsCodes, gateway.JoinCodeRequest{Limit: 5})
	if !strings.HasPrefix(made.Code, "lodge_join_") || len(made.Code) < 50 || made.Link != l.url+"/join/"+made.Code || made.State != "good" {
		t.Fatalf("made: %+v", made)
	}
	news := phone.messages()
	news.caughtUp()
	before := linus.cookie("lodge-dev")
	joined := call[gateway.JoinedView](linus, 200, "POST", "/api/v1/groups/join", gateway.JoinRequest{Code: " " + made.Code + " "})
	if joined.Group != "physics-1" || !joined.Joined || joined.Title == "" {
		t.Errorf("joined: %+v", joined)
	}
	if after := linus.cookie("lodge-dev"); after == before || after == "" {
		t.Error("the login has the code it had before")
	}
	for _, b := range []*browser{linus, phone} {
		if me := b.me(); !slices.Contains(me.Groups, "physics-1") {
			t.Errorf("groups: %v", me.Groups)
		}
	}
	l.signedIn("grace").sendsTo("group:physics-1", "hello course")
	news.notice("hello course")
	call[gateway.BookingView](linus, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: "pend01-physics-1", Seconds: 600})
	if again := call[gateway.JoinedView](linus, 200, "POST", "/api/v1/groups/join", gateway.JoinRequest{Code: made.Code}); again.Joined {
		t.Error("joined twice")
	}

	next := call[gateway.JoinCodeView](root, 201, "POST", physicsCodes+"/"+made.ID+"/rotate", gateway.JoinCodeRequest{})
	if next.Code == made.Code || next.Limit != 4 || !next.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("replaced by: %+v", next)
	}
	l.signedIn("grace").refused(404, "POST", "/api/v1/groups/join", gateway.JoinRequest{Code: made.Code})
	list := call[gateway.JoinCodesView](root, 200, "GET", physicsCodes, nil)
	if len(list.Codes) != 2 {
		t.Fatalf("listed: %+v", list)
	}
	for _, c := range list.Codes {
		if (c.ID == made.ID) != (c.State == "revoked") || (c.State == "revoked") != (c.Code == "") {
			t.Errorf("listed: %+v", c)
		}
	}
	members := call[gateway.MembersView](root, 200, "GET", "/api/v1/admin/groups/physics-1/members", nil)
	i := slices.IndexFunc(members.Members, func(m gateway.MemberView) bool { return m.Name == "Linus Pauling" })
	if len(members.Members) != 3 || i < 0 || members.Members[i].Code != made.ID {
		t.Fatalf("members: %+v", members)
	}
	// Those whom the institution put there stay there.
	ada := slices.IndexFunc(members.Members, func(m gateway.MemberView) bool { return m.Name == "Ada Lovelace" })
	root.refused(422, "DELETE", "/api/v1/admin/groups/physics-1/members/"+members.Members[ada].Person, nil)
	if got := root.do("DELETE", "/api/v1/admin/groups/physics-1/members/"+members.Members[i].Person, nil); got.status != 204 {
		t.Fatalf("removed: %d %s", got.status, got.body)
	}
	l.recorded(audit.LeaveGroup, "person:"+root.me().Person, "group:physics-1")
	if me := phone.me(); slices.Contains(me.Groups, "physics-1") {
		t.Errorf("groups after the removal: %v", me.Groups)
	}
	call[gateway.JoinedView](linus, 200, "POST", "/api/v1/groups/join", gateway.JoinRequest{Code: next.Code})
	if got := linus.do("POST", "/api/v1/groups/physics-1/leave", nil); got.status != 204 {
		t.Fatalf("left: %d %s", got.status, got.body)
	}
	linus.refused(422, "POST", "/api/v1/groups/physics-1/leave", nil)

	group, who := "group:physics-1", "person:"+linus.me().Person
	l.recorded(audit.JoinCode, "person:"+root.me().Person, group)
	l.recorded(audit.JoinGroup, who, group)
	l.recorded(audit.LeaveGroup, who, group)
	for _, secret := range []string{made.Code, next.Code} {
		if strings.Contains(l.log.String(), secret) {
			t.Error("a join code is in the log")
		}
		for _, e := range l.entries("") {
			if strings.Contains(e.Object+e.Reason, secret) {
				t.Error("a join code is in the audit trail")
			}
		}
	}
}

// An organiser of the group hands its codes out; expiry, limit and revocation hold.
func TestJoinCodeRefusals(t *testing.T) {
	l := newLab(t)
	l.grant("linus-organises", "organiser", "group:physics-1", "linus")
	linus, grace, root := l.signedIn("linus"), l.signedIn("grace"), l.signedIn("root")
	redeem := func(b *browser, code string, status int) {
		t.Helper()
		if got := b.do("POST", "/api/v1/groups/join", gateway.JoinRequest{Code: code}); got.status != status {
			t.Errorf("%d, want %d: %s", got.status, status, got.body)
		}
	}
	short := call[gateway.JoinCodeView](linus, 201, "POST", physicsCodes, gateway.JoinCodeRequest{Seconds: 60})
	single := call[gateway.JoinCodeView](linus, 201, "POST", physicsCodes, gateway.JoinCodeRequest{Limit: 1})
	gone := call[gateway.JoinCodeView](linus, 201, "POST", physicsCodes, gateway.JoinCodeRequest{})
	linus.refused(403, "POST", "/api/v1/admin/groups/everyone/codes", gateway.JoinCodeRequest{})
	root.refused(404, "POST", "/api/v1/admin/groups/nothing/codes", gateway.JoinCodeRequest{})
	for _, impossible := range []gateway.JoinCodeRequest{{Seconds: -1}, {Seconds: 400 * 24 * 60 * 60}, {Limit: -1}, {Limit: 100_001}} {
		linus.refused(422, "POST", physicsCodes, impossible)
	}
	l.clock.pass(time.Minute)
	redeem(grace, short.Code, 404)
	redeem(grace, single.Code, 200)
	redeem(root, single.Code, 404)
	if got := linus.do("DELETE", physicsCodes+"/"+gone.ID, nil); got.status != 204 {
		t.Fatalf("revoked: %d", got.status)
	}
	linus.refused(404, "DELETE", physicsCodes+"/nothing", nil)
	redeem(root, gone.Code, 404)
	linus.refused(404, "POST", physicsCodes+"/"+gone.ID+"/rotate", gateway.JoinCodeRequest{})
	linus.refused(404, "GET", physicsCodes+"/"+gone.ID+"/qr.svg", nil)
	l.browser().refused(401, "POST", "/api/v1/groups/join", gateway.JoinRequest{Code: single.Code})
	l.recorded(audit.JoinCodeRevoke, "person:"+linus.me().Person, "group:physics-1")

	// Guessing is as limited as at a lookup, and hits are free.
	fresh := call[gateway.JoinCodeView](linus, 201, "POST", physicsCodes, gateway.JoinCodeRequest{})
	ada := l.signedIn("ada")
	for range 10 {
		redeem(ada, fresh.Code, 200)
		redeem(ada, "lodge_join_guess", 404)
	}
	got := ada.do("POST", "/api/v1/groups/join", gateway.JoinRequest{Code: fresh.Code})
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("the eleventh: %d %s", got.status, got.body)
	}
	redeem(root, fresh.Code, 200)
}

// The picture holds the link, and only whoever hands it out sees it.
func TestJoinQR(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	made := call[gateway.JoinCodeView](root, 201, "POST", physicsCodes, gateway.JoinCodeRequest{})
	path := physicsCodes + "/" + made.ID + "/qr.svg"
	got := root.do("GET", path, nil)
	var svg struct {
		XMLName xml.Name `xml:"svg"`
		Paths   []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.NewDecoder(bytes.NewReader(got.body)).Decode(&svg); err != nil || got.status != 200 || len(svg.Paths) != 2 || strings.Count(svg.Paths[1].D, "M") < 200 {
		t.Errorf("%d %v %.200s", got.status, err, got.body)
	}
	if got.header.Get("Content-Type") != "image/svg+xml" || strings.Contains(string(got.body), made.Code) {
		t.Errorf("sent as %v", got.header)
	}
	ada.refused(403, "GET", path, nil)
}

// Codes of a mounted file work as it is now, without a restart.
func TestJoinCodesOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "codes.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("join_codes: []\n")
	l := newLab(t, func(c *gateway.Config) { c.JoinCodesFile = file })
	linus, grace, root := l.signedIn("linus"), l.signedIn("grace"), l.signedIn("root")
	const first, second = "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba"
	join := func(b *browser, code string, status int) {
		t.Helper()
		if got := b.do("POST", "/api/v1/groups/join", gateway.JoinRequest{Code: code}); got.status != status {
			t.Errorf("%d, want %d: %s", got.status, status, got.body)
		}
	}
	join(linus, first, 404)
	put("join_codes:\n- {group: physics-1, code: " + first + ", limit: 1}\n")
	join(linus, first, 200)
	join(grace, first, 404) // used up
	list := call[gateway.JoinCodesView](root, 200, "GET", physicsCodes, nil)
	if len(list.Codes) != 1 || list.Codes[0].Source != "file" || list.Codes[0].Uses != 1 || list.Codes[0].State != "used-up" {
		t.Errorf("listed: %+v", list)
	}
	root.refused(422, "POST", physicsCodes+"/"+list.Codes[0].ID+"/rotate", gateway.JoinCodeRequest{})
	put("join_codes:\n- {group: physics-1, code: " + second + "}\n")
	join(root, first, 404)
	join(grace, second, 200)
	if me := linus.me(); !slices.Contains(me.Groups, "physics-1") {
		t.Errorf("who joined by the old one: %v", me.Groups)
	}
	put("join_codes: [{group: physics-1, code: short}]\n")
	join(root, second, 503)
	if strings.Contains(l.log.String(), second) {
		t.Error("a join code is in the log")
	}
}
