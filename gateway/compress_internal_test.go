package gateway

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCompressedSendsWhatIsAskedFor(t *testing.T) {
	long := strings.Repeat("the porter's lodge ", 200)
	for name, c := range map[string]struct {
		method, accepts, mediaType, body string
		status                           int
		packed                           bool
	}{
		"a page":               {"GET", "gzip, br", "text/html; charset=utf-8", long, 200, true},
		"a list":               {"GET", "br;q=1, gzip;q=0.5", "application/json", long, 200, true},
		"a page that is wrong": {"GET", "gzip", "text/html; charset=utf-8", long, 422, true},
		"a client without":     {"GET", "", "text/html; charset=utf-8", long, 200, false},
		"a client against":     {"GET", "gzip;q=0", "text/html; charset=utf-8", long, 200, false},
		"the head alone":       {"HEAD", "gzip", "text/html; charset=utf-8", long, 200, false},
		"a short answer":       {"GET", "gzip", "application/json", "{}", 200, false},
		"a picture":            {"GET", "gzip", "image/png", long, 200, false},
		"nothing":              {"GET", "gzip", "", "", 303, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, "/", nil)
			r.Header.Set("Accept-Encoding", c.accepts)
			compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.mediaType)
				w.WriteHeader(c.status)
				half := len(c.body) / 2
				_, _ = io.WriteString(w, c.body[:half])
				_, _ = io.WriteString(w, c.body[half:])
			})).ServeHTTP(w, r)
			got := w.Result()
			if got.StatusCode != c.status || got.Header.Get("Vary") != "Accept-Encoding" || (got.Header.Get("Content-Encoding") == "gzip") != c.packed {
				t.Fatalf("%d %v", got.StatusCode, got.Header)
			}
			body := io.Reader(got.Body)
			if c.packed {
				if got.ContentLength >= int64(len(long)) {
					t.Errorf("%d bytes of %d", got.ContentLength, len(long))
				}
				zr, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = zr
			}
			if read, err := io.ReadAll(body); err != nil || string(read) != c.body {
				t.Errorf("%q, %v", read, err)
			}
		})
	}
}

// A guess that comes back beside what it guesses shortens an answer by a few bytes:
// an answer's own length varies by more.
func TestCompressedLengthsVary(t *testing.T) {
	body := []byte(strings.Repeat("the porter's lodge ", 200))
	shortest, longest := len(body), 0
	for range 200 { // that all 200 lie close together happens once in 10⁶⁰ times
		n := len(pack(body, padding()))
		shortest, longest = min(shortest, n), max(longest, n)
	}
	if longest-shortest < 64 {
		t.Errorf("between %d and %d bytes", shortest, longest)
	}
}

func TestDocumentsAreCompressedOnce(t *testing.T) {
	serve := document("application/yaml", OpenAPI)
	for accepted, coding := range map[string]string{"": "", "gzip": "gzip"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/api/openapi.yaml", nil)
		r.Header.Set("Accept-Encoding", accepted)
		serve(w, r)
		if got := w.Header(); got.Get("Content-Encoding") != coding || got.Get("Vary") != "Accept-Encoding" || (w.Body.Len() < len(OpenAPI)/2) != (coding != "") {
			t.Errorf("%q: %v, %d bytes", accepted, got, w.Body.Len())
		}
	}
}
