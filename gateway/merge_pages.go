package gateway

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/web"
)

// personsPage finds people, and the other one of a merge once the first is
// chosen.
func (g *Gateway) personsPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	found, err := g.findPersons(r.Context(), s.Tenant, q.Get("q"), lodge.PersonID(q.Get("after")), personsShown)
	if err != nil {
		return err
	}
	view := web.Persons{Layout: g.layout(r, "People", web.PageAdmin, &s), Query: q.Get("q")}
	for _, p := range found.Persons {
		view.People = append(view.People, personRow(p))
	}
	if id := q.Get("merge"); id != "" {
		merging, err := g.onePerson(r, s.Tenant, lodge.PersonID(id))
		if err != nil {
			return err
		}
		row := personRow(personView(merging))
		view.Merging = &row
	}
	if found.After != "" {
		q.Set("after", found.After)
		q.Del("done")
		view.More = "/admin/persons?" + q.Encode()
	}
	return g.pages.Render(w, http.StatusOK, web.PagePersons, view)
}

func personRow(p PersonView) web.PersonRow {
	row := web.PersonRow{ID: p.ID, Name: p.Name, Email: p.Email, Guest: p.Guest, Disabled: p.Disabled, MergedInto: p.MergedInto}
	for _, s := range p.Subjects {
		row.Accounts = append(row.Accounts, s.Issuer+":"+s.Subject)
	}
	return row
}

// mergePage shows what a merge would do, and asks.
func (g *Gateway) mergePage(w http.ResponseWriter, r *http.Request) error {
	return g.renderMerge(w, r, http.StatusOK, r.URL.Query().Get("into"), nil)
}

func (g *Gateway) renderMerge(w http.ResponseWriter, r *http.Request, status int, into string, problem *web.Problem) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	p, err := g.previewMerge(r.Context(), s.Tenant, lodge.PersonID(chi.URLParam(r, "id")), lodge.PersonID(into))
	if err != nil {
		return err
	}
	for _, shown := range []string{p.From.ID, p.Into.ID} {
		g.looked(r.Context(), s, lodge.PersonID(shown), "bookings, answers and marks, before a merge")
	}
	view := web.Merge{
		Layout: g.layout(r, "Merge two people", web.PageAdmin, &s), Version: p.Version, From: personRow(p.From), Into: personRow(p.Into),
	}
	view.Problem = problem
	names := map[string]string{sideFrom: orElse(p.From.Name, p.From.ID), sideInto: orElse(p.Into.Name, p.Into.ID)}
	for _, b := range p.Bookings {
		view.Bookings = append(view.Bookings, web.MergeBooking{Experiment: b.Experiment, Start: b.Start, End: b.End, Cancelled: b.Cancelled})
	}
	for _, a := range p.Answers {
		item := web.MergeItem{Title: a.Title}
		if a.Clash {
			item.Clash = view.Say.T("the later one, of {who}, counts", "who", names[a.Counts])
		}
		view.Answers = append(view.Answers, item)
	}
	for _, m := range p.Marks {
		item := web.MergeItem{Title: m.Title, State: m.State}
		switch {
		case m.Clash && m.Counts == sideBoth:
			item.Clash = view.Say.T("they count together")
		case m.Clash:
			item.Clash = view.Say.T("the other is {state}, and that of {who} counts", "state", view.Say.T(m.Other), "who", names[m.Counts])
		}
		view.Marks = append(view.Marks, item)
	}
	for _, one := range p.Sessions {
		view.Sessions = append(view.Sessions, web.Session{ID: one.ID, Kind: one.Kind, Device: one.Device, CreatedAt: one.CreatedAt})
	}
	return g.pages.Render(w, status, web.PageMerge, view)
}

func (g *Gateway) mergeForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	req := MergeRequest{Into: r.PostFormValue("into"), Version: r.PostFormValue("version")}
	survivor, err := g.merge(r, s, req)
	if problem, status, mendable := problemOf(err, "Nothing was merged"); err != nil && mendable {
		return g.renderMerge(w, r, status, req.Into, problem)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/admin/persons?"+url.Values{"q": {string(survivor.ID)}, "done": {"merged"}}.Encode(), http.StatusSeeOther)
	return nil
}

func (g *Gateway) unmergeForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	back, err := g.unmerge(r, s)
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/admin/persons?"+url.Values{"q": {string(back.ID)}, "done": {"unmerged"}}.Encode(), http.StatusSeeOther)
	return nil
}
