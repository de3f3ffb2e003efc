package gateway

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

func (g *Gateway) partyPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderParty(w, r, r.URL.Query().Get("group"), http.StatusOK, web.PartyForm{}, nil, nil, nil)
}

// renderParty shows the form by which an instructor books for others, with what
// became of it. A nil list of chosen people is all but the reader.
func (g *Gateway) renderParty(w http.ResponseWriter, r *http.Request, group string, status int, form web.PartyForm, picked []string, places []PlaceView, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if p := s.Principal(); !p.Has(lodge.RoleInstructor) {
		return lodge.E(lodge.CodeForbidden, "Only an instructor sees this; ask your laboratory if that should be you.")
	}
	view := web.TeachBook{Layout: g.layout(r, web.Text("Book for others"), web.PageTeach, &s), Form: form}
	view.Problem = problem
	if view.Form.Key == "" {
		view.Form.Key = rand.Text()
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(cat.Groups) {
		if teaches(s.Principal(), name) {
			view.Groups = append(view.Groups, web.Group{Name: name, Title: cat.Title(cat.Groups[name].Description, name)})
		}
	}
	if group == "" && len(view.Groups) > 0 {
		group = view.Groups[0].Name
	}
	i := slices.IndexFunc(view.Groups, func(one web.Group) bool { return one.Name == group })
	if i < 0 {
		return errNotThere("group")
	}
	view.Group, view.Choices = view.Groups[i], choices(cat, group)
	members, err := g.membersOf(r.Context(), s.Tenant, group, nil)
	if err != nil {
		return err
	}
	for _, m := range members {
		chosen := picked == nil && m.Person != s.Person || slices.Contains(picked, string(m.Person))
		view.Members = append(view.Members, web.PartyMember{ID: string(m.Person), Name: m.Name, Chosen: chosen})
	}
	for _, p := range places {
		title := ""
		if p.Experiment != "" {
			title = describe(cat, p.Experiment).title
		}
		view.Places = append(view.Places, web.PartyPlace{Name: p.Name, Experiment: title, Start: p.Start, End: p.End, Detail: p.Detail})
	}
	return g.pages.Render(w, status, web.PageTeachBook, view)
}

func (g *Gateway) partyForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := web.PartyForm{
		Choice: r.PostFormValue("choice"), From: r.PostFormValue("from"), Until: r.PostFormValue("until"), Partial: r.PostFormValue("partial") != "",
		Name: r.PostFormValue("name"), Surname: r.PostFormValue("surname"), Key: r.PostFormValue("key"),
	}
	form.Minutes, _ = strconv.Atoi(r.PostFormValue("minutes")) // 0 is refused, with what to do
	group, picked := r.PostFormValue("group"), append([]string{}, r.PostForm["member"]...)
	var places []PlaceView
	if r.PostFormValue("do") == "guest" {
		places, err = g.guestOf(r, s, group, form)
	} else {
		places, err = g.partyOf(r, s, group, form, picked)
	}
	form.Key = rand.Text()
	if err != nil {
		problem, status, mendable := problemOf(err, "That could not be booked")
		if !mendable {
			return err
		}
		return g.renderParty(w, r, group, status, form, picked, slices.DeleteFunc(places, func(p PlaceView) bool { return p.Detail == "" }), problem)
	}
	return g.renderParty(w, r, group, http.StatusOK, form, picked, places, nil)
}

func (g *Gateway) partyOf(r *http.Request, s sessions.Session, group string, form web.PartyForm, picked []string) ([]PlaceView, error) {
	if len(picked) == 0 {
		return nil, lodge.E(lodge.CodeRefused, "Choose whom to book for: one person at least, 300 at most.")
	}
	_, zone := g.readsIn(r)
	from, err := typedTime(form.From, zone)
	if err != nil {
		return nil, err
	}
	until, err := typedTime(form.Until, zone)
	if err != nil {
		return nil, err
	}
	slot, pool := chosen(form.Choice)
	return g.party(r.Context(), s, group, PartyRequest{
		Slot: slot, Pool: pool, From: from, Until: until, Seconds: form.Minutes * 60, Members: picked, Partial: form.Partial,
	}, form.Key)
}

// guestOf books for a guest, whose reference the instructor is shown to pass on.
func (g *Gateway) guestOf(r *http.Request, s sessions.Session, group string, form web.PartyForm) ([]PlaceView, error) {
	_, zone := g.readsIn(r)
	from, err := typedTime(form.From, zone)
	if err != nil {
		return nil, err
	}
	if from.Before(g.clock.Now().Add(time.Minute)) {
		from = time.Time{} // the minute that was chosen has begun: now
	}
	slot, pool := chosen(form.Choice)
	view, err := g.bookFor(r, s, BookRequest{
		Group: group, Slot: slot, Pool: pool, Start: from, Seconds: form.Minutes * 60, OnBehalf: &OnBehalf{Name: form.Name, Surname: form.Surname},
	}, form.Key)
	if err != nil {
		return nil, err
	}
	return []PlaceView{{Name: form.Name + " (" + view.Reference + ")", Booking: view.ID, Experiment: view.Experiment, Start: view.Start, End: view.End}}, nil
}
