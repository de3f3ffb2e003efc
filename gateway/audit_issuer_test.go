package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// entries are what is recorded of an action, oldest first.
func (w *idWorld) entries(action audit.Action) []audit.Entry {
	w.Helper()
	found, err := w.trail.List(w.Context(), lodge.DefaultTenant, audit.Filter{Action: action, Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// What an institution takes away when it is asked again is recorded as its doing.
func TestSec41_WhatARefreshTakesAwayIsRecorded(t *testing.T) {
	w := newRefreshWorld(t)
	ada := w.signedIn("ada")
	person := "person:" + string(w.personID("ada"))
	session := "session:" + w.me(ada).Session.ID
	w.demoted.Store(true)
	w.active(ada)
	w.until("the refresh", func() bool { return !slices.Contains(w.me(ada).Groups, "markers") })
	w.until("the entry", func() bool { return len(w.entries(audit.RoleChange)) > 0 })
	if e := w.entries(audit.RoleChange)[0]; e.Actor != "issuer:dev" || e.Object != person ||
		!strings.Contains(e.Reason, "before: roles instructor@group:physics-1") || !strings.Contains(e.Reason, "now: roles none") {
		t.Errorf("recorded as %+v", e)
	}
	w.error.Store("invalid_grant")
	w.status.Store(400)
	w.active(ada)
	w.until("the end of the login", func() bool { return ada.status("/api/v1/me") == 401 })
	w.until("the entry", func() bool { return len(w.entries(audit.IssuerSignOut)) > 0 })
	if e := w.entries(audit.IssuerSignOut)[0]; e.Actor != "issuer:dev" || e.Object != session {
		t.Errorf("recorded as %+v", e)
	}
}

// A login that had to go for another is recorded, by its person.
func TestSec41_LoginsBeyondTheCapAreRecorded(t *testing.T) {
	w := newIDWorld(t, idOptions{cap: 1})
	first := w.signedIn("ada")
	w.clock.add(time.Second)
	w.signedIn("ada")
	w.wantStatus(first, "the first browser", 401)
	found := w.entries(audit.SessionEnd)
	if len(found) != 1 || found[0].Actor != "person:"+string(w.personID("ada")) || !strings.Contains(found[0].Reason, "more devices than are allowed") {
		t.Errorf("recorded: %+v", found)
	}
}
