package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// AuditView answers GET /api/v1/admin/audit.
type AuditView struct {
	Entries []AuditEntryView `json:"entries"`
}

// AuditEntryView is one entry of the audit trail.
type AuditEntryView struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Address string    `json:"address"`
}

// maxAudit bounds a page of the audit trail.
const maxAudit = 500

// listAudit shows an administrator the tenant's part of the trail: the latest
// entries, or those after one.
func (g *Gateway) listAudit(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	f, err := auditFilter(r.URL.Query())
	if err != nil {
		return err
	}
	view := AuditView{Entries: []AuditEntryView{}}
	if g.audit == nil {
		return writeJSON(w, http.StatusOK, view)
	}
	entries, err := g.audit.List(r.Context(), s.Tenant, f)
	if err != nil {
		return err
	}
	for _, e := range entries {
		view.Entries = append(view.Entries, AuditEntryView{
			Seq: e.Seq, Time: e.Time, Actor: e.Actor, Action: string(e.Action), Object: e.Object, Reason: e.Reason, Address: e.Address,
		})
	}
	return writeJSON(w, http.StatusOK, view)
}

// auditFilter reads which entries are asked for.
func auditFilter(q url.Values) (audit.Filter, error) {
	f := audit.Filter{
		Actor: q.Get("actor"), Action: audit.Action(q.Get("action")), Object: q.Get("object"), Newest: !q.Has("after"), Limit: 100,
	}
	if who := q.Get("who"); who != "" {
		f.Who = []string{who}
	}
	var err error
	if v := q.Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > maxAudit {
			return f, lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(maxAudit)+".")
		}
	}
	for name, field := range map[string]*uint64{"after": &f.After, "before": &f.Before} {
		if v := q.Get(name); v != "" {
			if *field, err = strconv.ParseUint(v, 10, 63); err != nil {
				return f, lodge.E(lodge.CodeInvalid, "Say "+name+" which entry: a whole number.")
			}
		}
	}
	for name, field := range map[string]*time.Time{"from": &f.From, "until": &f.Until} {
		if v := q.Get(name); v != "" {
			if *field, err = time.Parse(time.RFC3339, v); err != nil || !storable(*field) {
				return f, lodge.E(lodge.CodeInvalid, "Write the time of "+name+" as in RFC 3339, such as 2026-05-04T09:00:00Z.")
			}
		}
	}
	return f, nil
}
