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
	"net/textproto"
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
	request := []byte("GET " + *path + " HTTP/1.1\r\nHost: " + *host + "\r\nCookie: " + *cookie + "\r\n\r\n")
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

// keepAsking sends a request again and again over one connection.
func keepAsking(ctx context.Context, addr string, request []byte, until time.Time) (took []time.Duration, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(until.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	answers := bufio.NewReader(conn)
	for asked := time.Now(); asked.Before(until); {
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := readAnswer(answers); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(asked))
		asked = now
	}
	return took, nil
}

var lengthHeader = []byte("Content-Length: ")

// readAnswer reads one answer, which must be 200 or 204.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(line, []byte("HTTP/1.1 204")) {
		return fmt.Errorf("the server answered %q", textproto.TrimString(string(line)))
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(line, lengthHeader); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, r, int64(length))
	return err
}
