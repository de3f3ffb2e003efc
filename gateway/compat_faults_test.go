package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// Each test of this file is about a fault that practable's relay has.

// There, a bad token was a 500, and one without iat panicked.
func TestCompatFaultBadTokensAreRefused(t *testing.T) {
	n := newCompatLab(t)
	for _, missing := range []string{"booking_id", "topic", "prefix", "scopes", "aud", "iat", "nbf", "exp"} {
		claims := n.claims(student)
		delete(claims, missing)
		token := compatSign(t, claims)
		for _, call := range []struct{ method, path string }{
			{http.MethodPost, "/session/" + compatTopic},
			{http.MethodDelete, "/session/" + compatTopic},
			{http.MethodGet, "/status"},
			{http.MethodGet, "/bids/deny"},
			{http.MethodPost, "/bids/allow?" + bidQuery("b1", time.Hour)},
		} {
			if a := n.call(t, call.method, call.path, token); a.status != http.StatusUnauthorized {
				t.Errorf("without %s, %s %s: %d %s", missing, call.method, call.path, a.status, a.body)
			}
		}
	}
}

// There, everybody was let in by the handshake, and who was refused then kept a
// socket that was open and silent; an address was good for 90 seconds.
func TestCompatFaultRefusedBeforeTheUpgradeAndOnce(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		good := n.uri(t, compatTopic, issue(student))
		ws := "ws" + strings.TrimPrefix(n.at, "http")
		for name, uri := range map[string]string{
			"no ticket":     ws + "/session/" + compatTopic,
			"rubbish":       ws + "/session/" + compatTopic + "?code=rubbish",
			"the code":      ws + "/session/" + compatTopic + "?code=" + issue(student),
			"another topic": strings.Replace(n.uri(t, compatTopic, issue(student)), compatTopic, "pend01-data", 1),
		} {
			if conn, status := wstest.TryDial(t, n.client, uri, nil); conn != nil || status != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, status)
			}
		}
		wstest.Dial(t, n.client, good, nil)
		if conn, status := wstest.TryDial(t, n.client, good, nil); conn != nil || status != http.StatusUnauthorized {
			t.Errorf("a second time: %d", status)
		}
	})
}

// There, a page of any origin could open a stream.
func TestCompatFaultOrigins(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		code := issue(student)
		for origin, want := range map[string]int{
			compatOrigin: http.StatusSwitchingProtocols, n.url: http.StatusSwitchingProtocols, "": http.StatusSwitchingProtocols,
			"https://evil.example": http.StatusForbidden, "null": http.StatusForbidden, compatOrigin + ".evil.example": http.StatusForbidden,
		} {
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			if _, status := wstest.TryDial(t, n.client, n.uri(t, compatTopic, code), header); status != want {
				t.Errorf("origin %q: %d, want %d", origin, status, want)
			}
		}
	})
}

// There, a connection whose time was up vanished without a word.
func TestCompatFaultExpirySaysSo(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		w := student
		w.lasts = 5 * time.Second
		code := issue(w)
		conn := n.connect(t, compatTopic, code)
		n.closed(t, conn, relay.StatusExpired)
		if a := n.call(t, http.MethodPost, "/session/"+compatTopic, code); a.status != http.StatusUnauthorized {
			t.Errorf("afterwards: %d", a.status)
		}
	})
}

// There, denials were forgotten at a restart.
func TestCompatFaultDenialsSurviveARestart(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b1", time.Hour), issue(admin)); a.status != 204 {
			t.Fatal(a.status, a.body)
		}
		opaque := compatOpaque(t, n, student)
		after := n.restart(t)
		for kind, code := range map[string]string{"jwt": compatJWT(t, after, student), "opaque": opaque} {
			if a := after.call(t, http.MethodPost, "/session/"+compatTopic, code); a.status != http.StatusForbidden {
				t.Errorf("%s after the restart: %d %s", kind, a.status, a.body)
			}
		}
		if got := bookingIDs(t, after.call(t, http.MethodGet, "/bids/deny", compatOpaque(t, after, admin))); len(got) != 1 || got[0] != "b1" {
			t.Errorf("listed %q", got)
		}
	})
}

// Any node denies for all of them, at once.
func TestCompatNodesShareDenials(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		second := n.node(t)
		boss, ada := issue(admin), issue(student)
		conn := second.connect(t, compatTopic, ada)
		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b1", time.Hour), boss); a.status != 204 {
			t.Fatal(a.status, a.body)
		}
		second.closed(t, conn, relay.StatusRevoked)
		if a := second.call(t, http.MethodPost, "/session/"+compatTopic, ada); a.status != http.StatusForbidden {
			t.Errorf("the other node: %d", a.status)
		}
		if a := second.call(t, http.MethodPost, "/bids/allow?"+bidQuery("b1", time.Hour), boss); a.status != 204 {
			t.Fatal(a.status, a.body)
		}
		n.connect(t, compatTopic, ada)
	})
}

// A person ends their own token: that one, and no other of the same booking.
func TestSec23_OwnTokenEnded(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		w := student
		mine := issue(w)
		w.lasts = 50 * time.Minute // so that the tokens differ
		theirs := issue(w)
		conn, kept := n.connect(t, compatTopic, mine), n.connect(t, compatTopic, theirs)
		for range 2 { // again is no error
			if a := n.call(t, http.MethodDelete, "/session/"+compatTopic, mine); a.status != 204 || a.body != "" {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		n.closed(t, conn, relay.StatusRevoked)
		if a := n.call(t, http.MethodPost, "/session/"+compatTopic, mine); a.status != http.StatusForbidden {
			t.Errorf("afterwards: %d", a.status)
		}
		second := n.connect(t, compatTopic, theirs)
		wstest.Write(t, second, websocket.MessageText, "still here")
		if _, got := wstest.Read(t, kept); got != "still here" {
			t.Errorf("got %q", got)
		}
		if got := bookingIDs(t, n.call(t, http.MethodGet, "/bids/deny", issue(admin))); len(got) != 0 {
			t.Errorf("a token is listed among bookings: %q", got)
		}
		// It can be ended before it counts.
		early := issue(wanted{booking: "b1", topic: compatTopic, scopes: []string{"read"}, begins: 10 * time.Minute})
		if a := n.call(t, http.MethodDelete, "/session/"+compatTopic, early); a.status != 204 {
			t.Errorf("early: %d %s", a.status, a.body)
		}
	})
	// What the laboratory gave a rig for years is not ended by a slip.
	n := newCompatLab(t)
	rig := compatOpaque(t, n, rigHost)
	if a := n.call(t, http.MethodDelete, "/session/"+compatTopic, rig); a.status != http.StatusForbidden {
		t.Errorf("a host's code: %d", a.status)
	}
	n.connect(t, compatTopic, rig)
}

// Tokens are accepted where a secret is configured, in the one tenant they are
// signed for.
func TestSec23_TokensAreOffUnlessConfigured(t *testing.T) {
	n := newCompatLab(t)
	token := compatJWT(t, n, student)
	rubbish := n.call(t, http.MethodPost, "/session/"+compatTopic, "rubbish")

	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, n.at+"/session/"+compatTopic, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "physics.example"
	req.Header.Set("Authorization", token)
	resp, err := n.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the status is all
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("another tenant: %d", resp.StatusCode)
	}

	n.noTokens = true
	without := n.node(t)
	if a := without.call(t, http.MethodPost, "/session/"+compatTopic, token); a.status != rubbish.status || a.body != rubbish.body {
		t.Errorf("without a secret: %d %s", a.status, a.body)
	}
}

// There, profiles were open to the world.
func TestCompatFaultNoProfiles(t *testing.T) {
	n := newCompatLab(t)
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics"} {
		if a := n.call(t, http.MethodGet, path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
