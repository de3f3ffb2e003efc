package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"rsc.io/qr"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// keeper is somebody who looks after the group of a request's address.
func (g *Gateway) keeper(r *http.Request) (s sessions.Session, group string, err error) {
	if s, err = g.person(r); err != nil {
		return s, "", err
	}
	group = chi.URLParam(r, "id")
	if !keeps(s.Principal(), group) {
		return s, "", lodge.E(lodge.CodeForbidden, "Only an organiser or an instructor of this group may do this; ask your laboratory if that should be you.")
	}
	return s, group, g.groupThere(r.Context(), s.Tenant, group)
}

func (g *Gateway) postJoin(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req JoinRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.join(r.Context(), s, req.Code)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// leave ends one's own membership.
func (g *Gateway) leave(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if err := g.leaveGroup(r.Context(), s, chi.URLParam(r, "id"), s.Person); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) listJoinCodes(w http.ResponseWriter, r *http.Request) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	codes, err := g.joinCodes(r.Context(), s.Tenant, group)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, JoinCodesView{codes})
}

func (g *Gateway) postJoinCode(w http.ResponseWriter, r *http.Request) error {
	return g.newJoinCode(w, r, "")
}

// rotateJoinCode replaces a join code. Its members stay.
func (g *Gateway) rotateJoinCode(w http.ResponseWriter, r *http.Request) error {
	return g.newJoinCode(w, r, chi.URLParam(r, "code"))
}

func (g *Gateway) newJoinCode(w http.ResponseWriter, r *http.Request, replaces string) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	var req JoinCodeRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.makeJoinCode(r.Context(), s, group, replaces, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}

func (g *Gateway) deleteJoinCode(w http.ResponseWriter, r *http.Request) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	if err := g.revokeJoinCode(r.Context(), s, group, chi.URLParam(r, "code")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) listMembers(w http.ResponseWriter, r *http.Request) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	members, err := g.groupMembers(r.Context(), s.Tenant, group)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, MembersView{members})
}

func (g *Gateway) removeMember(w http.ResponseWriter, r *http.Request) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	if err := g.leaveGroup(r.Context(), s, group, lodge.PersonID(chi.URLParam(r, "person"))); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// joinQR shows a join link as a QR code. The address names the join code by its id:
// the code itself is in the picture alone.
func (g *Gateway) joinQR(w http.ResponseWriter, r *http.Request) error {
	s, group, err := g.keeper(r)
	if err != nil {
		return err
	}
	link, err := g.joinLink(r.Context(), s.Tenant, group, chi.URLParam(r, "code"))
	if err != nil {
		return err
	}
	picture, err := qrSVG(link)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(picture) // the client has gone, or it has the picture
	return nil
}

func (g *Gateway) joinLink(ctx context.Context, tenant lodge.Tenant, group, id string) (string, error) {
	codes, err := g.joinCodes(ctx, tenant, group)
	if err != nil {
		return "", err
	}
	for _, c := range codes {
		if c.ID == id && c.Link != "" {
			return c.Link, nil
		}
	}
	return "", errNotThere("join code")
}

// quiet is the border that readers of QR codes need, in modules.
const quiet = 4

// qrSVG draws a text as a QR code, each row one path of black modules.
func qrSVG(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("gateway: QR code: %w", err)
	}
	size := code.Size + 2*quiet
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, size, size, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return []byte(b.String()), nil
}
