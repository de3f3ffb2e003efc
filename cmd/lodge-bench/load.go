package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A loaded is what a load saw of a server.
type loaded struct {
	Requests int           `json:"requests"`
	Took     time.Duration `json:"took"`
	P50, P99 time.Duration
}

// load sends requests over keep-alive connections, the next when the one before
// is answered, and prints what it saw. It speaks HTTP itself: what it spends is
// taken from the server's share of the machine.
func load(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the server")
	host := flags.String("host", "", "Host of the requests")
	path := flags.String("path", "/", "what is asked for")
	cookie := flags.String("cookie", "", "NAME=VALUE")
	conns := flags.Int("conns", 64, "connections")
	period := flags.Duration("for", time.Second, "how long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	request := get(*host, *path, *cookie)
	took := make([][]time.Duration, *conns)
	errs := make([]error, *conns)
	var wg sync.WaitGroup
	began := time.Now()
	until := began.Add(*period)
	for i := range *conns {
		wg.Go(func() { took[i], errs[i] = keepAsking(ctx, *addr, request, until) })
	}
	wg.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return json.NewEncoder(os.Stdout).Encode(loaded{len(all), elapsed, percentile(all, 0.5), percentile(all, 0.99)})
}

// keepAsking sends a request again and again over one connection, until then or
// until ctx ends.
func keepAsking(ctx context.Context, addr string, request []byte, until time.Time) (took []time.Duration, err error) {
	a, err := newAsker(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.conn.Close() }()
	if err := a.conn.SetDeadline(until.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	for asked := time.Now(); asked.Before(until) && ctx.Err() == nil; {
		status, err := a.ask(request)
		if err != nil {
			return nil, err
		}
		if status != 200 && status != 204 {
			return nil, fmt.Errorf("the server answered %d", status)
		}
		now := time.Now()
		took = append(took, now.Sub(asked))
		asked = now
	}
	return took, nil
}

// An asker sends requests over one keep-alive connection.
type asker struct {
	conn    net.Conn
	answers *bufio.Reader
}

func newAsker(ctx context.Context, addr string) (*asker, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &asker{conn, bufio.NewReader(conn)}, nil
}

// ask sends a request and returns the status of the answer.
func (a *asker) ask(request []byte) (status int, err error) {
	if _, err := a.conn.Write(request); err != nil {
		return 0, err
	}
	return readAnswer(a.answers)
}

// get is a GET request with a cookie, as the load sends it.
func get(host, path, cookie string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + cookie + "\r\n\r\n")
}

var lengthHeader = []byte("Content-Length: ")

// readAnswer reads one answer, whose length must stand in its header.
func readAnswer(r *bufio.Reader) (status int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	const version = "HTTP/1.1 "
	if len(line) < len(version)+3 {
		return 0, fmt.Errorf("the server answered %q", line)
	}
	if status, err = strconv.Atoi(string(line[len(version) : len(version)+3])); err != nil {
		return 0, fmt.Errorf("the server answered %q", line)
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(line, lengthHeader); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	_, err = io.CopyN(io.Discard, r, int64(length))
	return status, err
}
