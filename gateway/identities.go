package gateway

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// An identity is a session's headers, with what they were made from.
type identity struct {
	name     string
	groups   []string
	bindings []lodge.Binding
	header   []headerField
}

// A headerField is a canonical name with its values.
type headerField struct {
	name   string
	values []string
}

// identities keep the headers of sessions, which seldom change, made. What is
// kept is compared with the session as it was just read, never trusted by its
// version: a store that lost its last writes counts those twice.
type identities struct {
	mu   sync.RWMutex
	made map[identityKey]*identity // guarded by mu
}

type identityKey struct {
	tenant lodge.Tenant
	id     sessions.ID
}

// maxIdentities bounds what is kept; when it is full everything is made again.
const maxIdentities = 50_000

func newIdentities() *identities { return &identities{made: map[identityKey]*identity{}} }

// of returns the header of an answer that says who a session is. Its values must
// not be changed.
func (i *identities) of(s *sessions.Session) []headerField {
	key := identityKey{s.Tenant, s.ID}
	i.mu.RLock()
	known := i.made[key]
	i.mu.RUnlock()
	if known != nil && known.name == s.Name && slices.Equal(known.groups, s.Groups) && slices.Equal(known.bindings, s.Bindings) {
		return known.header
	}
	made := &identity{name: s.Name, groups: s.Groups, bindings: s.Bindings, header: identityHeader(s)}
	i.mu.Lock()
	if len(i.made) >= maxIdentities {
		clear(i.made)
	}
	i.made[key] = made
	i.mu.Unlock()
	return made.header
}

func identityHeader(s *sessions.Session) []headerField {
	roles := make([]string, 0, len(s.Bindings))
	for _, b := range s.Bindings {
		roles = append(roles, string(b.Role)+"@"+string(b.Scope))
	}
	return []headerField{
		{"X-Lodge-Subject", []string{string(s.Person)}},
		{"X-Lodge-Tenant", []string{string(s.Tenant)}},
		{"X-Lodge-Name", []string{url.PathEscape(s.Name)}},
		{"X-Lodge-Groups", []string{escaped(s.Groups)}},
		{"X-Lodge-Roles", []string{escaped(roles)}},
		{"Cache-Control", []string{"no-store"}}, // whoever it was, somebody else may be next
	}
}

// escaped joins values for a header; a comma inside one cannot be mistaken.
func escaped(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ReplaceAll(url.PathEscape(v), ",", "%2C")
	}
	return strings.Join(out, ",")
}
