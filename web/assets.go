package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// assets serves one embedded tree, with every file held in memory as it is and
// compressed. The addresses that pages use carry a hash of the whole tree as
// their first segment, so that relative imports between modules stay within one
// version and can be cached for ever:
//
//	/static/3f9c0d21ab/js/app.js    immutable
//	/static/js/app.js               the same, revalidated by its ETag
//
// A hash that is not this build's (a page of another node, in the middle of an
// upgrade) is answered with this build's file, to be revalidated.
type assets struct {
	prefix  string // "/static/"
	version string
	origin  string // Access-Control-Allow-Origin, or empty
	files   map[string]*asset
	spoken  map[string]map[string]*asset // by language and name: the pages among them
}

// asset is one file; its fields never change.
type asset struct {
	mime    string
	etag    string
	plain   []byte
	gzip    []byte // nil when compressing does not pay
	forEver bool   // what this address holds never changes
}

// types lists what the trees hold; the host's own table may differ or be absent.
var types = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".json":  "application/json",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".ts":    "text/plain; charset=utf-8",
	".woff2": "font/woff2",
	".png":   "image/png",
}

// newAssets reads the directories of a tree, each of which becomes the
// directory of the addresses that the map gives for it. A single file keeps its
// whole path below that.
func newAssets(tree fs.FS, prefix, origin string, roots map[string]string) (*assets, error) {
	a := &assets{prefix: prefix, origin: origin, files: map[string]*asset{}}
	whole := sha256.New()
	for _, root := range slices.Sorted(maps.Keys(roots)) {
		if err := a.add(tree, root, roots[root], whole); err != nil {
			return nil, fmt.Errorf("web: assets: %w", err)
		}
	}
	a.version = hex.EncodeToString(whole.Sum(nil)[:5])
	return a, nil
}

// addWords adds, for each language but English, a module with what the modules
// under static/js say: js/words/TAG.js.
func (a *assets) addWords(l *locales) error {
	whole := sha256.New()
	_, _ = io.WriteString(whole, a.version) // a hash never fails
	for _, tag := range l.tags[1:] {
		words := map[string]any{}
		for name, f := range a.files {
			if path.Ext(name) != ".js" {
				continue
			}
			for _, key := range scriptTexts(string(f.plain)) {
				if forms, ok := l.printers[tag.String()].texts[key]; ok {
					words[key] = forms
				}
			}
		}
		body, err := json.Marshal(words)
		if err != nil {
			return err
		}
		body = append(append([]byte("export default "), body...), '\n')
		_, _ = whole.Write(body)
		if a.files["js/words/"+tag.String()+".js"], err = newAsset(types[".js"], body); err != nil {
			return err
		}
	}
	a.version = hex.EncodeToString(whole.Sum(nil)[:5])
	return nil
}

// scriptText is a call of t('…') or tn(n, '…', '…') in a module.
var scriptText = regexp.MustCompile(`\b(?:t\(|tn\([^'()]*(?:\([^'()]*\)[^'()]*)*, '(?:[^'\\]|\\.)*', )'((?:[^'\\]|\\.)*)'`)

// scriptTexts finds the keys of what a module says.
func scriptTexts(module string) []string {
	var keys []string
	for _, m := range scriptText.FindAllStringSubmatch(module, -1) {
		keys = append(keys, strings.ReplaceAll(m[1], `\'`, "'"))
	}
	return keys
}

func newAsset(mime string, body []byte) (*asset, error) {
	sum := sha256.Sum256(body)
	packed, err := compress(body)
	return &asset{mime: mime, plain: body, gzip: packed, etag: base64.RawURLEncoding.EncodeToString(sum[:12])}, err
}

func (a *assets) add(tree fs.FS, root, dir string, whole io.Writer) error {
	return fs.WalkDir(tree, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		mime, ok := types[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no media type for it", name)
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		_, _ = fmt.Fprintf(whole, "%s %x\n", name, sum) // a hash never fails
		a.files[path.Join(dir, strings.TrimPrefix(name, root+"/"))], err = newAsset(mime, body)
		return err
	})
}

// compress returns nil when the result is not clearly smaller.
func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(body); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	if b.Len() > len(body)*9/10 {
		return nil, nil
	}
	return b.Bytes(), nil
}

// url returns the immutable address of a file, which must exist.
func (a *assets) url(name string) (string, error) {
	if a.files[name] == nil {
		return "", fmt.Errorf("web: no asset %q", name)
	}
	return a.prefix + a.version + "/" + name, nil
}

// find splits an address below the prefix into the file and whether it will
// always be the same: the address names this build's version or the file's own.
func (a *assets) find(name string) (f *asset, forEver bool) {
	name = orIndex(name)
	if f = a.files[name]; f != nil {
		return f, f.forEver
	}
	version, rest, _ := strings.Cut(name, "/")
	return a.files[rest], version == a.version
}

// orIndex is the name of a file, that of the folder's page where there is none.
func orIndex(name string) string {
	if name == "" {
		return "index.html"
	}
	return name
}

// ServeHTTP implements http.Handler. The prefix may have been stripped from the
// path already.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, English) }

// serve answers with a file; of a page, with the one in a language.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, lang string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are answered here.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, a.prefix), "/")
	f, forEver := a.find(name)
	if f == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	if page := a.spoken[lang][orIndex(name)]; page != nil {
		f = page
		h.Add("Vary", "Accept-Language")
	}
	h.Set("Content-Type", f.mime)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if forEver {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if a.origin != "" {
		h.Set("Access-Control-Allow-Origin", a.origin)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	body, etag := f.plain, f.etag
	if f.gzip != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body, etag = f.gzip, f.etag+"-gz"
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3) as far as this
// choice needs: gzip or * listed, and not with a weight of nought.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name != "gzip" && name != "*" {
			continue
		}
		q := strings.TrimPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		return strings.Trim(q, "0.") != "" || q == ""
	}
	return false
}
