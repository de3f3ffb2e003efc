package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// catalogueNav is where the page stands for somebody: administrators find it among
// what is theirs.
func catalogueNav(p lodge.Principal) string {
	if p.Can(lodge.RoleAdministrator, lodge.ScopeTenant) {
		return web.PageAdmin
	}
	return web.PageCatalogue
}

func (g *Gateway) cataloguePage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.editorOf(r)
	if err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	page := web.Catalogue{Layout: g.layout(r, "Catalogue", catalogueNav(s.Principal()), &s), Groups: keptGroups(s, cat)}
	return g.pages.Render(w, http.StatusOK, web.PageCatalogue, page)
}

// readManifest reads the form of a change: a file that was chosen goes before text.
func (g *Gateway) readManifest(w http.ResponseWriter, r *http.Request) (CatalogueChange, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxManifestBody)
	if err := r.ParseMultipartForm(maxManifestBody); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return CatalogueChange{}, tooLarge
		}
		return CatalogueChange{}, lodge.Wrap(lodge.CodeInvalid, "The form could not be read; send it again.", err)
	}
	req := CatalogueChange{
		Manifest: r.PostFormValue("manifest"), Lenient: r.PostFormValue("lenient") != "", Prune: r.PostFormValue("prune") != "",
		Message: strings.TrimSpace(r.PostFormValue("message")), Bookings: map[string]string{},
	}
	for name, values := range r.PostForm {
		if id, ok := strings.CutPrefix(name, "booking-"); ok && len(values) == 1 {
			req.Bookings[id] = values[0]
		}
	}
	f, _, err := r.FormFile("file")
	if err != nil {
		return req, nil //nolint:nilerr // none was chosen
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return req, err
	}
	if len(text) > 0 {
		req.Manifest = string(text)
	}
	return req, nil
}

// planForm shows what a manifest would do.
func (g *Gateway) planForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.editorOf(r)
	if err != nil {
		return err
	}
	req, err := g.readManifest(w, r)
	if err != nil {
		return err
	}
	return g.renderPlan(w, r, s, req, nil)
}

// renderPlan shows a plan, with what was wrong with applying it.
func (g *Gateway) renderPlan(w http.ResponseWriter, r *http.Request, s sessions.Session, req CatalogueChange, wrong error) error {
	page := web.Catalogue{
		Layout: g.layout(r, "Catalogue", catalogueNav(s.Principal()), &s), Manifest: req.Manifest, Lenient: req.Lenient, Prune: req.Prune, Message: req.Message,
	}
	status := http.StatusOK
	asked := req
	asked.Bookings = nil // what was chosen may not be possible any more
	plan, err := g.planCatalogue(withActor(r.Context(), s), s.Tenant, asked, mayChange(s.Principal()))
	if err != nil && wrong == nil {
		wrong = err
	}
	if wrong != nil {
		problem, code, mendable := problemOf(wrong, "The catalogue was not changed")
		if lodge.CodeOf(wrong) == lodge.CodeForbidden {
			problem, code, mendable = &web.Problem{Title: "The catalogue was not changed", Detail: reasonOf(wrong)}, http.StatusForbidden, true
			g.recordDenial(r, wrong)
		}
		if !mendable {
			return wrong
		}
		page.Problem, status = problem, code
	}
	if err == nil {
		page.Planned, page.Plan = true, webPlan(plan, req)
	}
	return g.pages.Render(w, status, web.PageCatalogue, page)
}

func webPlan(plan PlanView, req CatalogueChange) web.CataloguePlan {
	out := web.CataloguePlan{Revision: plan.Revision}
	for _, f := range plan.LeftOut {
		out.LeftOut = append(out.LeftOut, f.String())
	}
	for _, op := range plan.Ops {
		one := web.CatalogueOp{Object: op.Object.String(), Action: string(op.Action)}
		for _, f := range op.Fields {
			one.Fields = append(one.Fields, web.CatalogueField{Field: f.Field, Before: f.Before, After: f.After})
		}
		out.Ops = append(out.Ops, one)
	}
	for _, touch := range plan.Touched {
		one := web.TouchedBooking{
			ID: touch.Booking, Name: touch.Name, Experiment: touch.Experiment, Start: touch.Start, End: touch.End, MoveTo: touch.MoveTo, Chosen: req.Bookings[touch.Booking],
		}
		for _, b := range touch.Because {
			one.Because = append(one.Because, b.Object.String()+" "+b.What)
		}
		for _, c := range touch.Can {
			one.Can = append(one.Can, string(c))
		}
		out.Touched = append(out.Touched, one)
	}
	return out
}

// applyForm carries out a plan that was looked at.
func (g *Gateway) applyForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.editorOf(r)
	if err != nil {
		return err
	}
	req, err := g.readManifest(w, r)
	if err != nil {
		return err
	}
	base, err := strconv.ParseUint(r.PostFormValue("base"), 10, 63)
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The form could not be read; send it again.", err)
	}
	req.Base = &base
	may, err := g.mayApply(r, s)
	if err != nil {
		return err
	}
	if _, err := g.applyCatalogue(withActor(r.Context(), s), s.Tenant, req, may); err != nil {
		return g.renderPlan(w, r, s, req, err)
	}
	return seeOther(w, r, "/admin/catalogue", "applied")
}

// roleKinds are the roles that the page offers.
var roleKinds = []string{string(lodge.RoleViewer), string(lodge.RoleInstructor), string(lodge.RoleTechnician), string(lodge.RoleOrganiser), string(lodge.RoleAdministrator)}

func (g *Gateway) rolesPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderRoles(w, r, http.StatusOK, web.RoleBinding{}, nil)
}

func (g *Gateway) renderRoles(w http.ResponseWriter, r *http.Request, status int, typed web.RoleBinding, problem *web.Problem) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	view, err := g.roleBindings(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	page := web.Roles{Layout: g.layout(r, "Roles", web.PageAdmin, &s), Form: typed, Kinds: roleKinds}
	page.Problem = problem
	for _, one := range view.Roles {
		row := web.RoleBinding{Name: one.Name, Role: one.Role, Scope: one.Scope, To: one.Subjects}
		for _, group := range one.Groups {
			row.To = append(row.To, "group:"+group)
		}
		for _, c := range one.Claims {
			row.To = append(row.To, c.Issuer+": "+c.Claim+" = "+c.Value)
		}
		page.Roles = append(page.Roles, row)
	}
	if id := strings.TrimSpace(r.URL.Query().Get("person")); id != "" {
		page.Asked = id
		why, err := g.explanation(r.Context(), s, lodge.PersonID(id))
		if err == nil {
			page.Explained = webExplained(why)
		} else if wrong, code, mendable := problemOf(err, "Nobody is explained"); mendable {
			page.Problem, status = wrong, code
		} else {
			return err
		}
	}
	return g.pages.Render(w, status, web.PageRoles, page)
}

func webExplained(why ExplanationView) *web.Explained {
	out := &web.Explained{Name: orElse(why.Name, why.Person)}
	for _, role := range why.Roles {
		one := web.ExplainedRole{Role: role.Role, Scope: role.Scope}
		for _, b := range role.Because {
			var said []string
			for _, part := range []string{b.Catalogue, b.Issuer, b.Subject, b.Group, b.Claim, b.Value} {
				if part != "" {
					said = append(said, part)
				}
			}
			one.Because = append(one.Because, strings.Join(said, ", "))
		}
		out.Roles = append(out.Roles, one)
	}
	return out
}

func (g *Gateway) roleForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	typed := web.RoleBinding{
		Name: strings.TrimSpace(r.PostFormValue("name")), Role: r.PostFormValue("role"), Scope: strings.TrimSpace(r.PostFormValue("scope")),
		Subject: strings.TrimSpace(r.PostFormValue("subject")), Group: strings.TrimSpace(r.PostFormValue("group")),
	}
	req := RoleRequest{Name: typed.Name, RoleBinding: booking.RoleBinding{Role: typed.Role, Scope: typed.Scope}}
	if typed.Subject != "" {
		req.Subjects = []string{typed.Subject}
	}
	if typed.Group != "" {
		req.Groups = []string{typed.Group}
	}
	if _, err := g.bindRole(r, s, req); err != nil {
		if problem, status, mendable := problemOf(err, "The role was not given"); mendable {
			return g.renderRoles(w, r, status, typed, problem)
		}
		return err
	}
	return seeOther(w, r, "/admin/roles", "given")
}

func (g *Gateway) unbindForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	if err := g.unbindRole(r, s, chi.URLParam(r, "name")); err != nil {
		if problem, status, mendable := problemOf(err, "The role was not removed"); mendable {
			return g.renderRoles(w, r, status, web.RoleBinding{}, problem)
		}
		return err
	}
	return seeOther(w, r, "/admin/roles", "taken")
}
