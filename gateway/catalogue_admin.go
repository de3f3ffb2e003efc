package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
)

// maxManifestBody bounds a request with a manifest: production ones have some
// hundred kilobytes.
const maxManifestBody = 8 << 20

// editorOf is somebody who may change a part of the catalogue at least.
func (g *Gateway) editorOf(r *http.Request) (sessions.Session, error) {
	s, err := g.person(r)
	if err != nil {
		return s, err
	}
	if !editing(s.Principal()) {
		return s, lodge.E(lodge.CodeForbidden, "Administrators, organisers and technicians change the catalogue; ask your laboratory if you should be one.")
	}
	return s, nil
}

// mayApply is mayChange, and that giving roles takes a fresh proof of who does.
func (g *Gateway) mayApply(r *http.Request, s sessions.Session) (mayEdit, error) {
	person, err := g.personOf(r, s)
	if err != nil {
		return nil, err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return nil, err
	}
	who, err := g.holder(r.Context(), cat, person)
	if err != nil {
		return nil, err
	}
	may := mayChange(s.Principal())
	return func(before, after *booking.Catalogue, ops []booking.Op) error {
		if err := may(before, after, ops); err != nil {
			return err
		}
		if !slices.ContainsFunc(ops, func(op booking.Op) bool { return op.Object.Kind == "roles" }) {
			return nil
		}
		root := lodge.Binding{Role: lodge.RoleAdministrator, Scope: lodge.ScopeTenant}
		if slices.Contains(before.Bindings(who), root) && !slices.Contains(after.Bindings(who), root) && !slices.Contains(person.Bindings, root) {
			return lodge.E(lodge.CodeRefused, "You would give up your own administration; have another administrator do that.")
		}
		return g.fresh(s)
	}, nil
}

func (g *Gateway) postPlan(w http.ResponseWriter, r *http.Request) error {
	s, err := g.editorOf(r)
	if err != nil {
		return err
	}
	var req CatalogueChange
	if err := readJSON(w, r, maxManifestBody, &req); err != nil {
		return err
	}
	view, err := g.planCatalogue(withActor(r.Context(), s), s.Tenant, req, mayChange(s.Principal()))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(view.Revision))
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) postApply(w http.ResponseWriter, r *http.Request) error {
	s, err := g.editorOf(r)
	if err != nil {
		return err
	}
	var req CatalogueChange
	if err := readJSON(w, r, maxManifestBody, &req); err != nil {
		return err
	}
	if req.Base, err = baseOf(r); err != nil {
		return err
	}
	may, err := g.mayApply(r, s)
	if err != nil {
		return err
	}
	view, err := g.applyCatalogue(withActor(r.Context(), s), s.Tenant, req, may)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(view.Revision))
	return writeJSON(w, http.StatusOK, view)
}

// baseOf reads which revision a change was planned with (RFC 9110 section 13.1.1);
// nil for "*": whatever is there.
func baseOf(r *http.Request) (*uint64, error) {
	value := strings.TrimSpace(r.Header.Get("If-Match"))
	if value == "*" {
		return nil, nil //nolint:nilnil // see above
	}
	n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 63)
	if err != nil || etag(n) != value {
		return nil, lodge.E(lodge.CodeInvalid, "Send If-Match with the ETag of the plan that you looked at, or * to apply to whatever is there.")
	}
	return &n, nil
}

func (g *Gateway) getExport(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if p := s.Principal(); !editing(p) && !p.Can(lodge.RoleViewer, lodge.ScopeTenant) {
		return lodge.E(lodge.CodeForbidden, "Administrators, organisers, technicians and viewers see the catalogue as a file; ask your laboratory if you should be one.")
	}
	view, err := g.exportCatalogue(r.Context(), s.Tenant, &s)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(view.Revision))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="catalogue.yaml"`)
	_, _ = w.Write([]byte(view.Manifest)) // the client has gone, or it has the file
	return nil
}
