package sessions_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

const cookieName = "__Host-lodge"

// page is a Browser and the cookies of one person's browser.
type page struct {
	*rig
	browser *sessions.Browser
	cookie  string // value of the login cookie
}

func newPage(opts sessions.Options) *page {
	r := newRig(opts)
	return &page{rig: r, browser: r.Browser(sessions.BrowserConfig{
		CookieName: cookieName, Secure: true, Tenant: func(*http.Request) lodge.Tenant { return "t1" },
	})}
}

// request runs fn as the handler of a request with the browser's cookie and
// keeps the cookie that is answered. It returns the cookies that were set.
func (p *page) request(t *testing.T, fn func(ctx context.Context)) []*http.Cookie {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if p.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: p.cookie})
	}
	w := httptest.NewRecorder()
	p.browser.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fn(r.Context()) })).ServeHTTP(w, r)
	set := w.Result().Cookies()
	for _, c := range set {
		if c.Name == cookieName {
			p.cookie = c.Value
		}
	}
	return set
}

func (p *page) put(t *testing.T, name, value string) {
	t.Helper()
	p.request(t, func(ctx context.Context) {
		if err := p.browser.Put(ctx, name, []byte(value)); err != nil {
			t.Error(err)
		}
	})
}

func (p *page) signIn(t *testing.T) (s sessions.Session) {
	t.Helper()
	p.request(t, func(ctx context.Context) {
		var err error
		if s, err = p.browser.SignIn(ctx, sessions.New{Person: "p1", Name: "Ada", Groups: []string{"g1"}}); err != nil {
			t.Error(err)
		}
	})
	return s
}

// current returns what the browser holds, and checks that the hot path says the
// same.
func (p *page) current(t *testing.T) (s sessions.Session, err error) {
	t.Helper()
	p.request(t, func(ctx context.Context) { s, err = p.browser.Current(ctx) })
	if _, direct := p.Check(t.Context(), "t1", p.cookie); (direct == nil) != (err == nil) {
		t.Errorf("the browser says %v, a check of its cookie %v", err, direct)
	}
	return s, err
}

func TestBrowserSignsInAndOut(t *testing.T) {
	p := newPage(sessions.Options{})
	if _, err := p.current(t); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		t.Fatalf("a new browser: %v, want 401", err)
	}
	p.put(t, "flow", "state")
	s := p.signIn(t)
	got, err := p.current(t)
	if err != nil || got.ID != s.ID || got.Kind != sessions.Login || got.Person != "p1" || !got.ExpiresAt.Equal(sessionstest.Base.Add(24*time.Hour)) ||
		got.IdleAfter != time.Hour || !got.MessagesUntil.Equal(got.ExpiresAt) {
		t.Fatalf("signed in: %+v, %v", got, err)
	}
	was := p.cookie
	set := p.request(t, func(ctx context.Context) {
		if err := p.browser.SignOut(ctx); err != nil {
			t.Error(err)
		}
	})
	if len(set) != 1 || set[0].MaxAge >= 0 || set[0].Value != "" {
		t.Errorf("the cookie is not taken away: %v", set)
	}
	if s, err := p.Check(t.Context(), "t1", was); !errors.Is(err, sessions.ErrRevoked) || s.Messages(sessionstest.Base) {
		t.Errorf("Sec9: the cookie from before: %v, want ErrRevoked", err)
	}
}

func TestSec3_CookieAttributes(t *testing.T) {
	p := newPage(sessions.Options{})
	set := p.request(t, func(ctx context.Context) {
		if err := p.browser.Put(ctx, "flow", []byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := p.browser.SignIn(ctx, sessions.New{Person: "p1"}); err != nil {
			t.Error(err)
		}
	})
	if len(set) != 1 {
		t.Fatalf("%d cookies set for one name", len(set))
	}
	c := set[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Raw) > 4096 {
		t.Errorf("cookie: %s", strings.ReplaceAll(c.Raw, c.Value, "…"))
	}
	if !strings.HasPrefix(c.Value, "lodge_log_") || c.MaxAge != 24*60*60 {
		t.Errorf("value begins %q, max age %d", c.Value[:10], c.MaxAge)
	}
}

func TestSec4_PlantedCookieDiesAtLogin(t *testing.T) {
	t.Run("a visit", func(t *testing.T) {
		p := newPage(sessions.Options{})
		p.put(t, "flow", "planted")
		planted := p.cookie
		p.signIn(t)
		if p.cookie == planted {
			t.Fatal("the login kept the planted code")
		}
		p.request(t, func(ctx context.Context) {
			if value, err := p.browser.Pop(ctx, "flow"); err != nil || value != nil {
				t.Errorf("the planted value survived: %q, %v", value, err)
			}
		})
		p.cookie = planted
		if _, err := p.current(t); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("the planted cookie: %v, want 401", err)
		}
	})
	t.Run("another login", func(t *testing.T) {
		p := newPage(sessions.Options{})
		p.signIn(t)
		planted := p.cookie
		p.signIn(t)
		if _, err := p.Check(t.Context(), "t1", planted); !errors.Is(err, sessions.ErrRevoked) {
			t.Errorf("the login from before: %v, want ErrRevoked", err)
		}
	})
	t.Run("a code of nobody's", func(t *testing.T) {
		p := newPage(sessions.Options{})
		planted := "lodge_log_" + strings.Repeat("A", 43)
		p.cookie = planted
		p.signIn(t)
		if p.cookie == planted {
			t.Error("the login took over a code from outside")
		}
	})
}

// scs writes whatever a request had loaded when it ends, also over a session
// that was ended meanwhile.
func TestLateCommitDoesNotBringASessionBack(t *testing.T) {
	p := newPage(sessions.Options{})
	s := p.signIn(t)
	cookie := p.cookie
	set := p.request(t, func(ctx context.Context) {
		if _, err := p.browser.Current(ctx); err != nil { // loaded
			t.Fatal(err)
		}
		p.request(t, func(ctx context.Context) { // another request ends it
			if err := p.browser.SignOut(ctx); err != nil {
				t.Error(err)
			}
		})
		if err := p.browser.Put(ctx, "late", []byte("x")); lodge.CodeOf(err) != lodge.CodeConflict || !errors.Is(err, sessions.ErrRevoked) {
			t.Errorf("late commit: %v, want a conflict", err)
		}
	})
	if len(set) != 0 {
		t.Errorf("the late request set %v", set)
	}
	if got, err := p.Check(t.Context(), "t1", cookie); !errors.Is(err, sessions.ErrRevoked) || got.Data != nil || got.ID != s.ID {
		t.Errorf("after the late commit: %+v, %v", got, err)
	}
}

// scs gives a renewed token a full lifetime from now.
func TestRenewalKeepsTheDeadline(t *testing.T) {
	p := newPage(sessions.Options{})
	s := p.signIn(t)
	old := p.cookie
	p.clock.Advance(20 * time.Hour)
	p.request(t, func(ctx context.Context) {
		if _, err := p.browser.Renew(ctx); err != nil {
			t.Error(err)
		}
	})
	got, err := p.current(t)
	if err != nil || p.cookie == old || got.ID == s.ID || !got.ExpiresAt.Equal(s.ExpiresAt) || !got.MessagesUntil.Equal(s.ExpiresAt) ||
		got.Person != "p1" || !got.CreatedAt.Equal(s.CreatedAt) {
		t.Fatalf("renewed: %+v, %v", got, err)
	}
	if _, err := p.Check(t.Context(), "t1", old); !errors.Is(err, sessions.ErrRevoked) {
		t.Errorf("the code from before: %v, want ErrRevoked", err)
	}
	p.put(t, "x", "y") // an ordinary commit does not move it either
	p.clock.Advance(4 * time.Hour)
	if _, err := p.current(t); !errors.Is(err, sessions.ErrExpired) {
		t.Errorf("at the absolute end: %v, want ErrExpired", err)
	}
}

// scs with an idle time-out writes on every request.
func TestReadingWritesNothing(t *testing.T) {
	p := newPage(sessions.Options{})
	p.signIn(t)
	_, before := p.store.Calls()
	for range 50 {
		p.clock.Advance(time.Minute)
		if set := p.request(t, func(ctx context.Context) {
			if _, err := p.browser.Current(ctx); err != nil {
				t.Error(err)
			}
		}); len(set) != 0 {
			t.Fatalf("a reading request set %v", set)
		}
	}
	if _, after := p.store.Calls(); after != before {
		t.Errorf("%d writes for reading", after-before)
	}
	p.clock.Advance(11 * time.Minute) // idle is no state
	if s, err := p.current(t); err != nil || !s.Idle(p.clock.Now()) {
		t.Errorf("idle for an hour: %v; want active, and narrowed", err)
	}
}

func TestSec13_PoppedValueIsGivenOnce(t *testing.T) {
	p := newPage(sessions.Options{})
	p.put(t, "flow", "state")
	p.put(t, "other", "kept")
	var got atomic.Int32
	var wg sync.WaitGroup
	const requests = 16
	var loaded sync.WaitGroup // everybody has read the value before anybody takes it
	loaded.Add(requests)
	for range requests {
		wg.Go(func() {
			own := *p // a browser's parallel requests, each with the same cookie
			own.request(t, func(ctx context.Context) {
				if _, err := p.browser.Current(ctx); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
					t.Errorf("a visit is a login: %v", err)
				}
				loaded.Done()
				loaded.Wait()
				value, err := p.browser.Pop(ctx, "flow")
				if err != nil {
					t.Error(err)
				}
				if string(value) == "state" {
					got.Add(1)
				}
			})
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d requests got the value", got.Load())
	}
	p.request(t, func(ctx context.Context) {
		if value, err := p.browser.Pop(ctx, "other"); err != nil || string(value) != "kept" {
			t.Errorf("the other value: %q, %v", value, err)
		}
	})
}

func TestVisitIsShortAndOpensNothing(t *testing.T) {
	p := newPage(sessions.Options{})
	p.put(t, "flow", "state")
	if _, err := p.Check(t.Context(), "t1", p.cookie); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		t.Errorf("a visit's cookie as a code: %v, want 401", err)
	}
	if list, err := p.List(t.Context(), "t1", sessions.Filter{Limit: 5}); err != nil || len(list) != 0 {
		t.Errorf("a visit is listed: %v, %v", list, err)
	}
	p.clock.Advance(14 * time.Minute)
	p.put(t, "more", "x") // using it does not make it longer
	p.clock.Advance(time.Minute)
	p.request(t, func(ctx context.Context) {
		if value, err := p.browser.Pop(ctx, "flow"); err != nil || value != nil {
			t.Errorf("after its end: %q, %v", value, err)
		}
	})
}

func TestSec38_MalformedCookieIsNone(t *testing.T) {
	p := newPage(sessions.Options{})
	p.signIn(t)
	good := p.cookie
	for _, bad := range []string{"x", "lodge_log_", good + "A", "lodge_exp_" + good[10:], good[:20], strings.Repeat("A", 3000)} {
		p.cookie = bad
		if _, err := p.current(t); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("%.20q: %v, want 401", bad, err)
		}
	}
	// Two of a name: one of them was planted by somebody, and who knows which.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Cookie", cookieName+"="+good+"; "+cookieName+"=lodge_log_"+strings.Repeat("A", 43))
	p.browser.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := p.browser.Current(r.Context()); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("two cookies: %v, want 401", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestBrowserFailsClosed(t *testing.T) {
	p := newPage(sessions.Options{})
	p.signIn(t)
	p.store.Break(errors.New("connection refused"))
	cookie := p.cookie
	p.request(t, func(ctx context.Context) {
		_, current := p.browser.Current(ctx)
		_, popped := p.browser.Pop(ctx, "x")
		_, signed := p.browser.SignIn(ctx, sessions.New{Person: "p1"})
		for what, err := range map[string]error{
			"current": current, "pop": popped, "sign in": signed, "put": p.browser.Put(ctx, "x", nil), "sign out": p.browser.SignOut(ctx),
		} {
			if lodge.CodeOf(err) != lodge.CodeUnavailable {
				t.Errorf("%s: %v, want 503", what, err)
			}
		}
	})
	if p.cookie != cookie {
		t.Error("the cookie was changed")
	}
}

func TestTooLargeAValueIsRefused(t *testing.T) {
	p := newPage(sessions.Options{})
	p.request(t, func(ctx context.Context) {
		if err := p.browser.Put(ctx, "flow", make([]byte, 10<<10)); lodge.CodeOf(err) != lodge.CodeTooLarge {
			t.Errorf("%v, want 413", err)
		}
	})
}

func TestBrowserLeavesOtherCookiesAlone(t *testing.T) {
	p := newPage(sessions.Options{})
	w := httptest.NewRecorder()
	p.browser.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
		if _, err := p.browser.SignIn(r.Context(), sessions.New{Person: "p1"}); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if set := w.Result().Cookies(); len(set) != 2 || set[0].Name != "other" {
		t.Errorf("set %d cookies", len(set))
	}
}
