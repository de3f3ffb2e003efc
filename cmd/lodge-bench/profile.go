package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// profile writes a CPU profile of the next seconds of a Lodge to a file.
func profile(ctx context.Context, socket string, period time.Duration, file string) error {
	return fetchProfile(ctx, socket, fmt.Sprintf("profile?seconds=%d", max(1, int(period/time.Second))), file)
}

// fetchProfile writes a profile of a Lodge to a file. It is asked for on the admin
// socket, so only a Lodge on this machine can be.
func fetchProfile(ctx context.Context, socket, what, file string) (err error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lodge/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the admin socket answered %s to the profile", res.Status)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}

// A profiler has profiles taken of what a Lodge does with message sockets; with
// no directory to write them to it takes none.
type profiler struct{ dir string }

// during takes a CPU profile of a period while fn runs, which is to last as long.
// Profiling costs, so what is measured meanwhile is no figure.
func (p profiler) during(ctx context.Context, h *hubUnderTest, name string, period time.Duration, fn func() error) error {
	if p.dir == "" || h.raw {
		return fn()
	}
	var group errgroup.Group
	group.Go(fn)
	group.Go(func() error {
		return profile(ctx, h.lab.gateways[0].admin, period, filepath.Join(p.dir, name+".cpu.pprof"))
	})
	return group.Wait()
}

// memory takes profiles of what is allocated, and of whose goroutines there are.
func (p profiler) memory(ctx context.Context, h *hubUnderTest, name string) error {
	if p.dir == "" || h.raw {
		return nil
	}
	socket := h.lab.gateways[0].admin
	return errors.Join(
		fetchProfile(ctx, socket, "heap?gc=1", filepath.Join(p.dir, name+".heap.pprof")),
		fetchProfile(ctx, socket, "heap?gc=1&debug=1", filepath.Join(p.dir, name+".heap.txt")),
		fetchProfile(ctx, socket, "goroutine", filepath.Join(p.dir, name+".goroutines.pprof")),
	)
}
