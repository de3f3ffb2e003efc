package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressible is from how many bytes on compressing an answer pays: a smaller one
// fits into one packet as it is.
const compressible = 1400

// compressed sends the answers of a route with gzip to clients that take it.
//
// The length of a compressed answer tells something of what is in it: who can make
// a browser ask again and again, with guesses that come back beside a secret, and
// can see the lengths on the wire, learns the secret letter by letter (BREACH).
// Therefore this stands on listed routes alone, in routes.go: on those whose
// answers hold no code, no ticket, no booking reference, no join link and nobody's
// own words. What does hold such is sent as it is. Against guesses at what the
// listed ones hold (names, for one) an answer's length varies at random, by as much
// as dozens of right guesses would shorten it; and cookies do not go along with
// what other sites embed (SameSite).
func compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method != http.MethodGet || !accepts(r.Header.Get("Accept-Encoding"), "gzip") {
			next.ServeHTTP(w, r)
			return
		}
		c := &compressor{ResponseWriter: w, status: http.StatusOK}
		defer c.end()
		next.ServeHTTP(c, r)
	})
}

// A compressor gathers an answer, which its handler has in memory as a whole
// anyway, and sends it when the handler is through.
type compressor struct {
	http.ResponseWriter
	status int
	begun  bool
	body   bytes.Buffer
}

// WriteHeader keeps the status for the end.
func (c *compressor) WriteHeader(status int) {
	if !c.begun {
		c.status, c.begun = status, true
	}
}

// Write keeps a part of the body.
func (c *compressor) Write(p []byte) (int, error) {
	c.begun = true
	return c.body.Write(p)
}

// end sends what was gathered. A handler that panicked before it wrote anything
// leaves the answer to whoever recovers.
func (c *compressor) end() {
	if !c.begun {
		return
	}
	h, body := c.Header(), c.body.Bytes()
	if len(body) >= compressible && h.Get("Content-Encoding") == "" && packs(h.Get("Content-Type")) {
		body = pack(body, padding())
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.ResponseWriter.WriteHeader(c.status)
	_, _ = c.ResponseWriter.Write(body) // the client has gone, or it has the answer
}

// packs reports whether a media type is of text.
func packs(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "json") || strings.HasSuffix(mediaType, "yaml")
}

var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack compresses a body. What is given as a name stands in the head of the result
// (RFC 1952 section 2.3.1) and means nothing.
func pack(body []byte, name string) []byte {
	var b bytes.Buffer
	zw := packers.Get().(*gzip.Writer)
	defer packers.Put(zw)
	zw.Reset(&b)
	zw.Name = name
	_, _ = zw.Write(body) // a buffer takes everything
	_ = zw.Close()        // as above
	return b.Bytes()
}

// padding is a name of 0 to 127 letters.
func padding() string {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.Repeat("x", int(b[0]>>1))
}

// document serves a text that never changes, compressed once and for all.
func document(contentType string, body []byte) http.HandlerFunc {
	packed := pack(body, "")
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Add("Vary", "Accept-Encoding")
		content := body
		if accepts(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			content = packed
		}
		_, _ = w.Write(content) // the client has gone, or it has the document
	}
}
