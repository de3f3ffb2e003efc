package gateway

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Assets serves experiment UIs from their own origin: /assets/{namespace}/…, one
// directory a namespace, and the SDK they load. files may be a directory that is
// swapped under it: each request opens its path anew. There are no listings.
//
// It must be bound to another host name than the gateway's, and holds no cookie.
func (g *Gateway) Assets(files fs.FS) http.Handler {
	static := http.FileServerFS(noListing{files})
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", http.StripPrefix("/assets", static))
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

// noListing is a file system whose directories open only where they hold an
// index.html, and whose dot files are not there.
type noListing struct{ fs.FS }

func (n noListing) Open(name string) (fs.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	f, err := n.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		var index fs.File
		if index, err = n.FS.Open(path.Join(name, "index.html")); err == nil {
			err = index.Close()
		}
	}
	if err != nil {
		_ = f.Close() // the error that matters is err
		return nil, err
	}
	return f, nil
}
