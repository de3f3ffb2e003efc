package main

import "testing"

func TestVerdictOfRevoke(t *testing.T) {
	for name, test := range map[string]struct {
		report revokeReport
		bad    bool
	}{
		"all closed, and they alone":    {revokeReport{CloseCodes: map[int]int{4403: 1000}}, false},
		"slow":                          {revokeReport{CloseCodes: map[int]int{4403: 1}, Closed: latencies{P99: 60_000}}, false},
		"one never closed":              {revokeReport{CloseCodes: map[int]int{4403: 999}, NeverClosed: 1}, true},
		"one closed without cause":      {revokeReport{CloseCodes: map[int]int{4403: 1000}, Strays: 1}, true},
		"one closed for another reason": {revokeReport{CloseCodes: map[int]int{4403: 999, 4408: 1}}, true},
		"one cut off without a word":    {revokeReport{CloseCodes: map[int]int{4403: 999, -1: 1}}, true},
	} {
		if err := test.report.verdict(); (err != nil) != test.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
