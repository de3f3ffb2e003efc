package web

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The budgets of the SDK, in bytes as they travel.
const (
	sdkBudget        = 4 << 10
	componentsBudget = 4 << 10
)

func TestSDKIsForEveryOrigin(t *testing.T) {
	p := newPages(t)
	for _, h := range []http.Handler{p.SDK(), http.StripPrefix("/sdk", p.SDK())} {
		for name, mime := range map[string]string{
			"lodge.js": "text/javascript; charset=utf-8", "components.js": "text/javascript; charset=utf-8", "lodge.d.ts": "text/plain; charset=utf-8",
			"components.d.ts": "text/plain; charset=utf-8", "integrity.json": "application/json", "": "text/html; charset=utf-8",
			"index.html": "text/html; charset=utf-8", "conformance.html": "text/html; charset=utf-8", "css/lodge.css": "text/css; charset=utf-8",
		} {
			r := get(t, h, "/sdk/"+name)
			if r.StatusCode != http.StatusOK || r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("Content-Type") != mime || r.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("%q: %d, %v", name, r.StatusCode, r.Header)
			}
		}
	}
}

func TestSDKSize(t *testing.T) {
	p := newPages(t)
	for name, budget := range map[string]int{"lodge.js": sdkBudget, "components.js": componentsBudget} {
		small := body(t, get(t, p.SDK(), "/sdk/"+name, "Accept-Encoding", "gzip"))
		t.Logf("%s: %d bytes compressed", name, len(small))
		if len(small) > budget {
			t.Errorf("%s has %d bytes compressed, more than %d", name, len(small), budget)
		}
	}
}

// integrity reads /sdk/integrity.json.
func integrity(t *testing.T, p *Pages) (index sdkIndex) {
	t.Helper()
	if err := json.Unmarshal(body(t, get(t, p.SDK(), "/sdk/integrity.json")), &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// What has a version in its name never changes, and is what the list says.
func TestSDKVersionsAreForEver(t *testing.T) {
	p := newPages(t)
	index := integrity(t, p)
	if len(index.Files) < 2 || index.Files[0].Version != index.Version || index.Files[0].Name != "lodge-"+index.Version+".js" {
		t.Fatalf("%+v", index)
	}
	page := string(body(t, get(t, p.SDK(), "/sdk/")))
	for _, f := range index.Files {
		plain := get(t, p.SDK(), "/sdk/"+f.Name)
		sum := sha512.Sum384(body(t, plain))
		if want := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); f.Integrity != want {
			t.Errorf("%s: %s, want %s", f.Name, f.Integrity, want)
		}
		if got := plain.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", f.Name, got)
		}
		small := get(t, p.SDK(), "/sdk/"+f.Name, "Accept-Encoding", "gzip")
		if n := len(body(t, small)); small.Header.Get("Content-Encoding") != "gzip" || n != f.Bytes {
			t.Errorf("%s: %d bytes compressed, the list says %d", f.Name, n, f.Bytes)
		}
		if shown := strings.ReplaceAll(f.Integrity, "+", "&#43;"); strings.Count(page, shown) < 2 {
			t.Errorf("the page does not have %s of %s, to see and to copy", shown, f.Name)
		}
	}
	if r := get(t, p.SDK(), "/sdk/lodge-0.0.1.js"); r.StatusCode != http.StatusNotFound {
		t.Errorf("a version that never was: %d", r.StatusCode)
	}
}

// A published file is the one it was made from: whoever changes the SDK gives it
// a new version and leaves the old file where it is.
func TestSDKIsPublishedAsItIs(t *testing.T) {
	p := newPages(t)
	version := integrity(t, p).Version
	own := []byte("'./lodge-" + version + ".js'")
	for _, name := range []string{"lodge", "components"} {
		want := bytes.ReplaceAll(p.sdk.files[name+".js"].plain, []byte("'./lodge.js'"), own)
		published := p.sdk.files[name+"-"+version+".js"]
		if published == nil || !bytes.Equal(published.plain, want) {
			t.Errorf("sdk/%[1]s.js is not what was published as sdk/%[1]s-%[2]s.js; after a change raise the version in lodge.js, and then:\n"+
				"sed \"s#'./lodge.js'#'./lodge-VERSION.js'#\" web/sdk/%[1]s.js > web/sdk/%[1]s-VERSION.js", name, version)
		}
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	versions := []string{"1.10.0", "1.2.10", "10.0.0", "1.2.9", "0.9.9"}
	slices.SortFunc(versions, compareVersions)
	if want := []string{"0.9.9", "1.2.9", "1.2.10", "1.10.0", "10.0.0"}; !slices.Equal(versions, want) {
		t.Errorf("%v, want %v", versions, want)
	}
}

var (
	exported  = regexp.MustCompile(`(?m)^export (?:declare )?(?:default )?(?:async )?(?:class|function|const) (\w+)`)
	imported  = regexp.MustCompile(`(?m)^import (?:.* from )?'([^']+)'`)
	localLink = regexp.MustCompile(`(?:src|href)="([^"#:]+)"`)
)

// The types name what the modules export, and the pages what is there.
func TestSDKAgreesWithItself(t *testing.T) {
	p := newPages(t)
	names := func(file string) (out []string) {
		for _, m := range exported.FindAllSubmatch(p.sdk.files[file].plain, -1) {
			out = append(out, string(m[1]))
		}
		slices.Sort(out)
		return out
	}
	for _, module := range []string{"lodge", "components"} {
		if js, types := names(module+".js"), names(module+".d.ts"); len(js) == 0 || !slices.Equal(js, types) {
			t.Errorf("%s.js exports %v, its types %v", module, js, types)
		}
	}
	for name, f := range p.sdk.files {
		if strings.HasPrefix(name, "samples/") {
			continue // a source to read
		}
		for _, m := range append(imported.FindAllSubmatch(f.plain, -1), localLink.FindAllSubmatch(f.plain, -1)...) {
			if target := string(m[1]); get(t, p.SDK(), "/sdk/"+strings.TrimPrefix(target, "./")).StatusCode != http.StatusOK {
				t.Errorf("%s names %s, which is not there", name, target)
			}
		}
		if strings.HasSuffix(name, ".html") {
			if at := inline.Find(f.plain); at != nil {
				t.Errorf("%s: inline %q", name, at)
			}
		}
	}
}

// The pages for developers speak the reader's language, as all others do.
func TestSDKPagesSpeakTheReadersLanguage(t *testing.T) {
	p := newPages(t)
	for path, words := range map[string]map[string]string{
		"/sdk/":                 {"en": "Four lines", "de": "Vier Zeilen"},
		"/sdk/conformance.html": {"en": "Stop the list", "de": "Liste anhalten"},
	} {
		for lang, want := range words {
			r := get(t, p.SDK(), path, "Accept-Language", lang)
			page := string(body(t, r))
			if !strings.Contains(page, `<html lang="`+lang+`"`) || !strings.Contains(page, want) || !slices.Contains(r.Header["Vary"], "Accept-Language") {
				t.Errorf("%s in %s: %v\n%s", path, lang, r.Header, page)
			}
		}
	}
}
