package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Folders opens the folder of a namespace as it is at this moment, until done is
// called; fs.ErrNotExist when there is none. The name is one part of a path, and
// not a dot file's.
type Folders func(namespace string) (files fs.FS, done func(), err error)

// FoldersIn serves each folder of a directory as a namespace. Either may be a
// symbolic link that is exchanged at any time, as git-sync and "ln -sfn, mv -T" do:
// it is resolved once for each request. Links in a folder work as long as they stay
// in it.
func FoldersIn(dir string) Folders {
	return func(namespace string) (fs.FS, func(), error) {
		to, err := filepath.EvalSymlinks(filepath.Join(dir, namespace))
		if err != nil {
			return nil, nil, err
		}
		if info, err := os.Stat(to); err != nil {
			return nil, nil, err
		} else if !info.IsDir() {
			return nil, nil, errNoFile
		}
		root, err := os.OpenRoot(to)
		if err != nil {
			return nil, nil, err
		}
		return root.FS(), func() { _ = root.Close() }, nil // it was only read from
	}
}

// FoldersOf serves each folder of a tree that never changes.
func FoldersOf(tree fs.FS) Folders {
	return func(namespace string) (fs.FS, func(), error) {
		if info, err := fs.Stat(tree, namespace); err != nil {
			return nil, nil, err
		} else if !info.IsDir() {
			return nil, nil, errNoFile
		}
		files, err := fs.Sub(tree, namespace)
		return files, func() {}, err
	}
}

// errNoFile: there is something of that name, which is not served.
var errNoFile = errors.New("assets: not a regular file")

// uiTypes are the media types of what UIs are made of; the host's own table may
// differ or be absent. What neither knows is a download.
var uiTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".wasm": "application/wasm",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".webp": "image/webp", ".avif": "image/avif", ".ico": "image/x-icon",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".txt": "text/plain; charset=utf-8", ".md": "text/plain; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".pdf": "application/pdf", ".mp4": "video/mp4", ".webm": "video/webm", ".ts": "video/mp2t", ".mp3": "audio/mpeg",
	".glb": "model/gltf-binary", ".gltf": "model/gltf+json", ".stl": "model/stl",
}

func uiType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := uiTypes[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// Bundlers name a file after its contents: main.3f9c0d21.js, index-BdRk2x9_.js. A
// name counts as such when its last part is long and mixed as only a hash is; what
// is taken for none is merely asked for again.
var (
	lastPart = regexp.MustCompile(`[.-]([0-9A-Za-z_-]{8,64})(?:\.chunk|\.min)?\.[0-9a-z]{1,5}(?:\.map)?$`)
	hexHash  = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	digit    = regexp.MustCompile(`[0-9]`)
	lower    = regexp.MustCompile(`[a-z]`)
	upper    = regexp.MustCompile(`[A-Z]`)
)

func hashedName(name string) bool {
	m := lastPart.FindStringSubmatch(path.Base(name))
	if m == nil || !digit.MatchString(m[1]) || !lower.MatchString(m[1]) {
		return false
	}
	return hexHash.MatchString(m[1]) || upper.MatchString(m[1])
}

// encodings are looked for beside a file, under its name and the ending, best
// first.
var encodings = []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

// serveUIFile writes a file, compressed when that lies beside it and the client
// takes it; with ranges and validators (RFC 9110 sections 13 and 14).
func serveUIFile(w http.ResponseWriter, r *http.Request, files fs.FS, name string) error {
	f, info, err := openRegular(files, name)
	if err != nil {
		return err
	}
	coding := ""
	packed := false // a compressed file lies beside it
	for _, e := range encodings {
		p, pinfo, err := openRegular(files, name+e.ending)
		if err != nil {
			continue
		}
		packed = true
		if coding == "" && accepts(r.Header.Get("Accept-Encoding"), e.name) {
			_ = f.Close() // it was only read from
			f, info, coding = p, pinfo, e.name
			continue
		}
		_ = p.Close()
	}
	defer func() { _ = f.Close() }()
	content, ok := f.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("assets: %s cannot be read from any place", name)
	}
	tag, err := entityTag(content, info)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", uiType(name))
	h.Set("ETag", tag)
	if packed {
		h.Set("Vary", "Accept-Encoding")
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	if hashedName(name) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", info.ModTime(), content)
	return nil
}

// openRegular opens a regular file; opening a pipe would wait for a writer.
func openRegular(files fs.FS, name string) (fs.File, fs.FileInfo, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNoFile
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// entityTag tells one content of a file from another: by size and time of change,
// as web servers do, or by a hash where there is no such time.
func entityTag(content io.ReadSeeker, info fs.FileInfo) (string, error) {
	if at := info.ModTime(); !at.IsZero() {
		return `"` + strconv.FormatInt(info.Size(), 36) + "-" + strconv.FormatInt(at.UnixNano(), 36) + `"`, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil {
		return "", err
	}
	_, err := content.Seek(0, io.SeekStart)
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12]) + `"`, err
}

// accepts reports whether an Accept-Encoding names a coding without forbidding it
// (RFC 9110 section 12.5.3).
func accepts(header, coding string) bool {
	for one := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		key, q, ok := strings.Cut(strings.TrimSpace(params), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(key), "q") {
			return true
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && weight > 0
	}
	return false
}
