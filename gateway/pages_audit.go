package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/web"
)

const (
	// auditShown is how many entries a page of the trail has.
	auditShown = 40
	// maxNamesakes bounds how many people a name may stand for in a search.
	maxNamesakes = 50
)

// auditPage shows an administrator the trail, newest first, page by page.
func (g *Gateway) auditPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	ctx, q := r.Context(), r.URL.Query()
	page := web.Audit{
		Layout: g.layout(r, "Audit trail", web.PageAdmin, &s),
		Form:   web.AuditForm{Who: q.Get("who"), Action: q.Get("action"), From: q.Get("from"), Until: q.Get("until")},
	}
	for _, action := range audit.Actions() {
		page.Actions = append(page.Actions, string(action))
	}
	entries, older, newer, err := g.auditEntries(ctx, s.Tenant, q, page.Zone)
	if err != nil {
		problem, status, mendable := problemOf(err, "The trail was not searched")
		if !mendable {
			return err
		}
		page.Problem = problem
		return g.pages.Render(w, status, web.PageAudit, page)
	}
	if page.Entries, err = g.webEntries(ctx, s.Tenant, entries); err != nil {
		return err
	}
	if older {
		page.Older = auditAddress(q, "before", entries[len(entries)-1].Seq)
	}
	if newer {
		page.Newer = auditAddress(q, "after", entries[0].Seq)
	}
	return g.pages.Render(w, http.StatusOK, web.PageAudit, page)
}

// auditAddress is the page of the trail on one side of an entry.
func auditAddress(q url.Values, side string, seq uint64) string {
	next := url.Values{side: {strconv.FormatUint(seq, 10)}}
	for _, name := range []string{"who", "action", "from", "until"} {
		if v := q.Get(name); v != "" {
			next.Set(name, v)
		}
	}
	return "/admin/audit?" + next.Encode()
}

// auditEntries reads one page, newest first, and whether there are older and newer
// entries beside it.
func (g *Gateway) auditEntries(ctx context.Context, tenant lodge.Tenant, q url.Values, zone *time.Location) (entries []audit.Entry, older, newer bool, err error) {
	asked := url.Values{"limit": {strconv.Itoa(auditShown + 1)}}
	for _, name := range []string{"action", "before", "after"} {
		if v := q.Get(name); v != "" {
			asked.Set(name, v)
		}
	}
	for _, name := range []string{"from", "until"} {
		at, err := typedTime(q.Get(name), zone)
		if err != nil {
			return nil, false, false, err
		}
		if !at.IsZero() {
			asked.Set(name, at.Format(timeFormat))
		}
	}
	f, err := auditFilter(asked)
	if err != nil || g.audit == nil {
		return nil, false, false, err
	}
	if who := strings.TrimSpace(q.Get("who")); who != "" {
		if f.Who, err = g.namesakes(ctx, tenant, who); err != nil {
			return nil, false, false, err
		}
	}
	if entries, err = g.audit.List(ctx, tenant, f); err != nil {
		return nil, false, false, err
	}
	more := len(entries) > auditShown
	if f.Newest {
		entries = entries[max(0, len(entries)-auditShown):]
		older, newer = more, f.Before > 0 && len(entries) > 0
	} else {
		entries = entries[:min(len(entries), auditShown)]
		older, newer = len(entries) > 0, more
	}
	slices.Reverse(entries)
	return entries, older, newer, nil
}

// namesakes are whom, or what, a search may mean: what was typed as it stands, and
// the people whose names, addresses or accounts have it in them.
func (g *Gateway) namesakes(ctx context.Context, tenant lodge.Tenant, who string) ([]string, error) {
	found := []string{who}
	if strings.Contains(who, ":") {
		return found, nil
	}
	for after := lodge.PersonID(""); ; {
		people, err := g.persons.List(ctx, tenant, after, personsRead)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			after = p.ID
			if matches(who, searched(p)...) {
				found = append(found, "person:"+string(p.ID))
			}
		}
		if len(found) > maxNamesakes {
			return nil, lodge.E(lodge.CodeRefused, "Too many people are called that; search for more of the name.")
		}
		if len(people) < personsRead {
			return found, nil
		}
	}
}

// webEntries are entries with the names of the people in them.
func (g *Gateway) webEntries(ctx context.Context, tenant lodge.Tenant, entries []audit.Entry) ([]web.AuditEntry, error) {
	var ids []lodge.PersonID
	for _, e := range entries {
		for _, text := range []string{e.Actor, e.Object} {
			if id, found := strings.CutPrefix(text, "person:"); found && !slices.Contains(ids, lodge.PersonID(id)) {
				ids = append(ids, lodge.PersonID(id))
			}
		}
	}
	people, err := g.persons.Get(ctx, tenant, ids...)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, p := range people {
		names["person:"+string(p.ID)] = p.Name
	}
	var out []web.AuditEntry
	for _, e := range entries {
		out = append(out, web.AuditEntry{
			Seq: e.Seq, Time: e.Time, Actor: e.Actor, ActorName: names[e.Actor], Action: string(e.Action), Object: e.Object, ObjectName: names[e.Object],
			Reason: e.Reason, Address: e.Address,
		})
	}
	return out, nil
}
