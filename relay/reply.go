package relay

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
)

// An httpError is refused because of its form, with a status of its own.
type httpError struct {
	status int
	safe   string
}

func (e *httpError) Error() string { return e.safe }

// refuse answers an error as practable's clients expect it: the status, and
// JSON that holds it once more beside a message.
func (r *Relay) refuse(w http.ResponseWriter, req *http.Request, err error) {
	status, message, retry := explain(err)
	r.refusals.count(status)
	if status >= http.StatusInternalServerError {
		r.opts.Logger.Warn("relay: refused", "path", req.URL.Path, "status", status, "err", err)
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		r.decided(req, Decision{Verdict: VerdictRefused, Reason: message})
	}
	switch {
	case status == http.StatusUnauthorized:
		// RFC 9110 section 11.6.1: a 401 names at least one challenge.
		w.Header().Set("WWW-Authenticate", `Bearer realm="lodge"`)
	case status == http.StatusServiceUnavailable && retry == 0:
		retry = time.Second
	}
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	reply(w, status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{strconv.Itoa(status), message})
}

// explain returns what the outside learns of an error.
func explain(err error) (status int, message string, retry time.Duration) {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status, e.safe, 0
	}
	if e, ok := errors.AsType[*Refusal](err); ok {
		return e.Status(), e.Reason, 0
	}
	if e, ok := errors.AsType[*lodge.Error](err); ok {
		switch e.Code {
		case lodge.CodeInvalid:
			return http.StatusBadRequest, e.Safe, 0
		case lodge.CodeUnauthenticated:
			return http.StatusUnauthorized, e.Safe, 0
		case lodge.CodeForbidden:
			return http.StatusForbidden, e.Safe, 0
		case lodge.CodeNotFound:
			return http.StatusNotFound, e.Safe, 0
		case lodge.CodeConflict:
			return http.StatusConflict, e.Safe, 0
		case lodge.CodeRefused:
			return http.StatusUnprocessableEntity, e.Safe, 0
		case lodge.CodeTooMany:
			return http.StatusTooManyRequests, e.Safe, e.RetryAfter
		case lodge.CodeUnavailable:
			return http.StatusServiceUnavailable, e.Safe, e.RetryAfter
		}
	}
	// Anything else means that Access could not find out.
	return http.StatusServiceUnavailable, "Lodge could not check this code just now; try again in a moment.", 0
}

// reply writes JSON that nobody may store.
func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"code":"500","message":"Something went wrong on our side."}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone, or it has the answer
}

// noContent answers what is done and has nothing to say.
func noContent(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}
