package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// Whoever asks, and whatever else the browser holds: one login in good standing is
// let through, nobody else is, and nobody may store either answer.
func TestVerifyLetsThroughALoginAlone(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	login := ada.cookie("lodge-dev")
	booking := l.lookUp(ada.book("pend00-everyone")).cookie("lodge-dev-booking")
	with := func(format string, values ...any) pair { return pair{"Cookie", fmt.Sprintf(format, values...)} }
	check := func(want int, method string, headers ...pair) {
		t.Helper()
		got := l.browser().do(method, "/auth/verify", nil, headers...)
		if subject := got.header.Get("X-Lodge-Subject"); got.status != want || (subject != "") != (want == 200) {
			t.Errorf("%s %v: %d as %q, want %d", method, headers, got.status, subject, want)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %v may be stored: %v", method, headers, got.header)
		}
	}
	check(200, "GET", with("lodge-dev=%s", login))
	check(200, "HEAD", with("lodge-dev=%s", login))
	check(200, "GET", with("a=b; lodge-dev=%s; lodge-dev-booking=%s", login, booking))
	check(200, "GET", with("lodge-dev=%s; lodge-dev-booking=rubbish", login))
	check(200, "GET", with("a=b"), with("lodge-dev=%s", login))
	check(200, "GET", with("lodge-dev=%s; lodge-dev=%[1]s", login))
	check(403, "GET", with("lodge-dev-booking=%s", booking))
	check(403, "GET", with("lodge-dev=rubbish; lodge-dev-booking=%s", booking))
	check(401, "GET", with("lodge-dev=%s", booking))
	check(401, "GET", with("lodge-dev-booking=%s", login))
	check(401, "GET", with("lodge-dev=%s; lodge-dev=x", login))
	check(401, "GET", with("lodge-dev=%s; lodge-dev", login))
	check(401, "GET")
	if got := l.browser().do("GET", "/auth/verify", nil, with("lodge-dev=%s", login), pair{"Host", otherHost}); got.status == 200 {
		t.Errorf("another tenant lets the login through")
	}
}

// A check is use, noted once a minute at the most; without one, a login is idle.
func TestVerifyCountsAsUse(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	session := ada.me().Session
	for range 3 {
		l.clock.pass(25 * time.Second)
		if got := ada.do("GET", "/auth/verify", nil, pair{"Sec-Fetch-Dest", "empty"}); got.status != 200 {
			t.Fatal(got.status)
		}
	}
	found, err := l.sessions.Get(t.Context(), lodge.DefaultTenant, sessions.ID(session.ID))
	if err != nil || !found.SeenAt.Equal(session.SeenAt.Add(75*time.Second)) {
		t.Errorf("after checks at 25, 50 and 75 s it was last seen %s after the first time, %v", found.SeenAt.Sub(session.SeenAt), err)
	}
	l.clock.pass(time.Hour)
	ada.refused(401, "GET", "/auth/verify", nil)
	if found.State(l.clock.Now()) != sessions.Active || !found.Idle(l.clock.Now()) {
		t.Error("the login is not idle but over")
	}
}
