// Package samples holds a small laboratory as a catalogue, in both formats that
// Lodge reads: a start for one's own, and what the demo and tests run on.
package samples

import _ "embed"

// Lodge is the catalogue in Lodge's own format, with role bindings.
//
//go:embed lodge.yaml
var Lodge []byte

// Practable is the same laboratory as a practable manifest, which knows no roles.
//
//go:embed practable.yaml
var Practable []byte
