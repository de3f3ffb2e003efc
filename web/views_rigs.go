package web

import (
	"strconv"
	"time"
)

// PageRigTest is what POST /rigs/{id}/test answers.
const PageRigTest = "rig_test" // RigTest

// RigTest is a technician's test of an experiment that is off-line.
type RigTest struct {
	Layout
	Experiment string
	Until      time.Time
	UIs        []UI // with URL
}

// Flow writes messages a second: "50/s", "0.4/s".
func flow(perSecond float64) string {
	if perSecond > 0 && perSecond < 9.95 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64) + "/s"
	}
	return strconv.FormatFloat(perSecond, 'f', 0, 64) + "/s"
}

// Change says what an entry about an experiment tells, in English.
func (e AuditEntry) Change() string {
	switch {
	case e.Action == "test-start":
		return Text("test begun")
	case e.Action == "test-end":
		return Text("test ended")
	case e.Reason == "on-line":
		return Text("given back")
	default:
		return Text("taken off-line")
	}
}
