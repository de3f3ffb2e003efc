// Package messagingtest is the conformance suite of messaging.Log: what every
// back end promises, run against the real thing. A back end's own tests call
// Run and add only what is particular to it.
package messagingtest

import (
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Harness opens the logs of one back end.
type Harness struct {
	// Open returns a log with nothing in it, apart from all others. It is
	// closed at the end of t, together with whatever it runs on.
	Open func(t *testing.T) messaging.Log

	// Reopen closes a log that Open or Reopen returned to t, with all that the
	// process holds of it, and opens what it stored. It is nil for a back end
	// that keeps nothing.
	Reopen func(t *testing.T, log messaging.Log) messaging.Log
}

// Run holds a back end to the contract of messaging.Log.
func Run(t *testing.T, h Harness) {
	for _, group := range []struct {
		name       string
		properties []property
	}{
		{"append", appending},
		{"ifhead", ifHead},
		{"read", reading},
		{"positions", positions},
		{"isolation", isolation},
		{"discard", discarding},
		{"drop", dropping},
		{"snapshot", snapshots},
		{"changes", changes},
		{"concurrent", concurrent},
		{"close", closing},
		{"model", model},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, p := range group.properties {
				t.Run(p.name, func(t *testing.T) { p.hold(t, h.Open(t)) })
			}
		})
	}
	if h.Reopen != nil {
		t.Run("durable", func(t *testing.T) {
			for _, p := range durable {
				t.Run(p.name, func(t *testing.T) { p.hold(t, h) })
			}
		})
	}
}

// A property is one thing that a log promises; hold fails t when it does not.
type property struct {
	name string
	hold func(t *testing.T, log messaging.Log)
}
