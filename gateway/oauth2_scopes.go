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
	asks, sends, books := false, slices.Contains(scopes, scopeSend), slices.Contains(scopes, scopeBook)
	for _, scope := range scopes {
		verb, of, qualified := strings.Cut(scope, ":")
		switch {
		case scope == relay.ScopeStats, scope == relay.ScopeAdmin, scope == scopeIdentity, scope == scopeSend, scope == scopeBook:
		case (verb == "read" || verb == "write") && relay.ValidTopic(of):
		case verb == scopeIntrospect, verb == scopeRevoke:
			if qualified && !slices.Contains([]sessions.Kind{sessions.Login, sessions.Booking, sessions.Experiment, sessions.Host, sessions.Service}, sessions.Kind(of)) {
				return nil, lodge.E(lodge.CodeRefused, "The scope "+verb+" is followed by nothing, or by one of :login, :booking, :experiment, :host, :service.")
			}
			asks = true
		default:
			return nil, lodge.E(lodge.CodeRefused, "There is no scope "+shorten(scope, 60)+". There are relay:stats, relay:admin, read:TOPIC, write:TOPIC, introspect, introspect:KIND, revoke, revoke:KIND, identity, messages:send and bookings:make.")
		}
	}
	if slices.Contains(scopes, scopeIdentity) && !slices.ContainsFunc(scopes, func(s string) bool { return strings.HasPrefix(s, scopeIntrospect) }) {
		return nil, lodge.E(lodge.CodeRefused, "The scope identity adds names, groups and roles to what introspect tells; give both.")
	}
	if len(audience) > 0 && !asks && !sends && !books {
		return nil, lodge.E(lodge.CodeRefused, "An audience narrows the scopes introspect, revoke, messages:send and bookings:make; give one of them with it.")
	}
	if len(audience) == 0 && sends {
		return nil, lodge.E(lodge.CodeRefused, "A service that sends messages needs an audience: all, group:ID or experiment:ID.")
	}
	if books && !slices.ContainsFunc(audience, func(one string) bool { return strings.HasPrefix(one, "group:") }) {
		return nil, lodge.E(lodge.CodeRefused, "A service that books needs groups to book through as its audience, written group:ID.")
	}
	out := slices.Clone(scopes)
	for _, one := range audience {
		kind, id, _ := strings.Cut(one, ":")
		_, group := cat.Groups[id]
		_, experiment := cat.Experiments[id]
		if (kind != "experiment" || !experiment) && (kind != "group" || !group || !sends && !books) && (one != audienceAll || !sends) {
			return nil, lodge.E(lodge.CodeRefused, "The audience of a service is experiments of the catalogue, written experiment:ID, and with messages:send or bookings:make also group:ID, with messages:send also all; "+shorten(one, 60)+" is none.")
		}
		out = append(out, scopeAudience+one)
	}
	return out, nil
}
