package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// metricsOf returns what a node tells Prometheus, through its admin socket.
func metricsOf(t *testing.T, data string) string {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(data, adminSocket))
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://lodge/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.StatusCode, err)
	}
	return string(body)
}

// promtool runs it on some input.
func promtool(t *testing.T, in string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v (make setup installs it)\n%s", args, err, bytes.TrimSpace(out))
	}
}

// What an operator sees of a node is what happens, in few words, and names nobody.
func TestMetrics(t *testing.T) {
	data := t.TempDir()
	d := startDemo(t, data)
	ada := signedIn(t, d.url, "ada")
	booking := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	activity := call[gateway.Activity](ada, 200, "POST", "/api/v1/bookings/"+booking.ID+"/activity", nil)
	ada.stream(activity.Streams[0])
	for i := range 50 { // what anybody can ask for makes no series of its own
		ada.do("GET", fmt.Sprint("/nowhere/", i), nil)
		ada.do("GET", fmt.Sprint("/bookings/none-", i), nil)
		ada.do("POST", fmt.Sprint("/session/topic-", i), nil, header{"Authorization", fmt.Sprint("code-", i)})
		ada.do(fmt.Sprint("VERB", i), "/", nil)
	}
	ada.do("POST", "/session/pend00-data", nil, header{"Authorization", activity.Streams[0].Token})
	var text string
	d.eventually("the canary", func() bool {
		text = metricsOf(t, data)
		return regexp.MustCompile(`(?m)^lodge_relay_canary_delay_seconds_count [1-9]`).MatchString(text)
	})
	promtool(t, text, "check", "metrics")

	sample := regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	label := regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
	allowed := []string{"route", "class", "direction", "policy", "reason", "outcome", "operation", "from", "le", "quantile", "version", "revision"}
	values, series, seen := map[string]map[string]bool{}, 0, map[string]bool{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		series++
		seen[m[1]] = true
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if strings.HasPrefix(m[1], "lodge_") && !slices.Contains(allowed, l[1]) {
				t.Errorf("%s has the label %s", m[1], l[1])
			}
			if values[l[1]] == nil {
				values[l[1]] = map[string]bool{}
			}
			values[l[1]][l[2]] = true
		}
	}
	if series > 2500 {
		t.Errorf("there are %d series", series)
	}
	for route := range values["route"] {
		if route != "none" && !strings.HasPrefix(route, "/") || strings.ContainsAny(route, "0123456789") && !strings.HasPrefix(route, "/api/v1") && !strings.HasPrefix(route, "/oauth2") {
			t.Errorf("the route %q is none of the router's patterns", route)
		}
	}
	for _, secret := range []string{"ada", "Lovelace", "pend0", "topic-", "none-", "code-", booking.ID, activity.Streams[0].Token, "127.0.0.1", "default"} {
		for name, of := range values {
			for value := range of {
				if strings.Contains(value, secret) {
					t.Errorf("a label %s has the value %q", name, value)
				}
			}
		}
	}
	t.Logf("%d series; routes %d, classes %v", series, len(values["route"]), slices.Sorted(maps.Keys(values["class"])))
	for want, pattern := range map[string]string{
		"streams of two rigs and of ada": `lodge_relay_peers [5-9]`,
		"messages of theirs":             `lodge_relay_messages_total\{direction="in"\} [1-9]`,
		"refused codes":                  `lodge_relay_refusals_total\{reason="unauthenticated"\} 50`,
		"addresses":                      `lodge_relay_tickets_total ([6-9]|[1-9]\d)`,
		"checks":                         `lodge_sessions_store_duration_seconds_count\{operation="check"\} [1-9]`,
		"published":                      `lodge_messages_publish_duration_seconds_count\{outcome="done"\} [1-9]`,
		"dropped by policy":              `lodge_relay_dropped_total\{policy="drop-oldest",reason="oldest"\} \d`,
		"nothing is beyond the bound":    `lodge_audit_omitted_total \d`,
		"delivered":                      `lodge_messages_delivered_total \d`,
		"ready":                          `lodge_ready 1`,
		"nothing waits":                  `lodge_booking_outbox_waiting 0`,
		"requests":                       `lodge_http_request_duration_seconds_count\{class="2xx",route="/api/v1/bookings"\} 1`,
		"a page that is not there":       `lodge_http_request_duration_seconds_count\{class="4xx",route="/bookings/\{id\}"\} 50`,
	} {
		if !regexp.MustCompile(`(?m)^` + pattern).MatchString(text) {
			t.Errorf("%s: nothing matches %s", want, pattern)
		}
	}

	// What is shipped to be looked at exists.
	named := regexp.MustCompile(`(?:lodge|process)_[a-z_]+`)
	for _, file := range []string{"alerts/lodge.yaml", "dashboards/lodge.json"} {
		for _, name := range named.FindAllString(deployed(t, file), -1) {
			if !seen[name] {
				t.Errorf("%s names %s, which nothing tells", file, name)
			}
		}
	}
	if !json.Valid([]byte(deployed(t, "dashboards/lodge.json"))) {
		t.Error("the dashboard is no JSON")
	}
	promtool(t, "", "check", "rules", "../../deploy/alerts/lodge.yaml")
}
