package gateway_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
)

func TestSec45_WhatIsOldIsDiscardedByItsClass(t *testing.T) {
	const day = 24 * time.Hour
	l := newLab(t, func(c *gateway.Config) {
		c.Retention = gateway.Retention{Notices: 90 * day, Classroom: 200 * day}
	})
	survey, register := "", ""
	send := func(text string) {
		grace := l.signedIn("grace")
		call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Text: text})
		if survey != "" {
			return
		}
		s := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
			To: "group:physics-1", Title: "Today", Questions: []gateway.QuestionView{{ID: "q", Kind: "scale", Text: "How?", Max: 5}},
		})
		survey = "/api/v1/surveys/" + s.ID
		call[gateway.SurveyView](grace, 200, "POST", survey+"/close", nil)
		r := call[gateway.RegisterView](grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Monday", Group: "physics-1"})
		register = "/api/v1/registers/" + r.ID
		call[gateway.RegisterView](grace, 200, "POST", register+"/close", nil)
	}
	want := func(messages, classroom int) {
		t.Helper()
		for range 2 { // it may be repeated
			l.must(l.gateway.Retain(context.Background(), lodge.DefaultTenant))
			l.must(l.gateway.Retain(context.Background(), otherTenant))
		}
		grace := l.signedIn("grace")
		got := call[struct{ Messages []struct{ Type string } }](grace, 200, "GET", "/api/v1/messages?topic=group:physics-1", nil)
		notices := 0
		for _, m := range got.Messages {
			if m.Type == "lodge.notice" {
				notices++
			}
		}
		if notices != messages {
			t.Errorf("%d messages are left, want %d", notices, messages)
		}
		for _, address := range []string{survey, register} {
			status := http.StatusOK
			if classroom == 0 {
				status = http.StatusNotFound
			}
			if a := grace.do("GET", address, nil); a.status != status {
				t.Errorf("%s: %d, want %d", address, a.status, status)
			}
		}
	}
	send("first")
	l.clock.pass(60 * day)
	send("second")
	want(2, 1)
	l.clock.pass(60 * day)
	want(1, 1)
	l.clock.pass(60 * day)
	want(0, 1)
	l.clock.pass(60 * day)
	want(0, 0)
	send("third")
	want(1, 0)
}
