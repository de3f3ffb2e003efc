package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

// mute stands between a gateway and its Redis and loses what is published, as a
// network does: subscriptions stand and are answered, publishing succeeds, and
// no message ever arrives. Nothing tells the gateway.
func mute(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mute", flag.ContinueOnError)
	to := flags.String("to", "", "address of the Redis")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// The parent closes the input at the end, or ends this process.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = listener.Close()
	}()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	fmt.Println("ready at " + listener.Addr().String())
	return relayMuted(listener, *to)
}

// relayMuted serves a listener until it is closed, then ends every connection.
func relayMuted(listener net.Listener, to string) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open = map[net.Conn]struct{}{}
	)
	defer wg.Wait()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for conn := range open {
			_ = conn.Close()
		}
	}()
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			_ = client.Close() // as the server would have it
			continue
		}
		mu.Lock()
		open[client], open[server] = struct{}{}, struct{}{}
		mu.Unlock()
		var once sync.Once
		end := func() {
			once.Do(func() {
				_, _ = client.Close(), server.Close()
				mu.Lock()
				defer mu.Unlock()
				delete(open, client)
				delete(open, server)
			})
		}
		wg.Go(func() {
			defer end()
			_, _ = io.Copy(server, client) // until one of them closes
		})
		wg.Go(func() {
			defer end()
			_ = carryUnpublished(client, bufio.NewReaderSize(server, 64<<10)) // the same
		})
	}
}

// carryUnpublished carries what a Redis says but for published messages.
func carryUnpublished(to io.Writer, from *bufio.Reader) error {
	w := bufio.NewWriterSize(to, 64<<10)
	var value []byte
	for {
		var err error
		if value, err = appendValue(value[:0], from); err != nil {
			return err
		}
		if !published(value) {
			if _, err := w.Write(value); err != nil {
				return err
			}
		}
		if from.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// published reports whether a value is a message of a subscription.
func published(value []byte) bool {
	if len(value) == 0 || value[0] != '*' && value[0] != '>' {
		return false
	}
	_, first, _ := bytes.Cut(value, []byte("\r\n"))
	return bytes.HasPrefix(first, []byte("$7\r\nmessage\r\n")) || bytes.HasPrefix(first, []byte("$8\r\npmessage\r\n"))
}

// appendValue appends the next value of a Redis' answers (RESP 2 or 3) to dst, as
// it stands.
func appendValue(dst []byte, r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return dst, err
	}
	kind := line[0]
	dst = append(dst, line...)
	length, items := 0, 0
	switch kind {
	case '$', '=', '!':
		length, err = count(line)
	case '*', '>', '~':
		items, err = count(line)
	case '%':
		items, err = count(line)
		items *= 2
	}
	if err != nil {
		return dst, err
	}
	if kind == '$' || kind == '=' || kind == '!' {
		if length < 0 {
			return dst, nil // there is none
		}
		at := len(dst)
		dst = append(dst, make([]byte, length+len("\r\n"))...)
		_, err = io.ReadFull(r, dst[at:])
		return dst, err
	}
	for range items {
		if dst, err = appendValue(dst, r); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func count(line []byte) (int, error) {
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	if err != nil {
		return 0, fmt.Errorf("redis said %q", line)
	}
	return n, nil
}
