package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

func TestStatusIsPractables(t *testing.T) {
	r := onNetwork(t, Options{Allowed: func(_ context.Context, _ lodge.Tenant, code, scope string) (bool, error) {
		return code == "stats" && scope == ScopeStats, nil
	}})
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	r.access.allow("ada", "t", true, false, end)
	ada := r.connect(t, "t", "ada")
	r.member(t, "t", "host", "rw")
	wstest.Eventually(t, "both joined", func() bool { return len(r.Peers(lodge.DefaultTenant)) == 2 })

	for code, want := range map[string]int{"": 401, "ada": 403} {
		req, _ := http.NewRequest(http.MethodGet, r.url+"/status", nil)
		if code != "" {
			req.Header.Set("Authorization", code)
		}
		if status, answer := r.do(t, req); status != want || answer["message"] == "" {
			t.Errorf("code %q: %d %v", code, status, answer)
		}
	}

	req, _ := http.NewRequest(http.MethodGet, r.url+"/status", nil)
	req.Header.Set("Authorization", "stats")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 {
		t.Fatalf("%d connections", len(list))
	}
	for _, item := range list {
		for _, field := range []string{"topic", "scopes", "can_read", "can_write", "connected_at", "expires_at", "remote_addr", "user_agent"} {
			if _, ok := item[field]; !ok {
				t.Errorf("no %s in %v", field, item)
			}
		}
		for field := range item {
			switch field {
			case "topic", "scopes", "can_read", "can_write", "connected_at", "expires_at", "remote_addr", "user_agent", "messages_in", "messages_out", "dropped":
			default:
				t.Errorf("%s is nobody's business", field)
			}
		}
		if item["can_write"] == false {
			if got, err := time.Parse(time.RFC3339, item["expires_at"].(string)); err != nil || !got.Equal(end) {
				t.Errorf("expires_at = %v, want %v", item["expires_at"], end)
			}
			if scopes := item["scopes"].([]any); len(scopes) != 1 || scopes[0] != "read" {
				t.Errorf("scopes = %v", scopes)
			}
		} else if item["expires_at"] != "9999-12-31T23:59:59Z" {
			t.Errorf("expires_at = %v for a host", item["expires_at"])
		}
	}
	if n := len(r.Peers("elsewhere")); n != 0 {
		t.Errorf("%d peers of another tenant", n)
	}
	_ = ada.CloseNow() // the test is over
}
