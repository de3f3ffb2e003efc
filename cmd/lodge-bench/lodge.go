package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge/deploy/samples"
)

// A lab is an installation that is measured: one Redis, one issuer, some
// gateways, everything in a directory of its own.
type lab struct {
	dir       string
	redisAddr string
	redis     *process
	gateways  []gateway
	relays    []*process
	running   []*process // in the order they were started
}

// A gateway is one node of it.
type gateway struct {
	url     string
	admin   string // its admin socket
	process *process
}

// pid is the gateway's process.
func (g gateway) pid() int { return g.process.cmd.Process.Pid }

// labOptions say what a lab is made of.
type labOptions struct {
	binary   string // of lodge; built when empty
	gateways int
	relays   int      // relays on their own, which then carry all streams
	people   int      // accounts of the issuer
	muted    bool     // what gateways publish in Redis gets lost on the way to them
	settings []string // extra lines of the gateways' configuration
}

// openLab starts an installation. Close ends it, whatever openLab returned.
func openLab(ctx context.Context, o labOptions) (*lab, error) {
	dir, err := os.MkdirTemp("", "lodge-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir}
	if o.binary == "" {
		o.binary = filepath.Join(dir, "lodge")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", o.binary, "github.com/lodge-gateway/lodge/cmd/lodge")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return l, fmt.Errorf("building lodge: %w", err)
		}
	}
	if err := l.startRedis(ctx); err != nil {
		return l, err
	}
	if o.relays > 0 {
		o.settings = append(slices.Clone(o.settings), "relay_url: elsewhere")
	}
	if err := l.startGateways(ctx, o); err != nil {
		return l, err
	}
	for n := range o.relays {
		if err := l.startRelay(ctx, o, n); err != nil {
			return l, err
		}
	}
	return l, nil
}

// startRelay starts a relay on its own.
func (l *lab) startRelay(ctx context.Context, o labOptions, n int) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	redisAddr, err := l.redisFor(ctx, o)
	if err != nil {
		return err
	}
	data := filepath.Join(l.dir, fmt.Sprintf("relay%d", n))
	config := strings.Join([]string{
		"public_url: " + l.gateways[0].url, "assets_url: http://localhost", "relay_url: http://" + addr, "listen: " + addr,
		"data: " + data, "redis: redis://" + redisAddr + "/0", "log_level: error", "streams_per_address: 1000000",
	}, "\n")
	if err := os.WriteFile(data+".yaml", []byte(config), 0o600); err != nil {
		return err
	}
	p, err := start(ctx, "lodge relay", o.binary, "relay", "--config", data+".yaml")
	if err != nil {
		return err
	}
	l.running, l.relays = append(l.running, p), append(l.relays, p)
	_, err = p.serve("lodge: ready at ")
	return err
}

func (l *lab) startRedis(ctx context.Context) error {
	var err error
	if l.redisAddr, err = freeAddr(); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.redisAddr)
	l.redis, err = start(ctx, "redis-server", "redis-server",
		"--port", port, "--bind", "127.0.0.1", "--dir", l.dir, "--save", "", "--appendonly", "no", "--loglevel", "notice")
	if err != nil {
		return err
	}
	l.running = append(l.running, l.redis)
	_, err = l.redis.serve("eady to accept connections")
	return err
}

// startGateways starts gateways, each with an issuer of its own: one holds no
// more than 10,000 sign-ins at a time.
func (l *lab) startGateways(ctx context.Context, o labOptions) error {
	catalogue := filepath.Join(l.dir, "catalogue.yaml")
	if err := os.WriteFile(catalogue, samples.Lodge, 0o600); err != nil {
		return err
	}
	for n := range o.gateways {
		data := filepath.Join(l.dir, fmt.Sprintf("node%d", n))
		apply := exec.CommandContext(ctx, o.binary, "apply", "-f", catalogue, "--data", data)
		if out, err := apply.CombinedOutput(); err != nil {
			return fmt.Errorf("lodge apply: %w: %s", err, out)
		}
		if err := l.startGateway(ctx, o, data); err != nil {
			return err
		}
	}
	return nil
}

// startGateway starts a gateway on a data directory, and its issuer, which must
// know each other's addresses beforehand.
func (l *lab) startGateway(ctx context.Context, o labOptions, data string) error {
	var addrs [3]string
	for i := range addrs {
		var err error
		if addrs[i], err = freeAddr(); err != nil {
			return err
		}
	}
	public, assets, issuer := addrs[0], addrs[1], addrs[2]
	p, err := child(ctx, "issuer", "-listen", issuer, "-redirects", "http://"+public+"/callback/dev", "-people", fmt.Sprint(o.people))
	if err != nil {
		return err
	}
	l.running = append(l.running, p)
	if _, err := p.serve("ready at "); err != nil {
		return err
	}
	redisAddr, err := l.redisFor(ctx, o)
	if err != nil {
		return err
	}
	_, issuerPort, _ := net.SplitHostPort(issuer)
	_, assetsPort, _ := net.SplitHostPort(assets)
	config := strings.Join(append([]string{
		"listen: " + public, "public_url: http://" + public, "assets_listen: " + assets, "assets_url: http://localhost:" + assetsPort,
		"data: " + data, "redis: redis://" + redisAddr + "/0", "log_level: error",
		"issuers:", "  - {id: dev, name: Bench, url: \"http://localhost:" + issuerPort + "\", client_id: lodge, insecure: true}",
	}, o.settings...), "\n")
	file := data + ".yaml"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if p, err = start(ctx, "lodge", o.binary, "serve", "--config", file); err != nil {
		return err
	}
	l.running = append(l.running, p)
	url, err := p.serve("lodge: ready at ")
	l.gateways = append(l.gateways, gateway{url, filepath.Join(data, "admin.sock"), p})
	return err
}

// redisFor returns where a gateway finds the Redis.
func (l *lab) redisFor(ctx context.Context, o labOptions) (string, error) {
	if !o.muted {
		return l.redisAddr, nil
	}
	p, err := child(ctx, "mute", "-to", l.redisAddr)
	if err != nil {
		return "", err
	}
	l.running = append(l.running, p)
	return p.serve("ready at ")
}

// Close ends every process, the last started first, and removes the directory.
func (l *lab) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for i := len(l.running) - 1; i >= 0; i-- {
		if err := l.running[i].stop(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.running[i].name, err))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}
