package gateway

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/web"
)

// typedTime reads a time that was typed in the reader's zone; empty is none.
func typedTime(value string, zone *time.Location) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	at, err := time.ParseInLocation(localTime, value, zone)
	if err != nil {
		return time.Time{}, lodge.Wrap(lodge.CodeRefused, "That is no time; write it like 2026-05-04T09:00.", err)
	}
	return at.UTC(), nil
}

// choices are the pools and the slots that a group can use.
func choices(cat *booking.Catalogue, group string) []web.Choice {
	var out []web.Choice
	for _, name := range sortedKeys(cat.Pools) {
		if len(cat.SlotsOfPool(group, name)) > 0 {
			out = append(out, web.Choice{Value: "pool:" + name, Title: cat.Title(cat.Pools[name].Description, name)})
		}
	}
	for _, name := range cat.SlotsOf(group) {
		out = append(out, web.Choice{Value: "slot:" + name, Title: describe(cat, cat.Slots[name].Experiment).title + " (" + name + ")"})
	}
	return out
}

// chosen takes a choice apart.
func chosen(value string) (slot, pool string) {
	kind, name, _ := strings.Cut(value, ":")
	if kind == "pool" {
		return "", name
	}
	return name, ""
}

func (g *Gateway) waitsPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderWaits(w, r, r.URL.Query().Get("group"), http.StatusOK, web.WaitForm{}, nil)
}

func (g *Gateway) renderWaits(w http.ResponseWriter, r *http.Request, group string, status int, form web.WaitForm, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	view := web.Waits{Layout: g.layout(r, web.Text("Waiting lists"), web.PageBook, &s), Form: form}
	view.Problem, view.Form.Key = problem, rand.Text()
	if view.Groups, err = g.webGroups(r.Context(), s); err != nil {
		return err
	}
	if group == "" && len(view.Groups) > 0 {
		group = view.Groups[0].Name
	}
	waits, err := g.waitsOf(r.Context(), s)
	if err != nil {
		return err
	}
	for _, one := range waits {
		ww := web.Wait{ID: one.ID, Group: one.Group, Title: one.Title, Until: one.Until, Seconds: one.Seconds, Place: one.Place, Key: rand.Text()}
		if o := one.Offer; o != nil {
			ww.Offer = &web.WaitOffer{Slot: o.Slot, Start: o.Start, End: o.End, Until: o.Until}
		}
		view.Waits = append(view.Waits, ww)
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	person, err := g.personOf(r, s)
	if err != nil {
		return err
	}
	view.AskSurname = person.FamilyName == ""
	for _, one := range view.Groups {
		if one.Name == group {
			view.Group, view.Choices = one, choices(cat, group)
		}
	}
	return g.pages.Render(w, status, web.PageWaits, view)
}

// waitForm books any of a pool, or puts its sender on a waiting list.
func (g *Gateway) waitForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	group := r.PostFormValue("group")
	form := web.WaitForm{Choice: r.PostFormValue("choice"), Start: r.PostFormValue("start"), Surname: r.PostFormValue("surname")}
	form.Minutes, _ = strconv.Atoi(r.PostFormValue("minutes")) // 0 is refused, with what to do
	_, zone := g.readsIn(r)
	slot, pool := chosen(form.Choice)
	start, err := typedTime(form.Start, zone)
	if err == nil && r.PostFormValue("do") == "wait" {
		if _, err = g.wait(r.Context(), s, WaitRequest{Group: group, Slot: slot, Pool: pool, From: start, Seconds: form.Minutes * 60}); err == nil {
			return seeOther(w, r, "/waits?group="+group, "waiting")
		}
	} else if err == nil {
		var view BookingView
		view, err = g.bookFor(r, s, BookRequest{Group: group, Slot: slot, Pool: pool, Start: start, Seconds: form.Minutes * 60, Surname: form.Surname}, r.PostFormValue("key"))
		if err == nil {
			return seeOther(w, r, "/bookings/"+view.ID, "booked")
		}
	}
	problem, status, mendable := problemOf(err, "That could not be booked")
	if !mendable {
		return err
	}
	if offer, ok := offered(err); ok {
		form.Choice, form.Start, form.Minutes = "slot:"+offer.Slot, offer.Start.In(zone).Format(localTime), int(offer.Length()/time.Minute)
		forget(r, "choice", "start", "minutes")
	}
	return g.renderWaits(w, r, group, status, form, problem)
}

// forget takes out of what was typed what the form offers something better for.
func forget(r *http.Request, fields ...string) {
	for _, name := range fields {
		r.PostForm.Del(name)
	}
}

// offered returns what a refusal says would be accepted.
func offered(err error) (booking.Opening, bool) {
	offer, ok := explain(err).details["offer"].(booking.Opening)
	return offer, ok
}

func (g *Gateway) leaveForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err == nil {
		err = g.desk.Leave(r.Context(), s.Tenant, s.Person, chi.URLParam(r, "id"))
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/waits", "left")
}
