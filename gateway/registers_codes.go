package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"rsc.io/qr"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

// guessRate is how many codes one person may try for one register in a minute.
const guessRate = 10

// herePath is where the link on a screen leads.
const herePath = "/attendance/here/"

func (g *Gateway) getScreen(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	view, err := g.screen(r.Context(), s, register.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, view)
}

// screen is what the screen in a room shows now.
func (g *Gateway) screen(ctx context.Context, s sessions.Session, id string) (ScreenView, error) {
	shown, err := g.register.Show(ctx, s.Tenant, id)
	if err != nil {
		return ScreenView{}, err
	}
	return ScreenView{
		Code: shown.Code, Link: g.cfg.PublicURL + herePath + id + "?token=" + shown.Token, Until: shown.Until, Next: int(shown.Until.Sub(g.clock.Now()).Milliseconds()),
	}, nil
}

// typed marks a person who typed what the screen shows.
func (g *Gateway) typed(ctx context.Context, s sessions.Session, id, code string) (RegisterView, error) {
	if err := g.guesses.allow(s.Tenant, id+" "+string(s.Person)); err != nil {
		return RegisterView{}, err
	}
	return g.comes(ctx, s, id, func(ctx context.Context, tenant lodge.Tenant, id string, who attendance.Coming) (attendance.Register, error) {
		return g.register.Type(ctx, tenant, id, who, code)
	})
}

// typedAnywhere is typed for whoever does not say which register: the code tells.
func (g *Gateway) typedAnywhere(ctx context.Context, s sessions.Session, code string) (RegisterView, error) {
	if s.Kind != sessions.Login {
		return RegisterView{}, errBookingOnly()
	}
	ids, err := g.register.CouldType(ctx, s.Tenant, s.Person, s.Groups)
	if err != nil {
		return RegisterView{}, err
	}
	err = lodge.E(lodge.CodeRefused, "No register of yours takes a code at the moment.")
	for _, id := range ids {
		var view RegisterView
		if view, err = g.typed(ctx, s, id, code); err == nil || lodge.CodeOf(err) != lodge.CodeRefused {
			return view, err
		}
	}
	return RegisterView{}, err
}

func (g *Gateway) passCookie() string { return g.cookieName("__Host-lodge-here", "lodge-dev-here") }

// setPass keeps in the browser that somebody was in the room, until they have signed
// in; an empty pass forgets it.
func (g *Gateway) setPass(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: g.passCookie(), Value: value, Path: "/", MaxAge: maxAge,
		Secure: strings.HasPrefix(g.cfg.PublicURL, "https:"), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// herePage is where the link on a screen leads: it marks who follows it. Whoever has
// to sign in first takes a pass along, in a cookie, and comes back without the token:
// that is good for some seconds only. Marking by following a link is no harm: it says
// of the person who does what they came to say, and again is not twice.
func (g *Gateway) herePage(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	held := soleCookie(r, g.passCookie())
	pass := held
	if token := r.URL.Query().Get("token"); token != "" {
		if err := g.signIns.allow(tenantOf(ctx), "room "+addressOf(ctx)); err != nil {
			return err
		}
		admitted, err := g.register.Admit(ctx, tenantOf(ctx), id, token)
		if err != nil {
			return g.notMarked(w, r, err, "")
		}
		pass = id + "." + admitted
	}
	s, err := g.person(r)
	if err != nil {
		if lodge.CodeOf(err) != lodge.CodeUnauthenticated && lodge.CodeOf(err) != lodge.CodeForbidden {
			return err
		}
		g.setPass(w, pass, 600)
		http.Redirect(w, r, "/login?return="+url.QueryEscape(herePath+id), http.StatusSeeOther)
		return nil
	}
	register, good, _ := strings.Cut(pass, ".")
	if register != id {
		good = "" // of another room
	}
	if held != "" {
		g.setPass(w, "", -1)
	}
	_, err = g.comes(ctx, s, id, func(ctx context.Context, tenant lodge.Tenant, id string, who attendance.Coming) (attendance.Register, error) {
		return g.register.Present(ctx, tenant, id, who, good)
	})
	if err != nil {
		return g.notMarked(w, r, err, "")
	}
	return seeOther(w, r, "/attendance", "here")
}

// qrPath draws a text as a QR code: the outline of its dark modules for a path of SVG,
// and how many modules wide it is with the margin it needs.
func qrPath(text string) (path string, size int, err error) {
	const margin = 4
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, fmt.Errorf("gateway: qr: %w", err)
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+margin, y+margin, run, run)
				x += run
			}
		}
	}
	return b.String(), code.Size + 2*margin, nil
}
