package idp

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestLimitsAreChecked(t *testing.T) {
	for name, opts := range map[string]Options{
		"timeout below zero": {Timeout: -1}, "answer below zero": {MaxAnswer: -1}, "skew below zero": {Skew: -1},
		"more than a minute of skew": {Skew: skew + 1}, "fresh below zero": {Fresh: -1}, "refetch below zero": {Refetch: -1},
	} {
		if _, err := New(nil, newClock(), opts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cfg := IssuerConfig{ID: "uni", URL: "https://idp.example", ClientID: "lodge", Prompt: "none"}
	if _, err := New([]IssuerConfig{cfg}, newClock(), Options{}); err == nil || !strings.Contains(err.Error(), "prompt") {
		t.Errorf("prompt none: %v", err)
	}
}

func TestLimitsAreTheOperators(t *testing.T) {
	t.Run("skew", func(t *testing.T) {
		var ahead atomic.Int64
		w := newWorld(t, idptest.Faults{Claims: func(c map[string]any) { c["iat"] = c["iat"].(int64) + ahead.Load() }})
		w.rp = w.party(Options{Skew: 5 * time.Second})
		if ahead.Store(4); !signsIn(w) {
			t.Error("four seconds ahead: refused")
		}
		if ahead.Store(6); signsIn(w) {
			t.Error("six seconds ahead: accepted")
		}
	})
	t.Run("answer", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { doc["padding"] = strings.Repeat("x", 40_000) }})
		if w.rp = w.party(Options{MaxAnswer: 32 << 10}); lodge.CodeOf(start(w)) != lodge.CodeUnavailable {
			t.Error("an answer above the limit was read")
		}
		if w.rp = w.party(Options{MaxAnswer: 64 << 10}); start(w) != nil {
			t.Error("an answer below the limit was refused")
		}
	})
	t.Run("fresh", func(t *testing.T) {
		var asked atomic.Int32
		w := newWorld(t, idptest.Faults{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/jwks" {
				asked.Add(1)
			}
			return false
		}})
		w.rp = w.party(Options{Fresh: time.Minute})
		for range 2 {
			if !signsIn(w) {
				t.Fatal("refused")
			}
			w.clock.add(61 * time.Second)
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times in two minutes", n)
		}
	})
}

func signsIn(w *world) bool {
	_, err := w.signIn()
	return err == nil
}

func TestPromptIsSent(t *testing.T) {
	w := newWorld(t, idptest.Faults{}, func(c *IssuerConfig, _ *idptest.Client) { c.Prompt = "consent" })
	location, _, err := w.rp.Start(t.Context(), "dev", StartOptions{RedirectURI: redirect})
	if err != nil || !strings.Contains(location, "prompt=consent") {
		t.Errorf("%s, %v", location, err)
	}
}

// A secret that is changed at the issuer and here counts at the next sign-in and
// the next refresh.
func TestSec43_ClientSecretIsAskedForEachTime(t *testing.T) {
	const known = "s3cret & more"
	var secret atomic.Value
	secret.Store(known)
	gone := errors.New("the file is gone")
	w := newWorld(t, idptest.Faults{}, offline, func(c *IssuerConfig, r *idptest.Client) {
		r.Secret = known
		c.Secret = func() (string, error) {
			if s := secret.Load().(string); s != "" {
				return s, nil
			}
			return "", gone
		}
	})
	who, err := w.signIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"not yet the issuer's", ""} {
		secret.Store(wrong)
		_, err := w.signIn()
		wantRefused(t, err, lodge.CodeUnavailable, known, wrong)
		again, err := w.rp.Refresh(t.Context(), "dev", *who.Grant)
		if again.Grant != nil || errors.Is(err, ErrGrantOver) {
			t.Errorf("refreshed with the secret %q: %+v, %v", wrong, again, err)
		}
		wantRefused(t, err, lodge.CodeUnavailable, known, wrong)
	}
	secret.Store(known)
	if !signsIn(w) {
		t.Error("the right secret is not taken up")
	}
	if _, err := w.rp.Refresh(t.Context(), "dev", *who.Grant); err != nil {
		t.Errorf("refresh with the right secret: %v", err)
	}
}
