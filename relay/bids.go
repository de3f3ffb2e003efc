package relay

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Deny serves /bids/deny to whoever has ScopeAdmin: POST refuses a booking until
// a time and drops its connections, GET lists the bookings that are refused.
func (r *Relay) Deny(w http.ResponseWriter, req *http.Request) {
	r.bids(w, req, VerdictDenied, func(ctx context.Context, tenant lodge.Tenant, booking string, until time.Time) error {
		return r.access.deny(ctx, tenant, BookingKey(booking), until)
	}, func(denied, _ []DenialKey) []DenialKey { return denied })
}

// Allow serves /bids/allow to whoever has ScopeAdmin: POST undoes a denial, GET
// lists the bookings that were allowed.
func (r *Relay) Allow(w http.ResponseWriter, req *http.Request) {
	r.bids(w, req, VerdictAllowed, func(ctx context.Context, tenant lodge.Tenant, booking string, until time.Time) error {
		if err := r.opts.Denials.Allow(ctx, tenant, BookingKey(booking), until.Add(skew), r.clock.Now()); err != nil {
			return unavailable(err)
		}
		return nil
	}, func(_, allowed []DenialKey) []DenialKey { return allowed })
}

func (r *Relay) bids(w http.ResponseWriter, req *http.Request, verdict Verdict,
	change func(context.Context, lodge.Tenant, string, time.Time) error, pick func(denied, allowed []DenialKey) []DenialKey,
) {
	var err error
	switch req.Method {
	case http.MethodPost:
		err = r.changeBid(w, req, verdict, change)
	case http.MethodGet:
		err = r.listBids(w, req, pick)
	default:
		w.Header().Set("Allow", "GET, POST")
		err = &httpError{http.StatusMethodNotAllowed, "Use POST with bid and exp to change the list, GET to read it."}
	}
	if err != nil {
		r.refuse(w, req, err)
	}
}

func (r *Relay) changeBid(w http.ResponseWriter, req *http.Request, verdict Verdict, change func(context.Context, lodge.Tenant, string, time.Time) error) error {
	tenant, err := r.holding(req, ScopeAdmin)
	if err != nil {
		return err
	}
	booking, until, err := bid(req.URL.Query())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	if err := change(ctx, tenant, booking, until); err != nil {
		return err
	}
	r.opts.Logger.InfoContext(ctx, "relay: list of bookings changed", "path", req.URL.Path, "tenant", tenant, "booking", booking, "until", until)
	r.decided(req, Decision{Verdict: verdict, Booking: booking, Until: until})
	noContent(w)
	return nil
}

// bid reads the booking and the time that a change is about. A time that has
// passed is no mistake: the news of a cancellation may come late.
func bid(q url.Values) (booking string, until time.Time, err error) {
	if len(q["bid"]) != 1 || !validBooking(q.Get("bid")) {
		return "", time.Time{}, lodge.E(lodge.CodeInvalid, "Name one booking as bid in the query: 1 to 255 bytes on one line.")
	}
	exp, parseErr := strconv.ParseInt(q.Get("exp"), 10, 64)
	if len(q["exp"]) != 1 || parseErr != nil || exp <= 0 || exp > lastSecond {
		return "", time.Time{}, lodge.E(lodge.CodeInvalid, "Give the end as exp in the query: seconds since 1970, such as 1767225600.")
	}
	return q.Get("bid"), time.Unix(exp, 0).UTC(), nil
}

func (r *Relay) listBids(w http.ResponseWriter, req *http.Request, pick func(denied, allowed []DenialKey) []DenialKey) error {
	tenant, err := r.holding(req, ScopeAdmin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), askWait)
	defer cancel()
	denied, allowed, err := r.opts.Denials.List(ctx, tenant, r.clock.Now())
	if err != nil {
		return unavailable(err)
	}
	ids := []string{}
	for _, key := range pick(denied, allowed) {
		if id, found := strings.CutPrefix(string(key), bookingPrefix); found {
			ids = append(ids, id)
		}
	}
	reply(w, http.StatusOK, struct {
		BookingIDs []string `json:"booking_ids"`
	}{ids})
	return nil
}
