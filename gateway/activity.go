package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// startActivity mints one more experiment code for a booking and returns what a
// UI needs to use it.
func (g *Gateway) startActivity(w http.ResponseWriter, r *http.Request) error {
	b, by, err := g.oursTo(r, booking.LookupLaunch)
	if err != nil {
		return err
	}
	activity, err := g.activity(r.Context(), b, by)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, activity)
}

// activity makes an experiment session that follows the booking: it ends with
// it, moves with an extension and is revoked with a cancellation.
func (g *Gateway) activity(ctx context.Context, b booking.Booking, by sessions.Session) (Activity, error) {
	if err := g.launchable(ctx, b); err != nil {
		return Activity{}, err
	}
	cat, err := g.desk.Catalogue(ctx, b.Tenant)
	if err != nil {
		return Activity{}, err
	}
	experiment := cat.Experiments[b.Experiment]
	if err := g.launches.allow(b.Tenant, b.ID); err != nil {
		return Activity{}, err
	}
	partner, person, name := isPartner(b, by), b.Owner, b.OwnerName
	if partner {
		person, name = by.Person, by.Name
	}
	if err := g.anotherWindow(ctx, b, person); err != nil {
		return Activity{}, err
	}
	if err := g.capCodes(ctx, b, person); err != nil {
		return Activity{}, err
	}
	// Whoever got this far came: from now on it is no no-show, and if it was one a
	// moment ago, reading it again below says so.
	if err := g.desk.Came(ctx, b); err != nil {
		return Activity{}, err
	}
	of, err := g.controlScopes(ctx, b, streamScopes(experiment))
	if err != nil {
		return Activity{}, err
	}
	scopes := of(sessions.Session{Person: person})
	if allowed, err := g.allowed(ctx, b, by, booking.LookupExtend); err != nil {
		return Activity{}, err
	} else if allowed && !partner {
		scopes = append(slices.Clip(scopes), scopeExtend)
	}
	code, s, err := g.sessions.Create(ctx, sessions.New{
		Tenant: b.Tenant, Kind: sessions.Experiment, Person: person, Name: name, Booking: b.ID, Experiment: b.Experiment,
		Scopes: scopes, NotBefore: b.Start, ExpiresAt: b.End, MessagesUntil: g.desk.MessagesUntil(b),
	})
	if err != nil {
		return Activity{}, err
	}
	// A cancellation or an extension may have passed while the code was made,
	// and found nothing to act on: read the booking again.
	now, err := g.desk.Get(ctx, b.Tenant, b.ID)
	if err != nil {
		return Activity{}, err
	}
	if err := g.launchable(ctx, now); err != nil {
		return Activity{}, cmp.Or(g.sessions.Revoke(ctx, s.Tenant, s.ID, "The booking changed while it was launched."), err)
	}
	if err := g.stillShared(ctx, now, s); err != nil {
		return Activity{}, err
	}
	if !now.End.Equal(b.End) {
		if err := g.sessions.Extend(ctx, b.Tenant, b.ID, now.End, g.desk.MessagesUntil(now)); err != nil {
			return Activity{}, err
		}
	}
	g.recordBy(ctx, by, audit.Grant, "experiment:"+b.Experiment, "session "+string(s.ID)+" for booking:"+b.ID)
	view, err := g.bookingView(ctx, now, false)
	if err != nil {
		return Activity{}, err
	}
	activity := Activity{Booking: view, Exp: now.End.Unix(), UIs: []UIView{}}
	activity.Streams = g.streamViews(experiment, code)
	for _, name := range cat.UIsOf(now.UISet) {
		ui := cat.UIs[name]
		address, err := g.fill(ui, activity.Streams, activity.Exp)
		if err != nil {
			return Activity{}, err
		}
		activity.UIs = append(activity.UIs, UIView{Name: name, Title: cat.Title(ui.Description, name), URL: address})
	}
	return activity, nil
}

// streamViews are the streams of an experiment as a UI gets them with a code.
func (g *Gateway) streamViews(e booking.Experiment, code string) []StreamView {
	out := []StreamView{}
	for _, stream := range e.Streams {
		out = append(out, StreamView{
			For: stream.For, URL: g.cfg.PublicURL + "/session/" + stream.Topic, Token: code,
			ConnectionType: orElse(stream.ConnectionType, "session"), Scopes: list(stream.Scopes), Topic: stream.Topic,
		})
	}
	return out
}

// streamScopes lists what a code of the experiment opens: right and relay topic.
func streamScopes(e booking.Experiment) []string {
	var scopes []string
	for _, stream := range e.Streams {
		for _, right := range stream.Scopes {
			scopes = append(scopes, right+":"+stream.Topic)
		}
		scopes = append(scopes, sizeScope(stream)...)
	}
	return scopes
}

// launchable says why a booking cannot be used now, nil when it can.
func (g *Gateway) launchable(ctx context.Context, b booking.Booking) error {
	now := g.clock.Now()
	switch {
	case b.State == booking.Cancelled:
		return lodge.E(lodge.CodeRefused, "This booking was cancelled: "+orElse(b.CancelReason, "no reason was given")+" Make a new one to go on.")
	case b.State == booking.Ended:
		return lodge.E(lodge.CodeRefused, "This booking has ended; make a new one to go on.")
	case now.Before(b.Start):
		return lodge.E(lodge.CodeRefused, "This booking has not started yet; come back at its time.")
	}
	state, err := g.desk.State(ctx, b.Tenant, b.Experiment)
	if err == nil && !state.Online {
		err = lodge.E(lodge.CodeConflict, "The experiment is off-line: "+orElse(state.Reason, "it is being looked after.")+" Your booking stays; try again when it is back.")
	}
	return err
}

// capCodes makes room for one more code of a person for a booking: past the cap,
// the oldest is ended, which is the window longest forgotten.
func (g *Gateway) capCodes(ctx context.Context, b booking.Booking, person lodge.PersonID) error {
	all, err := g.sessions.List(ctx, b.Tenant, sessions.Filter{Booking: b.ID, Person: person, Kind: sessions.Experiment})
	if err != nil {
		return err
	}
	now := g.clock.Now()
	live := slices.DeleteFunc(all, func(s sessions.Session) bool { return s.State(now) != sessions.Active })
	slices.SortFunc(live, func(a, b sessions.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for len(live) >= g.cfg.CodesPerBook {
		if err := g.sessions.Revoke(ctx, b.Tenant, live[0].ID, "This booking is open in too many windows; use one of the newer ones."); err != nil {
			return err
		}
		live = live[1:]
	}
	return nil
}

// fill puts streams and end into a UI's URL template, as practable UIs read
// them: streams is a URI-encoded JSON array, exp Unix seconds.
func (g *Gateway) fill(ui booking.UI, streams []StreamView, exp int64) (string, error) {
	needed := []StreamView{}
	for _, stream := range streams {
		if len(ui.Streams) == 0 || slices.Contains(ui.Streams, stream.For) {
			needed = append(needed, stream)
		}
	}
	raw, err := json.Marshal(needed)
	if err != nil {
		return "", err
	}
	// encodeURIComponent writes a space as %20, which every reader takes.
	encoded := strings.ReplaceAll(url.QueryEscape(string(raw)), "+", "%20")
	return strings.NewReplacer(
		"{{assets}}", g.cfg.AssetsURL+"/assets", "{{streams}}", encoded, "{{exp}}", strconv.FormatInt(exp, 10),
	).Replace(ui.URL), nil
}
