package gateway

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// commandRoutes are what the command line asks of a running server, beside
// making codes. What is done here the audit trail puts down to "cli".
func (g *Gateway) commandRoutes(r chi.Router) {
	const tenant = lodge.DefaultTenant
	r.Get("/codes", g.api(func(w http.ResponseWriter, r *http.Request) error {
		view, err := g.Codes(r.Context(), tenant)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	r.Post("/codes/{id}/revoke", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req RevokeRequest
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
		if err := g.RevokeCode(r.Context(), tenant, chi.URLParam(r, "id"), req.Reason); err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, RevokedView{Ended: 1})
	}))
	r.Get("/sessions", g.api(func(w http.ResponseWriter, r *http.Request) error {
		q := r.URL.Query()
		views, err := g.Sessions(r.Context(), tenant, sessions.Filter{
			Person: lodge.PersonID(q.Get("person")), Booking: q.Get("booking"), Kind: sessions.Kind(q.Get("kind")),
		})
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, SessionsView{Sessions: views})
	}))
	r.Post("/sessions/revoke", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req RevokeRequest
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
		view, err := g.RevokeSessions(r.Context(), tenant, req)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	r.Post("/catalogue/plan", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req CatalogueChange
		if err := readJSON(w, r, maxManifestBody, &req); err != nil {
			return err
		}
		view, err := g.PlanCatalogue(r.Context(), tenant, req)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	r.Post("/catalogue/apply", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req CatalogueChange
		if err := readJSON(w, r, maxManifestBody, &req); err != nil {
			return err
		}
		view, err := g.ApplyCatalogue(r.Context(), tenant, req)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	r.Get("/catalogue/export", g.api(func(w http.ResponseWriter, r *http.Request) error {
		view, err := g.ExportCatalogue(r.Context(), tenant)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, view)
	}))
	g.logRoutes(r)
	r.Get("/audit/verify", g.api(func(w http.ResponseWriter, r *http.Request) error {
		after, err := strconv.ParseUint(orElse(r.URL.Query().Get("after"), "0"), 10, 63)
		if err != nil {
			return lodge.E(lodge.CodeInvalid, "Say behind which entry to begin: a whole number.")
		}
		report, err := g.VerifyAudit(r.Context(), after)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, report)
	}))
}

// SessionsView is a list of sessions.
type SessionsView struct {
	Sessions []SessionView `json:"sessions"`
}
