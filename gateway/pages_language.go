package gateway

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/web"
)

// The cookies that remember how somebody reads: they name a language and a time
// zone, nobody, and a page's script writes the second.
const (
	languageCookie = "lodge-language"
	zoneCookie     = "lodge-zone"
	// rememberedFor is how long a choice of language lasts.
	rememberedFor = 365 * 24 * time.Hour
	// maxZone bounds the name of a zone, in bytes; the longest there is has 32.
	maxZone = 64
)

// readsIn is the language and the time zone a page is read in: what was chosen or
// noted before, else what the browser asks for and the institution's zone.
func (g *Gateway) readsIn(r *http.Request) (*web.Printer, *time.Location) {
	return g.speaks(r), g.readersZone(r)
}

func (g *Gateway) speaks(r *http.Request) *web.Printer {
	return g.pages.Choose(soleCookie(r, languageCookie), strings.Join(r.Header.Values("Accept-Language"), ","))
}

// inChosenLanguage asks for pages among files in the language that a reader chose on our pages, if they did.
func (g *Gateway) inChosenLanguage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) == ".html" || strings.HasSuffix(r.URL.Path, "/") {
			w.Header().Add("Vary", "Cookie")
			r = r.Clone(r.Context())
			r.Header.Set("Accept-Language", g.speaks(r).Language())
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) readersZone(r *http.Request) *time.Location {
	if name := soleCookie(r, zoneCookie); name != "" && name != "Local" && len(name) <= maxZone {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	if g.cfg.Zone == nil {
		return time.UTC
	}
	return g.cfg.Zone
}

// languageForm remembers the language that was chosen, and goes back to the page.
func (g *Gateway) languageForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	chosen := r.PostFormValue("language")
	if !slices.ContainsFunc(g.pages.Languages(), func(l web.Language) bool { return l.Tag == chosen }) {
		return lodge.E(lodge.CodeRefused, "The pages are not written in that language; choose one of those offered.")
	}
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: chosen, Path: "/", MaxAge: int(rememberedFor.Seconds()), HttpOnly: true,
		Secure: strings.HasPrefix(g.cfg.PublicURL, "https:"), SameSite: http.SameSiteLaxMode,
	})
	return seeOther(w, r, idp.SafeReturn(r.PostFormValue("return")), "")
}
