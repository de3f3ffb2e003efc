package main

import (
	"testing"
	"time"
)

func TestAdminFresh(t *testing.T) {
	for value, want := range map[string]time.Duration{"20m": 20 * time.Minute, "24h": 24 * time.Hour, "0s": -1} {
		var c config
		if err := adminFresh(&c, source{value: value}); err != nil || c.AdminFresh != want {
			t.Errorf("%s: %v, %v", value, c.AdminFresh, err)
		}
	}
	for _, value := range []string{"", "15", "-1s", "25h"} {
		var c config
		if err := adminFresh(&c, source{value: value}); err == nil {
			t.Errorf("%q is taken for %v", value, c.AdminFresh)
		}
	}
}
