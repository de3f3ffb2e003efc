package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// codes makes a code for a host or a service: through the server that holds the
// data directory, or on the store itself when none does.
func (a *app) codes(ctx context.Context, args []string) error {
	const synopsis = "codes create --kind host --experiment X (--data DIR | --config FILE)"
	flags := a.flags("codes create", synopsis)
	given, file := settingFlags(flags, storeSettings...)
	var req gateway.CodeRequest
	flags.StringVar(&req.Kind, "kind", "host", "host or service")
	flags.StringVar(&req.Experiment, "experiment", "", "the experiment of a host")
	flags.Func("scope", "what a service may do, such as relay:stats; may be repeated", func(v string) error {
		req.Scopes = append(req.Scopes, v)
		return nil
	})
	life := flags.Duration("life", 0, "how long the code is good for (default: ten years for a host, one for a service)")
	asJSON := flags.Bool("json", false, "print JSON")
	if len(args) == 0 || args[0] != "create" {
		if err := parse(flags, args); err != nil {
			return err
		}
		fmt.Fprintln(a.err, "lodge: say what to do with codes: lodge codes create")
		return errUsage
	}
	if err := parse(flags, args[1:]); err != nil {
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
	if err := ask(ctx, cfg.Data, "/codes", req, &view); errors.Is(err, errNoServer) {
		view, err = a.codeOffline(ctx, cfg, req)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(a.out).Encode(view)
	}
	_, err = fmt.Fprintln(a.out, view.Code)
	return err
}

func (a *app) codeOffline(ctx context.Context, cfg config, req gateway.CodeRequest) (view gateway.CodeView, err error) {
	n, err := newNode(ctx, cfg, a.logger(slog.LevelWarn))
	if err != nil {
		return view, err
	}
	view, err = n.gateway.CreateCode(ctx, lodge.DefaultTenant, req)
	return view, errors.Join(err, n.Close())
}

// storeSettings are the settings that say where the stores are: all that a
// command needs that serves nothing.
var storeSettings = []string{"data", "redis", "redis_file"}

// errNoServer means that nobody holds the data directory.
var errNoServer = errors.New("no server is running on that data directory")

// ask posts a request to the server that holds a data directory.
func ask(ctx context.Context, data, path string, req, answer any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(data, adminSocket))
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://lodge"+path, bytes.NewReader(body))
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
		var p gateway.Problem
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
			return fmt.Errorf("the server answered %s", res.Status)
		}
		return lodge.E(lodge.Code(p.Code), p.Detail)
	}
	return json.NewDecoder(res.Body).Decode(answer)
}
