package gateway

import (
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

// serviceScopes returns what a service code is to be made with. A scope that
// nothing asks for is refused: it would be one that was misspelt, and look as if
// it had been given.
func serviceScopes(cat *booking.Catalogue, scopes, audience []string) ([]string, error) {
	if len(scopes) == 0 {
		return nil, lodge.E(lodge.CodeRefused, "A service code needs scopes, such as relay:stats or introspect.")
	}
	asks := false
	for _, scope := range scopes {
		verb, of, qualified := strings.Cut(scope, ":")
		switch {
		case scope == relay.ScopeStats, scope == relay.ScopeAdmin, scope == scopeIdentity:
		case (verb == "read" || verb == "write") && relay.ValidTopic(of):
		case verb == scopeIntrospect, verb == scopeRevoke:
			if qualified && !slices.Contains([]sessions.Kind{sessions.Login, sessions.Booking, sessions.Experiment, sessions.Host, sessions.Service}, sessions.Kind(of)) {
				return nil, lodge.E(lodge.CodeRefused, "The scope "+verb+" is followed by nothing, or by one of :login, :booking, :experiment, :host, :service.")
			}
			asks = true
		default:
			return nil, lodge.E(lodge.CodeRefused, "There is no scope "+shorten(scope, 60)+". There are relay:stats, relay:admin, read:TOPIC, write:TOPIC, introspect, introspect:KIND, revoke, revoke:KIND and identity.")
		}
	}
	if slices.Contains(scopes, scopeIdentity) && !slices.ContainsFunc(scopes, func(s string) bool { return strings.HasPrefix(s, scopeIntrospect) }) {
		return nil, lodge.E(lodge.CodeRefused, "The scope identity adds names, groups and roles to what introspect tells; give both.")
	}
	if len(audience) > 0 && !asks {
		return nil, lodge.E(lodge.CodeRefused, "An audience narrows the scopes introspect and revoke; give one of them with it.")
	}
	out := slices.Clone(scopes)
	for _, one := range audience {
		id, ok := strings.CutPrefix(one, "experiment:")
		if _, there := cat.Experiments[id]; !ok || !there {
			return nil, lodge.E(lodge.CodeRefused, "The audience of a service is experiments of the catalogue, written experiment:ID; "+shorten(one, 60)+" is none.")
		}
		out = append(out, scopeAudience+one)
	}
	return out, nil
}
