package gateway

import (
	"net/http"
	"net/textproto"
	"strings"
)

// soleCookie returns the value of a request's cookie, empty when there is none. Of
// several that differ one was planted, so none counts.
func soleCookie(r *http.Request, name string) string {
	if value, plain := plainCookie(r.Header["Cookie"], name); plain {
		return value
	}
	found := r.CookiesNamed(name)
	if len(found) == 0 {
		return ""
	}
	for _, other := range found[1:] {
		if other.Value != found[0].Value {
			return ""
		}
	}
	return found[0].Value
}

// plainCookie is soleCookie, without making anything, for the headers that
// browsers send: one line in which the name stands once at the most, with a value
// that is not quoted. Whatever else there is, it leaves to net/http (plain is
// false). Every request is read so.
//
// It does not look at which bytes the value has, as net/http does: what reads the
// value must refuse those that it does not expect.
func plainCookie(lines []string, name string) (value string, plain bool) {
	if len(lines) == 0 {
		return "", true
	}
	seen := false
	for pair, rest, more := strings.Cut(lines[0], ";"); ; pair, rest, more = strings.Cut(rest, ";") {
		n, v, _ := strings.Cut(textproto.TrimString(pair), "=")
		if textproto.TrimString(n) == name {
			if seen || strings.HasPrefix(v, `"`) {
				return "", false
			}
			value, seen = v, true
		}
		if !more {
			return value, len(lines) == 1
		}
	}
}
