package freeport

import (
	"net"
	"strconv"
	"testing"
)

// A port that is given out can be listened at, and is none that a connection gets:
// neither the one nor the other end of one is in the range.
func TestPortsAreNotThoseOfConnections(t *testing.T) {
	port, err := On("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nothing was accepted
	for range 50 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if from := conn.LocalAddr().(*net.TCPAddr).Port; from >= first && from < last {
			t.Errorf("a connection has port %d, which is among those given out", from)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
