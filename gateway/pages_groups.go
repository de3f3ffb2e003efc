package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// keptGroups are the groups that somebody looks after.
func keptGroups(s sessions.Session, cat *booking.Catalogue) []web.Group {
	var out []web.Group
	for _, name := range sortedKeys(cat.Groups) {
		if keeps(s.Principal(), name) {
			out = append(out, web.Group{Name: name, Title: cat.Title(cat.Groups[name].Description, name)})
		}
	}
	return out
}

// groupPage is a group's page for who looks after it, and for who is in it.
func (g *Gateway) groupPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if group := chi.URLParam(r, "id"); slices.Contains(s.Groups, group) && !keeps(s.Principal(), group) {
		return g.renderMember(w, r, s, group, http.StatusOK, nil)
	}
	return g.renderGroup(w, r, http.StatusOK, nil)
}

// renderMember shows somebody how they came into a group, and the way out.
func (g *Gateway) renderMember(w http.ResponseWriter, r *http.Request, s sessions.Session, group string, status int, problem *web.Problem) error {
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	joined, err := g.joins.Joined(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return err
	}
	page := web.MemberPage{Layout: g.layout(r, "Group", web.PageBook, &s), Group: group, Name: cat.Title(cat.Groups[group].Description, group)}
	page.Problem = problem
	for _, m := range joined {
		if m.Group == group {
			page.Joined = m.At
		}
	}
	return g.pages.Render(w, status, web.PageMember, page)
}

// leaveGroupForm ends the membership of whoever sends it.
func (g *Gateway) leaveGroupForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	group := chi.URLParam(r, "id")
	if err := g.leaveGroup(r.Context(), s, group, s.Person); err != nil {
		if problem, status, mendable := problemOf(err, "You cannot leave this group"); mendable && slices.Contains(s.Groups, group) {
			return g.renderMember(w, r, s, group, status, problem)
		}
		return err
	}
	return seeOther(w, r, "/", "saved")
}

func (g *Gateway) renderGroup(w http.ResponseWriter, r *http.Request, status int, problem *web.Problem) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	codes, err := g.joinCodes(r.Context(), s.Tenant, group)
	if err != nil {
		return err
	}
	members, err := g.groupMembers(r.Context(), s.Tenant, group)
	if err != nil {
		return err
	}
	page := web.GroupPage{Layout: g.layout(r, "Group", groupNav(s.Principal()), &s), Group: group, Name: cat.Title(cat.Groups[group].Description, group)}
	page.Problem, page.Days, page.Limit = problem, r.PostFormValue("days"), r.PostFormValue("limit")
	for _, c := range codes {
		page.Codes = append(page.Codes, web.JoinCode{
			ID: c.ID, Link: c.Link, State: c.State, ExpiresAt: c.ExpiresAt, Limit: c.Limit, Uses: c.Uses, File: c.Source == "file",
		})
	}
	for _, m := range members {
		page.Members = append(page.Members, web.GroupMember{Person: m.Person, Name: m.Name, Joined: m.JoinedAt})
	}
	return g.pages.Render(w, status, web.PageGroup, page)
}

// groupNav is where a group stands for somebody: instructors find it among what they
// teach.
func groupNav(p lodge.Principal) string {
	if p.Has(lodge.RoleInstructor) {
		return web.PageTeach
	}
	return catalogueNav(p)
}

// keepForm carries out one form of a group's page.
func (g *Gateway) keepForm(w http.ResponseWriter, r *http.Request, do func(s sessions.Session, group string) error) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	if err := do(s, group); err != nil {
		if problem, status, mendable := problemOf(err, "That could not be changed"); mendable {
			return g.renderGroup(w, r, status, problem)
		}
		return err
	}
	return seeOther(w, r, "/groups/"+group, "saved")
}

func (g *Gateway) joinCodeForm(w http.ResponseWriter, r *http.Request) error {
	return g.keepForm(w, r, func(s sessions.Session, group string) error {
		days, err := strconv.Atoi(orElse(r.PostFormValue("days"), "30"))
		if err != nil || days < 1 || days > 366 {
			days = -1 // refused below, in words
		}
		limit, err := strconv.Atoi(orElse(r.PostFormValue("limit"), "0"))
		if err != nil {
			limit = -1
		}
		_, err = g.makeJoinCode(r.Context(), s, group, "", JoinCodeRequest{Seconds: days * 24 * 60 * 60, Limit: limit})
		return err
	})
}

func (g *Gateway) rotateJoinForm(w http.ResponseWriter, r *http.Request) error {
	return g.keepForm(w, r, func(s sessions.Session, group string) error {
		_, err := g.makeJoinCode(r.Context(), s, group, chi.URLParam(r, "code"), JoinCodeRequest{})
		return err
	})
}

func (g *Gateway) revokeJoinForm(w http.ResponseWriter, r *http.Request) error {
	return g.keepForm(w, r, func(s sessions.Session, group string) error {
		return g.revokeJoinCode(r.Context(), s, group, chi.URLParam(r, "code"))
	})
}

func (g *Gateway) removeMemberForm(w http.ResponseWriter, r *http.Request) error {
	return g.keepForm(w, r, func(s sessions.Session, group string) error {
		return g.leaveGroup(r.Context(), s, group, lodge.PersonID(chi.URLParam(r, "person")))
	})
}

// joinPage asks whether somebody wants to join, by the link that they opened. Who
// is not signed in does that first, and comes back.
func (g *Gateway) joinPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err == nil && s.Kind != sessions.Login {
		err = errSignIn() // a reference is nobody who could join
	}
	if err != nil {
		return err
	}
	return g.renderJoin(w, r, s, http.StatusOK, chi.URLParam(r, "code"), nil)
}

func (g *Gateway) renderJoin(w http.ResponseWriter, r *http.Request, s sessions.Session, status int, code string, problem *web.Problem) error {
	page := web.JoinPage{Layout: g.layout(r, "Join a group", web.PageHome, &s), Code: strings.TrimSpace(code)}
	page.Problem = problem
	if page.Code != "" && problem == nil {
		_, title, err := g.lookAtJoin(r.Context(), s, page.Code)
		if err != nil {
			wrong, code, mendable := problemOf(err, "You cannot join by this")
			if !mendable {
				return err
			}
			page.Problem, status = wrong, code
		}
		page.Group = title
	}
	return g.pages.Render(w, status, web.PageJoin, page)
}

func (g *Gateway) joinForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if _, err := g.join(r.Context(), s, r.PostFormValue("code")); err != nil {
		if problem, status, mendable := problemOf(err, "You cannot join by this"); mendable {
			return g.renderJoin(w, r, s, status, r.PostFormValue("code"), problem)
		}
		return err
	}
	return seeOther(w, r, "/", "joined")
}
