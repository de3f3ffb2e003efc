package web

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// The SDK is published under two kinds of names:
//
//	/sdk/lodge.js         this build's, revalidated by its ETag
//	/sdk/lodge-1.0.0.js   that version, for ever: what pages name with an integrity hash
//
// A version that was ever published stays in web/sdk beside the file it came
// from, so that a page which insists on it outlives every upgrade of Lodge.

// sdkVersioned is the name of a file whose contents never change.
var sdkVersioned = regexp.MustCompile(`^[a-z]+-(\d+\.\d+\.\d+)\.js$`)

// sdkVersion is where lodge.js says which version it is.
var sdkVersion = regexp.MustCompile(`(?m)^export const version = '(\d+\.\d+\.\d+)'$`)

// sdkIndex is /sdk/integrity.json, and what the page at /sdk/ shows.
type sdkIndex struct {
	Version string    `json:"version"` // this build's
	Files   []sdkFile `json:"files"`   // the newest version first
}

// sdkFile is one published file.
type sdkFile struct {
	Name      string `json:"name"` // below /sdk/
	Version   string `json:"version"`
	Integrity string `json:"integrity"` // Subresource Integrity, SHA-384
	Bytes     int    `json:"bytes"`     // compressed with gzip
}

// newSDK reads web/sdk, and writes the list of what is published in it.
func newSDK(tree fs.FS, locales *locales) (*assets, error) {
	a, err := newAssets(tree, "/sdk/", "*", map[string]string{"sdk": "", "static/css": "css", "static/icon.svg": "", "samples/pendulum/pendulum.js": ""})
	if err != nil {
		return nil, err
	}
	version := sdkVersion.FindSubmatch(a.files["lodge.js"].plain)
	if version == nil {
		return nil, fmt.Errorf("web: lodge.js does not say which version it is")
	}
	index := sdkIndex{Version: string(version[1])}
	for name, f := range a.files {
		if m := sdkVersioned.FindStringSubmatch(name); m != nil {
			f.forEver = true
			sum := sha512.Sum384(f.plain)
			index.Files = append(index.Files, sdkFile{
				Name: name, Version: m[1], Integrity: "sha384-" + base64.StdEncoding.EncodeToString(sum[:]), Bytes: len(f.gzip),
			})
		}
	}
	slices.SortFunc(index.Files, func(a, b sdkFile) int {
		if a.Version != b.Version {
			return compareVersions(b.Version, a.Version)
		}
		return strings.Compare(b.Name, a.Name) // lodge before its components
	})
	list, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return nil, err
	}
	if a.files["integrity.json"], err = newAsset(types[".json"], append(list, '\n')); err != nil {
		return nil, err
	}
	return a, a.addPages(locales, index)
}

// addPages writes the pages among the files in every language.
func (a *assets) addPages(locales *locales, view any) error {
	a.spoken = map[string]map[string]*asset{}
	for _, name := range []string{"index.html", "conformance.html"} {
		for lang, say := range locales.printers {
			page, err := template.New("sdk").Funcs(template.FuncMap{"t": say.html, "lang": say.Language, "dir": say.Direction}).Parse(string(a.files[name].plain))
			if err != nil {
				return fmt.Errorf("web: %s of the SDK: %w", name, err)
			}
			var b bytes.Buffer
			if err := page.Execute(&b, view); err != nil {
				return fmt.Errorf("web: %s of the SDK: %w", name, err)
			}
			if a.spoken[lang] == nil {
				a.spoken[lang] = map[string]*asset{}
			}
			if a.spoken[lang][name], err = newAsset(types[".html"], b.Bytes()); err != nil {
				return err
			}
		}
	}
	for name, page := range a.spoken[English] {
		a.files[name] = page
	}
	return nil
}

// compareVersions orders versions as Semantic Versioning does; both are plain
// triples of numbers.
func compareVersions(a, b string) int {
	numbers := func(v string) (n [3]int) {
		_, _ = fmt.Sscanf(v, "%d.%d.%d", &n[0], &n[1], &n[2]) // both have matched sdkVersioned
		return n
	}
	x, y := numbers(a), numbers(b)
	return slices.Compare(x[:], y[:])
}

// SDK serves /sdk/… to every origin: lodge.js, the components, their types, the
// versions that pages name with an integrity hash, and a page for the developers
// of experiment UIs, in the language that their browser asks for.
func (p *Pages) SDK() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.sdk.serve(w, r, p.Choose("", strings.Join(r.Header.Values("Accept-Language"), ",")).Language())
	})
}
