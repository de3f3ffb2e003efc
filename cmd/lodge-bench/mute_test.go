package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMuteLosesMessagesAlone(t *testing.T) {
	const message = ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$5\r\nhello\r\n"
	kept := []string{
		"+OK\r\n", "-ERR no\r\n", ":7\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "$0\r\n\r\n", "$9\r\n$8\r\npmess\r\n",
		"*3\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$-1\r\n", "%1\r\n+server\r\n+redis\r\n",
		">3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
		"*2\r\n$12\r\npmessage\r\nxx\r\n:1\r\n", // begins like a message, and is none
	}
	said := message + strings.Join(kept, message) + "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"
	for name, from := range map[string]io.Reader{
		"at once":      strings.NewReader(said),
		"byte by byte": iotest.OneByteReader(strings.NewReader(said)),
	} {
		var heard bytes.Buffer
		if err := carryUnpublished(&heard, bufio.NewReader(from)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if heard.String() != strings.Join(kept, "") {
			t.Errorf("%s: heard %q", name, heard.String())
		}
	}
	if err := carryUnpublished(io.Discard, bufio.NewReader(strings.NewReader("$x\r\n"))); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("what is not Redis': %v", err)
	}
}
