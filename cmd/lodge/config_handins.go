package main

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge/messaging/handin"
)

// handInPlace is where what people hand in goes, and what judges it. Zero stands for
// the default.
type handInPlace struct {
	Dir       string
	Max       int      // MiB
	Scanner   []string // a program and its arguments; empty: none
	ScanLimit time.Duration
}

// dir is the directory, in a node's data unless it is set.
func (h handInPlace) dir(data string) string {
	if h.Dir == "" {
		return filepath.Join(data, "hand-ins")
	}
	return h.Dir
}

// scanner is what judges files; nil when nothing does.
func (h handInPlace) scanner() handin.Scanner {
	if len(h.Scanner) == 0 {
		return nil
	}
	limit := h.ScanLimit
	if limit == 0 {
		limit = time.Minute
	}
	return handin.Command(limit, h.Scanner[0], h.Scanner[1:]...)
}

// scanner reads a command line: words between spaces, for no shell reads it.
func scanner(c *config, from source) error {
	c.HandIns.Scanner = strings.Fields(from.value)
	if len(c.HandIns.Scanner) == 0 {
		return errors.New("it is empty; name a program, such as /usr/local/bin/scan, or leave it out")
	}
	return nil
}
