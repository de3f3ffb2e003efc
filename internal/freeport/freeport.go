// Package freeport finds ports for servers of tests that are killed and started
// again at the same address.
//
// The kernel takes the ports of outgoing connections from the same range as those
// it gives to who listens at port 0. A server that was given one and is down for a
// moment can find it in use by any connection of the machine, for as long as that
// lasts; where thousands of clients reconnect, it does. The ports of this package
// are below that range (32768 on Linux, 49152 elsewhere), so that nothing takes
// them but what asks for them by number.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that are given out: first to last, without last.
const (
	first = 15000
	last  = 32000
)

// tries is how many ports are looked at until the last error is the caller's.
const tries = 100

// On returns a port of an address, such as 127.0.0.1, at which nobody listens now.
func On(host string) (int, error) {
	var err error
	for range tries {
		port := first + rand.IntN(last-first)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("freeport: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("freeport: %w", err)
}
