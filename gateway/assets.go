package gateway

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"
)

// Assets serves experiment UIs from their own origin, /assets/{namespace}/…, one
// folder a namespace, and the SDK they load. There are no listings, and no cookie
// is set or read.
//
// It must be bound to another host name than the gateway's.
func (g *Gateway) Assets(folders Folders) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/{namespace}/{name...}", uiFiles{folders})
	mux.Handle("GET /sdk/", http.StripPrefix("/sdk", g.pages.SDK()))
	// A UI in /assets/{namespace}/ reaches the SDK as ../sdk/ too.
	mux.Handle("GET /assets/sdk/", http.StripPrefix("/assets/sdk", g.pages.SDK()))
	host := strings.TrimPrefix(strings.TrimPrefix(g.cfg.AssetsURL, "https://"), "http://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Host, host) {
			// Under the gateway's own host name, whatever the port, a UI's script
			// would be of one site with the gateway's cookies.
			http.Error(w, "Experiment pages are at "+g.cfg.AssetsURL+" only.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		// Only the gateway's launch page may frame a UI.
		h.Set("Content-Security-Policy", "frame-ancestors "+g.cfg.PublicURL+"; object-src 'none'; base-uri 'none'")
		h.Set("Cache-Control", "no-cache")
		mux.ServeHTTP(w, r)
	})
}

// conformance sends the developer of an experiment UI to the conformance page
// where UIs are: on this origin it would meet neither CORS nor streams of other
// nodes as theirs do, and a code is no business of the gateway's pages.
func (g *Gateway) conformance(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	to := g.cfg.AssetsURL + "/sdk/conformance.html"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, to, http.StatusFound)
}

// uiFiles answers for what is below /assets/{namespace}/.
type uiFiles struct{ folders Folders }

func (u uiFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	if !plainPath(namespace) || strings.Contains(namespace, "/") || name != "" && !plainPath(strings.TrimSuffix(name, "/")) {
		http.NotFound(w, r)
		return
	}
	err := u.serve(w, r, namespace, name)
	// The folder may have been exchanged, and the old one removed, after it was
	// opened: a name is missing only when it is missing from what is there now.
	for tries := 1; tries < 8 && errors.Is(err, fs.ErrNotExist); tries++ {
		err = u.serve(w, r, namespace, name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoFile), errors.Is(err, syscall.ENOTDIR):
		http.NotFound(w, r)
	case err != nil: // a link that leads out of the folder, no right to read it
		http.Error(w, "This file cannot be read; tell whoever keeps the pages of "+namespace+".", http.StatusForbidden)
	}
}

// serve writes the answer, or returns why there is none and has written nothing.
// All it reads is of one state of the folder.
func (u uiFiles) serve(w http.ResponseWriter, r *http.Request, namespace, name string) (err error) {
	files, done, err := u.folders(namespace)
	if err != nil {
		return err
	}
	defer done()
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	} else if info, err := fs.Stat(files, name); err == nil && info.IsDir() {
		if _, err := fs.Stat(files, path.Join(name, "index.html")); err != nil {
			return err
		}
		// As a relative reference (RFC 3986 section 4.2), it cannot lead elsewhere.
		to := url.URL{Path: path.Base(name) + "/", RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", to.String())
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
	return serveUIFile(w, r, files, name)
}

// plainPath reports whether a path is one in a folder of UIs: it stays inside, and
// no part begins with a dot (.git, .env).
func plainPath(name string) bool {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return false
		}
	}
	return true
}
