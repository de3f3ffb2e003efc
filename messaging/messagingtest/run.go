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

	// Join returns one more log on what a log that Open returned to t has, as
	// another node holds it, closed at the end of t. It is nil for a back end
	// that one process has to itself.
	Join func(t *testing.T, log messaging.Log) messaging.Log

	// LoseTail takes from a topic the entries behind last, with the memory of
	// their numbers and IDs, as when a server is replaced by a copy that lags,
	// and returns the log to go on with. It is nil for a back end of which there
	// is never a copy.
	LoseTail func(t *testing.T, log messaging.Log, name messaging.Topic, last messaging.Pos) messaging.Log

	// OpenVia is Open, with a network between log and server. It is nil for a
	// back end without one.
	OpenVia func(t *testing.T) (messaging.Log, Network)
}

// A Network carries what a log and its server say to one another until it is
// told otherwise. It is what package faultproxy makes.
type Network interface {
	Cut()  // ends every connection, and each new one
	Hang() // carries nothing, without a word
	Pass() // carries everything again
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
	if h.Join != nil {
		t.Run("nodes", func(t *testing.T) {
			for _, p := range nodes {
				t.Run(p.name, func(t *testing.T) {
					log := h.Open(t)
					p.hold(t, log, h.Join(t, log))
				})
			}
		})
	}
	if h.LoseTail != nil {
		t.Run("tail loss is detected", func(t *testing.T) { loseTail(t, h) })
	}
	if h.OpenVia != nil {
		t.Run("network", func(t *testing.T) {
			for _, p := range network {
				t.Run(p.name, func(t *testing.T) {
					log, net := h.OpenVia(t)
					p.hold(t, log, net)
				})
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
