package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

var logVerbs = []verb{
	{"topics", "[--tenant T] [--json] (--data DIR | --config FILE)", (*app).logTopics},
	{"show", "TOPIC [--tenant T] [--after POSITION] [--limit N] [--json] (--data DIR | --config FILE)", (*app).logShow},
}

// log reads the message log: through the server that holds the data directory, or
// on the store itself when none does.
func (a *app) log(ctx context.Context, args []string) error {
	return a.choose(ctx, "log", logVerbs, args)
}

func (a *app) logTopics(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("log topics", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	tenant := flags.String("tenant", string(lodge.DefaultTenant), "whose topics")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.LogTopics
	query := url.Values{"tenant": {*tenant}}
	err = a.through(ctx, cfg, "/log/topics?"+query.Encode(), nil, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.LogTopics(ctx, lodge.Tenant(*tenant))
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	rows := [][]string{{"TOPIC", "CLASS"}}
	for _, one := range view.Topics {
		rows = append(rows, []string{audit.Clean(one.Name), string(one.Class)})
	}
	return a.table(rows)
}

// logShow prints opened entries of a topic. That is audited. What a person said
// or did stays sealed under that person's key.
func (a *app) logShow(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("log show", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	req := gateway.LogRequest{}
	tenant := flags.String("tenant", string(lodge.DefaultTenant), "whose topic")
	flags.StringVar(&req.After, "after", "", "begin behind this position, as printed before")
	flags.IntVar(&req.Limit, "limit", 100, "print so many entries at the most, up to 1000")
	asJSON := flags.Bool("json", false, "print JSON")
	// The topic may stand before the flags.
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		req.Topic, args = args[0], slices.Clone(args[1:])
	}
	if err := parse(flags, args); err != nil {
		return err
	}
	if req.Topic == "" {
		fmt.Fprintln(a.err, "lodge: log show needs a TOPIC; lodge log topics lists them")
		return errUsage
	}
	req.Tenant = lodge.Tenant(*tenant)
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.LogPage
	err = a.through(ctx, cfg, "/log/show", req, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.ReadLog(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	rows := [][]string{{"POSITION", "N", "ENTRY"}}
	for _, e := range view.Entries {
		body := string(e.Body)
		if e.Gap {
			body = "(not genuine: it was altered, forged, moved or removed)"
		}
		rows = append(rows, []string{e.Position, fmt.Sprint(e.Sequence), audit.Clean(body)})
	}
	return a.table(rows)
}
