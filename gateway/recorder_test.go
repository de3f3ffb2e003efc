package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge/gateway"
)

// An operation of the OpenAPI document.
type operation struct {
	method    string
	path      string                        // as in the document: /api/v1/bookings/{id}
	segments  []string                      // of path, each parameter as {id}
	body      map[string]*jsonschema.Schema // by media type
	responses map[string]response           // by status, and "default"
}

// A response as documented, references followed.
type response struct {
	required []string                      // headers
	content  map[string]*jsonschema.Schema // by media type; a nil schema for text
}

// openAPI is the document, read and compiled once.
var openAPI = sync.OnceValues(func() (*apiDocument, error) {
	d := &apiDocument{}
	if err := yaml.Unmarshal(gateway.OpenAPI, &d.root); err != nil {
		return nil, err
	}
	d.compiler = jsonschema.NewCompiler()
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", plain(d.root)); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(d.at("paths"))) {
		for method := range d.at("paths", path) {
			if method == "parameters" {
				continue
			}
			op, err := d.operation(path, method)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			d.operations = append(d.operations, op)
		}
	}
	return d, nil
})

type apiDocument struct {
	root       map[string]any
	compiler   *jsonschema.Compiler
	operations []operation
}

// plain turns what YAML reads into what JSON would.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			v[k] = plain(child)
		}
		return v
	case []any:
		for i, child := range v {
			v[i] = plain(child)
		}
		return v
	case int:
		return float64(v)
	}
	return v
}

// at returns the object at a path of the document, following a reference there;
// nil when there is none.
func (d *apiDocument) at(path ...string) map[string]any {
	var v any = d.root
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	m, _ := v.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return m
}

func (d *apiDocument) operation(path, method string) (operation, error) {
	at := []string{"paths", path, method}
	op := operation{method: strings.ToUpper(method), path: path, segments: strings.Split(regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, "{id}"), "/"),
		body: map[string]*jsonschema.Schema{}, responses: map[string]response{}}
	var err error
	if d.at(append(at, "requestBody")...) != nil {
		for mediaType := range d.at(append(at, "requestBody", "content")...) {
			if op.body[mediaType], err = d.compile(append(slices.Clone(at), "requestBody", "content", mediaType, "schema")...); err != nil {
				return op, err
			}
		}
	}
	for status := range d.at(append(at, "responses")...) {
		where := append(slices.Clone(at), "responses", status)
		if ref, ok := d.raw(where...)["$ref"].(string); ok {
			where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		}
		r := response{content: map[string]*jsonschema.Schema{}}
		for name := range d.at(append(where, "headers")...) {
			if d.at(append(where, "headers", name)...)["required"] == true {
				r.required = append(r.required, name)
			}
		}
		for mediaType := range d.at(append(where, "content")...) {
			if strings.HasSuffix(mediaType, "json") {
				if r.content[mediaType], err = d.compile(append(where, "content", mediaType, "schema")...); err != nil {
					return op, err
				}
			} else {
				r.content[mediaType] = nil
			}
		}
		op.responses[status] = r
	}
	return op, nil
}

// raw is at without following a reference.
func (d *apiDocument) raw(path ...string) map[string]any {
	m, _ := d.at(path[:len(path)-1]...)[path[len(path)-1]].(map[string]any)
	return m
}

func (d *apiDocument) compile(path ...string) (*jsonschema.Schema, error) {
	var pointer strings.Builder
	for _, key := range path {
		pointer.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key)))
	}
	return d.compiler.Compile("openapi.json#" + pointer.String())
}

// find returns the operation that a request is for; the most literal one.
func (d *apiDocument) find(method, path string) (operation, bool) {
	best, found := operation{}, false
	for _, op := range d.operations {
		if op.method == method && op.matches(path) && (!found || literal(op.path) > literal(best.path)) {
			best, found = op, true
		}
	}
	return best, found
}

func literal(path string) int { return len(path) - 16*strings.Count(path, "{") }

func (op operation) matches(path string) bool {
	if prefix, ok := strings.CutSuffix(op.path, "{topic}"); ok {
		return strings.HasPrefix(path, prefix) && len(path) > len(prefix)
	}
	segments := strings.Split(path, "/")
	if len(segments) != len(op.segments) {
		return false
	}
	for i, want := range op.segments {
		before, after, parameter := strings.Cut(want, "{id}")
		if !parameter && segments[i] != want {
			return false
		}
		if parameter && (!strings.HasPrefix(segments[i], before) || !strings.HasSuffix(segments[i], after) || len(segments[i]) == len(before)+len(after)) {
			return false
		}
	}
	return true
}

// exercised are the operations with the statuses that they were seen to answer.
var exercised = struct {
	sync.Mutex
	seen map[string]bool
}{seen: map[string]bool{}}

// unexercised are the documented successes that no test has met.
func unexercised() []string {
	d, err := openAPI()
	if err != nil {
		return []string{err.Error()}
	}
	exercised.Lock()
	defer exercised.Unlock()
	var missing []string
	for _, op := range d.operations {
		for status := range op.responses {
			if key := op.method + " " + op.path + " " + status; status < "4" && !exercised.seen[key] {
				missing = append(missing, key)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// A recorder holds what a client sends to the gateway's own interface, and gets,
// against the OpenAPI document.
type recorder struct {
	t      testing.TB
	origin string
	next   http.RoundTripper
}

func (rec *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme+"://"+req.URL.Host != rec.origin || !machines(req.URL.Path) {
		return rec.next.RoundTrip(req)
	}
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := rec.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	var got []byte
	if mediaType := res.Header.Get("Content-Type"); res.StatusCode != http.StatusSwitchingProtocols && mediaType != "text/event-stream" {
		got, err = io.ReadAll(res.Body)
		if closeErr := res.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, err
		}
		res.Body = io.NopCloser(bytes.NewReader(got))
	}
	if err := check(req, sent, res, got); err != nil {
		rec.t.Errorf("%s %s: status %d: %v\n%s", req.Method, req.URL.Path, res.StatusCode, err, got)
	}
	return res, nil
}

// machines reports whether a path belongs to what the document describes.
func machines(path string) bool {
	for _, prefix := range []string{"/api/", "/auth/", "/session/", "/bids/", "/status", "/healthz", "/oauth2/", "/backchannel-logout/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// check returns how an exchange departs from the document.
func check(req *http.Request, sent []byte, res *http.Response, got []byte) error {
	d, err := openAPI()
	if err != nil {
		return err
	}
	method := req.Method
	if method == http.MethodHead {
		return nil // GET's, without what could be checked
	}
	op, found := d.find(method, req.URL.Path)
	status := strconv.Itoa(res.StatusCode)
	if !found {
		switch {
		case method == http.MethodOptions, res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusMethodNotAllowed,
			res.StatusCode == http.StatusMisdirectedRequest:
			return nil
		}
		return fmt.Errorf("no such operation is documented")
	}
	want, ok := op.responses[status]
	if !ok {
		if !slices.Contains([]int{405, 421, 500, 503}, res.StatusCode) {
			return fmt.Errorf("the status is not documented")
		}
		want = op.responses["default"]
	}
	if res.StatusCode == http.StatusMisdirectedRequest {
		want = d.problem() // said before anything is known of the path
	}
	for _, name := range want.required {
		if res.Header.Get(name) == "" && len(res.Header.Values(name)) == 0 {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	if res.StatusCode < 300 && len(sent) > 0 && len(op.body) > 0 {
		if err := body(op, req.Header.Get("Content-Type"), sent); err != nil {
			return fmt.Errorf("what was sent is not as documented: %w", err)
		}
	}
	if err := content(want, res, got); err != nil {
		return err
	}
	exercised.Lock()
	exercised.seen[op.method+" "+op.path+" "+status] = true
	exercised.Unlock()
	return nil
}

// body checks what was sent against what is documented for its media type. The parts
// of a multipart form are left to the tests of what reads them.
func body(op operation, contentType string, sent []byte) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	schema := op.body[mediaType]
	switch {
	case schema == nil:
		return fmt.Errorf("the media type %s is not documented", mediaType)
	case mediaType == "multipart/form-data":
		return nil
	case mediaType == "application/x-www-form-urlencoded":
		if sent, err = asJSON(sent); err != nil {
			return err
		}
	case strings.HasPrefix(mediaType, "text/"):
		return schema.Validate(string(sent))
	}
	return conforms(schema, sent)
}

// asJSON is a form as an object of texts, as OpenAPI sees it.
func asJSON(form []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(form))
	if err != nil {
		return nil, err
	}
	object := map[string]string{}
	for name := range values {
		object[name] = values.Get(name)
	}
	return json.Marshal(object)
}

func (d *apiDocument) problem() response {
	op, _ := d.find(http.MethodGet, "/api/v1/me")
	return op.responses["default"]
}

// content checks a body against what is documented for its media type.
func content(want response, res *http.Response, got []byte) error {
	if len(want.content) == 0 {
		if len(got) > 0 {
			return fmt.Errorf("a body, and none is documented")
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	schema, ok := want.content[mediaType]
	if !ok {
		return fmt.Errorf("the media type %s is not documented", mediaType)
	}
	if schema == nil {
		return nil
	}
	return conforms(schema, got)
}

func conforms(schema *jsonschema.Schema, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}
