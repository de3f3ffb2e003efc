package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// drainLimit bounds how long a stopping node waits for its connections.
const drainLimit = 10 * time.Second

// A service is a handler on a listener.
type service struct {
	name     string
	listener net.Listener
	handler  http.Handler
}

func (a *app) serve(ctx context.Context, args []string) error {
	fs := a.flags("serve", "serve --config FILE [FLAGS]")
	given, file := settingFlags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := load(given, a.lookup, *file)
	if err != nil {
		return err
	}
	if len(cfg.Issuers) == 0 {
		fmt.Fprintln(a.err, "lodge: warning: no issuers are configured; people can open bookings by reference but nobody can sign in")
	}
	n, err := newNode(ctx, cfg, a.logger(cfg.LogLevel))
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	assets, err := net.Listen("tcp", cfg.AssetsListen)
	if err != nil {
		return errors.Join(err, public.Close(), n.Close())
	}
	return n.run(ctx, a.out, public, assets)
}

// run serves a node until ctx ends, then drains and closes it. more runs beside
// it.
func (n *node) run(ctx context.Context, out io.Writer, public, assets net.Listener, more ...func(context.Context) error) error {
	admin, err := n.lockAndListen()
	if err != nil {
		return errors.Join(err, public.Close(), assets.Close(), n.Close())
	}
	services := []service{
		{"gateway", public, n.gateway.Handler()},
		{"assets", assets, n.gateway.Assets(n.assets)},
		{"admin", admin, n.gateway.Admin()},
	}
	if n.cfg.MetricsListen != "" {
		l, err := net.Listen("tcp", n.cfg.MetricsListen)
		if err != nil {
			return errors.Join(err, public.Close(), assets.Close(), admin.Close(), n.Close())
		}
		services = append(services, service{"metrics", l, n.gateway.Metrics()})
	}
	err = serveAll(ctx, n.log, n.gateway, services, func() {
		n.log.Info("ready", "url", n.cfg.PublicURL)
		fmt.Fprintf(out, "lodge: ready at %s\n", n.cfg.PublicURL)
		if n.onReady != nil {
			n.onReady()
		}
	}, more...)
	return errors.Join(err, n.Close())
}

// A lifeCycle is what serves behind handlers: a gateway, or a relay on its own.
type lifeCycle interface {
	Run(context.Context) error
	Ready(context.Context) error
	Drain(context.Context) error
}

// serveAll serves until ctx ends, and then drains. more runs beside it.
func serveAll(ctx context.Context, log *slog.Logger, of lifeCycle, services []service, ready func(), more ...func(context.Context) error) error {
	// What runs behind the handlers outlives them: it stops when the last
	// request has been answered.
	behind, stopBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBehind()
	group, gctx := errgroup.WithContext(behind)
	group.Go(func() error { return of.Run(gctx) })
	for _, fn := range more {
		group.Go(func() error { return fn(gctx) })
	}
	var servers []*http.Server
	for _, s := range services {
		server := newServer(s.handler, log)
		servers = append(servers, server)
		group.Go(func() error {
			if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-gctx.Done():
		}
		drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
		defer cancel()
		log.Info("stopping")
		if err := of.Drain(drained); err != nil {
			log.Warn("drain", "err", err)
		}
		for _, server := range servers {
			if err := server.Shutdown(drained); err != nil {
				log.Warn("shutdown", "err", err)
			}
		}
		stopBehind()
		return nil
	})
	if err := of.Ready(gctx); err == nil {
		ready()
	}
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// newServer has limits on everything a client can take its time with; sockets
// set their own after the upgrade.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// adminSocket is where a running server takes commands: a socket in its data
// directory, so that the file system says who may.
const adminSocket = "admin.sock"

// lockAndListen makes sure that the data directory is this server's and opens the
// socket.
func (n *node) lockAndListen() (net.Listener, error) {
	if n.cfg.Database != "" {
		lock, err := lockData(n.cfg.Data)
		if err != nil {
			return nil, err
		}
		n.closers = append(n.closers, lock.Close)
	}
	return n.listenAdmin()
}

func (n *node) listenAdmin() (net.Listener, error) { return listenAdmin(n.cfg.Data) }

func listenAdmin(data string) (net.Listener, error) {
	path := filepath.Join(data, adminSocket)
	// The lock is held: a socket that is there was left by a process that is not.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("admin socket: %w", err), l.Close())
	}
	return l, nil
}
