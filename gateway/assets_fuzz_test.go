package gateway

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is asked for, nothing outside a namespace and no dot file is served.
func FuzzAssetsStayInTheirFolder(f *testing.F) {
	for _, seed := range []string{
		"spin/app.js", "spin/../secret/key.txt", "spin/%2e%2e/secret", "../outside.txt", ".git/config", "spin/\\..\\", "spin/a\x00b", "//", "spin/./x", "spin/...", "spin/deep",
	} {
		f.Add(seed)
	}
	dir := filepath.Join(f.TempDir(), "uis")
	for name, content := range map[string]string{"spin/index.html": "<p>spin", "spin/deep/index.html": "<p>deep", "spin/.env": "SECRET", "../outside.txt": "SECRET", ".git/config": "SECRET"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/{namespace}/{name...}", uiFiles{FoldersIn(dir)})
	direct := uiFiles{FoldersIn(dir)} // as if the mux had let everything pass
	f.Fuzz(func(t *testing.T, target string) {
		namespace, name, _ := strings.Cut(target, "/")
		for _, h := range []http.Handler{mux, direct} {
			r := httptest.NewRequest(http.MethodGet, "http://ui.example/assets/", nil)
			r.URL.Path = "/assets/" + target
			r.SetPathValue("namespace", namespace)
			r.SetPathValue("name", name)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), "SECRET") || w.Code >= 500 {
				t.Errorf("%q: %d %q", target, w.Code, w.Body)
			}
			if to := w.Header().Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "://") {
				t.Errorf("%q leads to %q", target, to)
			}
		}
	})
}
