package sessions_test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// rig is a manager on a store in memory.
type rig struct {
	*sessions.Manager
	store *sessionstest.Memory
	clock *sessionstest.Clock
}

func newRig(opts sessions.Options) *rig {
	opts.Logger = slog.New(slog.DiscardHandler)
	store, clock := sessionstest.NewMemory(), sessionstest.NewClock()
	return &rig{sessions.NewManager(store, store.Journal(), sessions.NewLocalSignals(), clock, opts), store, clock}
}

func (r *rig) create(t testing.TB, n sessions.New) (string, sessions.Session) {
	t.Helper()
	if n.Tenant == "" {
		n.Tenant = "t1"
	}
	if n.Kind == "" {
		n.Kind = sessions.Experiment
	}
	if n.Kind == sessions.Experiment || n.Kind == sessions.Booking {
		n.Booking, n.Person = "b1", "p1"
	}
	if n.Experiment == "" {
		n.Experiment = "pend00"
	}
	if n.ExpiresAt.IsZero() {
		n.ExpiresAt = sessionstest.Base.Add(time.Hour)
	}
	code, s, err := r.Create(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return code, s
}

func TestSec1_CodesAre256RandomBitsAfterTheirPrefix(t *testing.T) {
	r := newRig(sessions.Options{})
	seen := map[string]bool{}
	for kind, prefix := range map[sessions.Kind]string{
		sessions.Login: "lodge_log_", sessions.Booking: "lodge_bkg_", sessions.Experiment: "lodge_exp_",
		sessions.Host: "lodge_hst_", sessions.Service: "lodge_svc_",
	} {
		form := regexp.MustCompile("^" + prefix + "[A-Za-z0-9_-]{43}$")
		for range 20 {
			code, s := r.create(t, sessions.New{Kind: kind, Person: "p1"})
			if !form.MatchString(code) || seen[code] {
				t.Fatalf("a code of kind %s has not its form, or came twice", kind)
			}
			seen[code] = true
			if !s.ID.Valid() || strings.Contains(code, string(s.ID)) {
				t.Fatalf("id %q", s.ID)
			}
			if got, err := r.Check(t.Context(), "t1", code); err != nil || got.ID != s.ID || got.Kind != kind {
				t.Fatalf("its own code: %+v, %v", got, err)
			}
		}
	}
}

func TestSec38_MalformedCodesAre401AndReadNothing(t *testing.T) {
	r := newRig(sessions.Options{})
	code, s := r.create(t, sessions.New{})
	secret := strings.TrimPrefix(code, "lodge_exp_")
	before, _ := r.store.Calls()
	for what, bad := range map[string]string{
		"nothing": "", "the id": "lodge_exp_" + string(s.ID)[:42], "no prefix": secret, "a space": code + " ", "cut": code[:len(code)-1],
		"padded": code + "=", "not base64": "lodge_exp_" + strings.Repeat("!", 43), "line break": code[:52] + "\n",
		"other alphabet": "lodge_exp_" + strings.Repeat("+", 43), "unknown kind": "lodge_xyz_" + secret, "upper case": strings.ToUpper(code),
		"bits beyond 256": "lodge_exp_" + strings.Repeat("A", 42) + "B", "NUL": strings.Repeat("\x00", 53), "long": strings.Repeat(code, 1000),
	} {
		got, err := r.Check(t.Context(), "t1", bad)
		if lodge.CodeOf(err) != lodge.CodeUnauthenticated || !errors.Is(err, sessions.ErrUnknown) || got.ID != "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if after, _ := r.store.Calls(); after != before {
		t.Errorf("malformed codes reached the store %d times", after-before)
	}
	for what, bad := range map[string]string{
		"another kind's prefix": "lodge_hst_" + secret, "never given out": "lodge_exp_" + strings.Repeat("A", 43), "the public id": "lodge_exp_" + string(s.ID),
	} {
		if got, err := r.Check(t.Context(), "t1", bad); lodge.CodeOf(err) != lodge.CodeUnauthenticated || got.ID != "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if got, err := r.Check(t.Context(), "t2", code); lodge.CodeOf(err) != lodge.CodeUnauthenticated || got.ID != "" {
		t.Errorf("another tenant's code: %+v, %v", got, err)
	}
}

func FuzzCheck(f *testing.F) {
	r := newRig(sessions.Options{})
	code, _ := r.create(f, sessions.New{})
	f.Add(code[:20])
	f.Add("lodge_log_" + strings.Repeat("A", 43))
	f.Add("lodge_hst_" + code[len("lodge_exp_"):])
	f.Add("\xff\xfe lodge_exp_")
	f.Fuzz(func(t *testing.T, in string) {
		if in == code {
			return
		}
		_, err := r.Check(t.Context(), "t1", in)
		if lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Fatalf("%v, want 401", err)
		}
		if len(in) > 8 && strings.Contains(err.Error(), in) {
			t.Fatal("the error repeats what was sent")
		}
	})
}

// An id is well formed if it is what 32 bytes encode to, and nothing else.
func TestWellFormedIsCanonicalBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			b = []byte(base64.RawURLEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 31, 33).Draw(t, "bytes")))
		case 1: // right but for the bits that stand for nothing, perhaps
			b = []byte(base64.RawURLEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes")))
			b[len(b)-1] = rapid.SampledFrom([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/")).Draw(t, "last")
		default:
			b = rapid.SliceOfN(rapid.Byte(), 43, 43).Draw(t, "text")
		}
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
		// The decoder passes over line breaks; an id has none.
		want := err == nil && len(decoded) == 32 && len(b) == 43
		if got := sessions.ID(b).Valid(); got != want {
			t.Fatalf("%q: %t, want %t", b, got, want)
		}
	})
}
