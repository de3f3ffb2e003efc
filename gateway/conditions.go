package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// ifMatch turns an If-Match header (RFC 9110 section 13.1.1) into what a change
// requires: that the booking is one of the versions named. What is stale is
// refused with 409, as all that is.
func ifMatch(r *http.Request) ([]booking.Condition, error) {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return nil, nil
	}
	var versions []uint64
	for _, tag := range strings.Split(strings.Join(values, ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" {
			return nil, nil
		}
		weak := strings.HasPrefix(tag, "W/")
		text, opened := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
		text, closed := strings.CutSuffix(text, `"`)
		if !opened || !closed {
			return nil, lodge.E(lodge.CodeInvalid, "If-Match holds no entity tag; send the ETag that the booking came with.")
		}
		// A tag that is no version of ours, and a weak one, match nothing.
		if version, err := strconv.ParseUint(text, 10, 64); err == nil && !weak {
			versions = append(versions, version)
		}
	}
	return []booking.Condition{booking.IfVersion(versions...)}, nil
}
