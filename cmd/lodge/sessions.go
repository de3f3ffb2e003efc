package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

var sessionsVerbs = []verb{
	{"list", "[--person P] [--booking B] [--kind KIND] [--json] (--data DIR | --config FILE)", (*app).sessionsList},
	{"revoke", "(--session ID | --person P | --all) [--reason TEXT] [--json] (--data DIR | --config FILE)", (*app).sessionsRevoke},
}

// sessions lists and ends sessions: through the server that holds the data
// directory, or on the store itself when none does.
func (a *app) sessions(ctx context.Context, args []string) error {
	return a.choose(ctx, "sessions", sessionsVerbs, args)
}

func (a *app) sessionsList(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("sessions list", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	person := flags.String("person", "", "only those of a person, by id")
	booking := flags.String("booking", "", "only those of a booking, by id")
	kind := flags.String("kind", "", "only login, booking, experiment, host or service")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	view := gateway.SessionsView{Sessions: []gateway.SessionView{}}
	query := url.Values{"person": {*person}, "booking": {*booking}, "kind": {*kind}}
	err = a.through(ctx, cfg, "/sessions?"+query.Encode(), nil, &view, func(g *gateway.Gateway) (err error) {
		view.Sessions, err = g.Sessions(ctx, lodge.DefaultTenant, sessions.Filter{
			Person: lodge.PersonID(*person), Booking: *booking, Kind: sessions.Kind(*kind),
		})
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	rows := [][]string{{"ID", "KIND", "PERSON", "NAME", "STATE", "SEEN", "ENDS", "ADDRESS"}}
	for _, s := range view.Sessions {
		// A name and an address may come from anywhere: they must not steer a terminal.
		rows = append(rows, []string{s.ID, s.Kind, s.Person, audit.Clean(s.Name), s.State, at(s.SeenAt), at(s.ExpiresAt), audit.Clean(s.Address)})
	}
	return a.table(rows)
}

func (a *app) sessionsRevoke(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("sessions revoke", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	var req gateway.RevokeRequest
	flags.StringVar(&req.Session, "session", "", "end this session, by id")
	flags.StringVar(&req.Person, "person", "", "end all sessions of this person, by id")
	flags.BoolVar(&req.All, "all", false, "end every session but those of hosts")
	flags.StringVar(&req.Reason, "reason", "", "why; the holders read it")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	if chosen := flagsGiven(req.Session != "", req.Person != "", req.All); chosen != 1 {
		fmt.Fprintln(a.err, "lodge: name exactly one of --session, --person and --all")
		return errUsage
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.RevokedView
	err = a.through(ctx, cfg, "/sessions/revoke", req, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.RevokeSessions(ctx, lodge.DefaultTenant, req)
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	_, err = fmt.Fprintf(a.out, "ended: %d\n", view.Ended)
	return err
}

func flagsGiven(given ...bool) int {
	n := 0
	for _, one := range given {
		if one {
			n++
		}
	}
	return n
}

func (a *app) codesList(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("codes list", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.CodesView
	err = a.through(ctx, cfg, "/codes", nil, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.Codes(ctx, lodge.DefaultTenant)
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	rows := [][]string{{"ID", "KIND", "EXPERIMENT", "OPENS", "MADE", "ENDS"}}
	for _, s := range view.Codes {
		rows = append(rows, []string{s.ID, s.Kind, audit.Clean(s.Experiment), audit.Clean(strings.Join(s.Scopes, " ")), at(s.CreatedAt), at(s.ExpiresAt)})
	}
	return a.table(rows)
}

func (a *app) codesRevoke(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("codes revoke", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	id := flags.String("id", "", "the code's id, as lodge codes list shows it")
	var req gateway.RevokeRequest
	flags.StringVar(&req.Reason, "reason", "", "why")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *id == "" {
		fmt.Fprintln(a.err, "lodge: codes revoke needs --id ID")
		return errUsage
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	view := gateway.RevokedView{Ended: 1}
	err = a.through(ctx, cfg, "/codes/"+url.PathEscape(*id)+"/revoke", req, &view, func(g *gateway.Gateway) error {
		return g.RevokeCode(ctx, lodge.DefaultTenant, *id, req.Reason)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	_, err = fmt.Fprintln(a.out, "revoked")
	return err
}
