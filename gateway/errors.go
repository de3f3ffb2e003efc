package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/web"
)

// statusOf is the one place that says which status a code is answered with.
var statusOf = map[lodge.Code]int{
	lodge.CodeInvalid:         http.StatusBadRequest,
	lodge.CodeUnauthenticated: http.StatusUnauthorized,
	lodge.CodeForbidden:       http.StatusForbidden,
	lodge.CodeNotFound:        http.StatusNotFound,
	lodge.CodeConflict:        http.StatusConflict,
	lodge.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	lodge.CodeRefused:         http.StatusUnprocessableEntity,
	lodge.CodeTooMany:         http.StatusTooManyRequests,
	lodge.CodeUnavailable:     http.StatusServiceUnavailable,
	lodge.CodeInternal:        http.StatusInternalServerError,
}

// failure is what the outside learns of an error.
type failure struct {
	status  int
	code    lodge.Code
	detail  string
	retry   time.Duration
	details map[string]any
}

// explain turns any error into a failure. An error that is not a lodge.Error is
// ours: it is logged in full by the caller and shown as nothing but that.
func explain(err error) failure {
	if e, ok := errors.AsType[*lodge.Error](err); ok {
		status, known := statusOf[e.Code]
		if !known {
			status = http.StatusInternalServerError
		}
		return failure{status: status, code: e.Code, detail: e.Safe, retry: e.RetryAfter, details: e.Details}
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{
			status: http.StatusRequestEntityTooLarge, code: lodge.CodeTooLarge,
			detail: "The request is larger than the " + strconv.FormatInt(e.Limit, 10) + " bytes allowed here; send less.",
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return failure{status: http.StatusServiceUnavailable, code: lodge.CodeUnavailable, detail: "A part of the service did not answer in time; try again in a moment.", retry: time.Second}
	}
	return failure{status: http.StatusInternalServerError, code: lodge.CodeInternal, detail: "Something went wrong on our side. It has been logged; try again, and tell your laboratory if it stays."}
}

func (f failure) header(h http.Header) {
	h.Set("Cache-Control", "no-store")
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retry.Seconds()))))
	}
	if f.status == http.StatusUnauthorized {
		// RFC 9110 section 11.6.1: a 401 names at least one challenge.
		challenge := `Lodge realm="lodge"`
		if most, ok := f.details["max_age"].(int); ok { // RFC 9470 section 3
			challenge += `, error="insufficient_user_authentication", max_age="` + strconv.Itoa(most) + `"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
}

// problem answers with an RFC 9457 problem document, in the language that the
// client asks for: the scripts of pages show its detail. Its code is what programs
// go by.
func (g *Gateway) problem(w http.ResponseWriter, r *http.Request, f failure) {
	say := g.speaks(r)
	f.header(w.Header())
	body := map[string]any{}
	for k, v := range f.details {
		body[k] = v
	}
	body["type"], body["title"], body["status"] = "about:blank", say.Tr(http.StatusText(f.status)), f.status
	body["detail"], body["code"] = say.Tr(f.detail), f.code
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Language", say.Language())
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone, or it has the answer
}

// The titles of problems are the names of their statuses (RFC 9457 section 4.2.1).
var _ = []string{
	web.Text("Bad Request"), web.Text("Unauthorized"), web.Text("Forbidden"), web.Text("Not Found"), web.Text("Method Not Allowed"), web.Text("Conflict"),
	web.Text("Request Entity Too Large"), web.Text("Misdirected Request"), web.Text("Unprocessable Entity"),
	web.Text("Too Many Requests"), web.Text("Internal Server Error"), web.Text("Service Unavailable"),
}

// writeJSON answers with a JSON document that nobody may store.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone, or it has the answer
	return nil
}

// readJSON decodes a request body of at most maxBody bytes and refuses unknown
// members, so that a misspelt one is noticed by whoever wrote it.
func readJSON(w http.ResponseWriter, r *http.Request, maxBody int64, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return lodge.Wrap(lodge.CodeInvalid, "The body is not the JSON expected here: "+jsonFault(err)+" See /api/openapi.yaml.", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return lodge.E(lodge.CodeInvalid, "The body holds more than one JSON document; send one.")
	}
	return nil
}

// jsonFault says what is wrong with a body without repeating what it holds, but
// for the name of a member.
func jsonFault(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "syntax error at byte " + strconv.FormatInt(e.Offset, 10) + "."
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "member " + strconv.Quote(e.Field) + " has the wrong type."
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "a time in it is not written as in RFC 3339, such as 2026-05-04T09:00:00Z."
	}
	if member, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "there is no member " + shorten(member, 60) + "."
	}
	if errors.Is(err, io.EOF) {
		return "it is empty."
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it is cut short."
	}
	return "a value in it cannot be read."
}
