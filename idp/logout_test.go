package idp

import (
	"slices"
	"testing"

	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestOriginsAreThoseASignOutMayGoTo(t *testing.T) {
	for name, test := range map[string]struct{ endSession, more string }{
		"elsewhere":       {"https://bye.example:8443/out?x=1", "https://bye.example:8443"},
		"none":            {"", ""},
		"a forged policy": {"https://bye.example;script-src/out", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { doc["end_session_endpoint"] = test.endSession }})
			if got := w.rp.Origins(); !slices.Equal(got, []string{w.issuer}) {
				t.Errorf("before anything is known: %q", got)
			}
			if _, err := w.signIn(); err != nil {
				t.Fatal(err)
			}
			want := []string{w.issuer}
			if test.more != "" {
				want = append(want, test.more)
			}
			if got := w.rp.Origins(); !slices.Equal(got, want) {
				t.Errorf("origins %q, want %q", got, want)
			}
		})
	}
}
