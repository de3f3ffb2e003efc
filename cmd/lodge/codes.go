package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
)

var codesVerbs = []verb{
	{"create", "(--experiment X | --kind service --scope S [--audience A] [--name NAME]) (--data DIR | --config FILE)", (*app).codesCreate},
	{"list", "[--json] (--data DIR | --config FILE)", (*app).codesList},
	{"revoke", "--id ID [--reason TEXT] (--data DIR | --config FILE)", (*app).codesRevoke},
}

// codes makes, lists and revokes the codes of hosts and services.
func (a *app) codes(ctx context.Context, args []string) error {
	return a.choose(ctx, "codes", codesVerbs, args)
}

// codesCreate makes a code: through the server that holds the data directory, or
// on the store itself when none does.
func (a *app) codesCreate(ctx context.Context, synopsis string, args []string) error {
	flags := a.flags("codes create", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	var req gateway.CodeRequest
	flags.StringVar(&req.Kind, "kind", "host", "host or service")
	flags.StringVar(&req.Experiment, "experiment", "", "the experiment of a host")
	many := func(to *[]string) func(string) error {
		return func(v string) error {
			*to = append(*to, v)
			return nil
		}
	}
	flags.Func("scope", "what a service may do: relay:stats, relay:admin, read:TOPIC, write:TOPIC, introspect[:KIND], revoke[:KIND], identity, messages:send, bookings:make; may be repeated", many(&req.Scopes))
	flags.Func("audience", "introspect and revoke for this alone, written experiment:ID; send messages to this alone, also group:ID and all; book through groups, written group:ID; may be repeated", many(&req.Audience))
	flags.StringVar(&req.Name, "name", "", "the name of a service: whom its messages are from, whom overrides of the catalogue name")
	life := flags.Duration("life", 0, "how long the code is good for (default: ten years for a host, one for a service)")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	switch {
	case req.Kind == "host" && req.Experiment == "":
		fmt.Fprintln(a.err, "lodge: a host code needs --experiment X")
		return errUsage
	case *life != 0 && *life < time.Second:
		fmt.Fprintln(a.err, "lodge: --life is at least 1s")
		return errUsage
	}
	req.Seconds = int(*life / time.Second)
	cfg, err := loadOffline(given, a.lookup, *file)
	if err != nil {
		return err
	}
	var view gateway.CodeView
	err = a.through(ctx, cfg, "/codes", req, &view, func(g *gateway.Gateway) (err error) {
		view, err = g.CreateCode(ctx, lodge.DefaultTenant, req)
		return err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	_, err = fmt.Fprintln(a.out, view.Code)
	return err
}

// through asks the server that holds the data directory, a question when there
// is no request, or does it on the store itself when none does.
func (a *app) through(ctx context.Context, cfg config, path string, req, answer any, offline func(*gateway.Gateway) error) error {
	if err := ask(ctx, cfg.Data, path, req, answer); !errors.Is(err, errNoServer) {
		return err
	}
	n, err := newNode(ctx, cfg, a.logger(slog.LevelWarn))
	if err != nil {
		return err
	}
	return errors.Join(offline(n.gateway), n.Close())
}

// problemIn reads a problem document (RFC 9457) with all it says.
func problemIn(res *http.Response) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var p gateway.Problem
	var details map[string]any
	if json.Unmarshal(body, &p) != nil || json.Unmarshal(body, &details) != nil {
		return fmt.Errorf("the server answered %s", res.Status)
	}
	e := lodge.E(lodge.Code(p.Code), p.Detail)
	e.Details = details
	return e
}

// errNoServer means that nobody holds the data directory.
var errNoServer = errors.New("no server is running on that data directory")

// ask posts a request to the server that holds a data directory; without one it
// gets what is there.
func ask(ctx context.Context, data, path string, req, answer any) error {
	method, body := http.MethodGet, []byte(nil)
	if req != nil {
		var err error
		if body, err = json.Marshal(req); err != nil {
			return err
		}
		method = http.MethodPost
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(data, adminSocket))
		},
	}}
	r, err := http.NewRequestWithContext(ctx, method, "http://lodge"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errNoServer
	}
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	if res.StatusCode >= 300 {
		return problemIn(res)
	}
	return json.NewDecoder(res.Body).Decode(answer)
}
