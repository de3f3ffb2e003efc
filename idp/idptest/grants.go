package idptest

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	codeLife  = 60 * time.Second
	tokenLife = 5 * time.Minute
	renewLife = 24 * time.Hour
	maxGrants = 10_000 // of each sort, held at once
)

// A grant is one sign-in: what the code stands for, then the access token.
type grant struct {
	account     Account
	client      string
	redirectURI string
	challenge   string // PKCE, S256
	nonce       string
	session     string // the "sid" claim
	offline     bool   // the scope offline_access was asked for
	at          time.Time
	ends        time.Time
	used        bool   // the code has been redeemed
	access      string // the access token it was redeemed for
}

// grants are the codes and access tokens given out, in memory.
type grants struct {
	clock    lodge.Clock
	mu       sync.Mutex
	codes    map[string]*grant // guarded by mu
	tokens   map[string]*grant // guarded by mu
	renewals map[string]*grant // guarded by mu: by refresh token, each good once
}

func newGrants(clock lodge.Clock) *grants {
	return &grants{clock: clock, codes: map[string]*grant{}, tokens: map[string]*grant{}, renewals: map[string]*grant{}}
}

// code returns a code for g, and false when too many are out.
func (s *grants) code(g grant) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	if len(s.codes) >= maxGrants {
		return "", false
	}
	code := rand.Text()
	g.at = s.clock.Now()
	g.ends = g.at.Add(codeLife)
	s.codes[code] = &g
	return code, true
}

// redeem returns the grant of a code, once and while it is young, if it fits; with
// it an access token. A code that comes a second time takes the token back that
// the first was given (RFC 6749, section 4.1.2).
func (s *grants) redeem(code string, fits func(grant) bool) (g grant, access string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	found := s.codes[code]
	if found == nil {
		return grant{}, "", false
	}
	if found.used {
		delete(s.tokens, found.access)
		return grant{}, "", false
	}
	found.used = true
	if !fits(*found) || len(s.tokens) >= maxGrants {
		return grant{}, "", false
	}
	found.access = rand.Text()
	token := *found
	token.ends = s.clock.Now().Add(tokenLife)
	s.tokens[found.access] = &token
	return *found, found.access, true
}

// access returns the grant of an access token.
func (s *grants) access(token string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	g := s.tokens[token]
	if g == nil {
		return grant{}, false
	}
	return *g, true
}

// refresh returns a refresh token for g, until somebody signs out.
func (s *grants) refresh(g grant) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	token := rand.Text()
	g.ends = s.clock.Now().Add(renewLife)
	s.renewals[token] = &g
	return token
}

// renew spends a refresh token of a client for an access token.
func (s *grants) renew(token, client string) (g grant, access string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	found := s.renewals[token]
	if found == nil || found.client != client || len(s.tokens) >= maxGrants {
		return grant{}, "", false
	}
	delete(s.renewals, token)
	access = rand.Text()
	live := *found
	live.ends = s.clock.Now().Add(tokenLife)
	s.tokens[access] = &live
	return *found, access, true
}

// end takes back the access and refresh tokens of one sign-in.
func (s *grants) end(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range []map[string]*grant{s.tokens, s.renewals} {
		for token, g := range m {
			if g.session == session {
				delete(m, token)
			}
		}
	}
}

// sweep forgets what has ended. The caller holds mu.
func (s *grants) sweep() {
	now := s.clock.Now()
	for _, m := range []map[string]*grant{s.codes, s.tokens, s.renewals} {
		for key, g := range m {
			if !now.Before(g.ends) {
				delete(m, key)
			}
		}
	}
}
