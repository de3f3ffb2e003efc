package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	introspectPath, revokePath = "/oauth2/introspect", "/oauth2/revoke"

	notAllowed = "unauthorized_client"
)

// token is the form of both endpoints.
func token(code string) url.Values { return url.Values{"token": {code}} }

func basic(user, password string) pair {
	return authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// service makes a service code, in any tenant.
func (l *lab) service(tenant lodge.Tenant, scopes, audience []string) gateway.CodeView {
	l.Helper()
	made, err := l.gateway.CreateCode(l.Context(), tenant, gateway.CodeRequest{Kind: "service", Scopes: scopes, Audience: audience})
	l.must(err)
	return made
}

// introspected asks about a code with a service's.
func (b *browser) introspected(service, code string, headers ...pair) gateway.Introspection {
	b.Helper()
	return call[gateway.Introspection](b, 200, "POST", introspectPath, token(code), append(headers, authorization("Bearer "+service))...)
}

// denied expects an answer of RFC 6749 section 5.2.
func (b *browser) denied(status int, reason, path string, body any, headers ...pair) answer {
	b.Helper()
	got := b.do("POST", path, body, headers...)
	var e gateway.OAuthError
	if err := json.Unmarshal(got.body, &e); err != nil || got.status != status || e.Error != reason || !strings.HasSuffix(e.Description, ".") && !strings.HasSuffix(e.Description, "….") {
		b.Errorf("%s: %d %s, want %d %s", path, got.status, got.body, status, reason)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		b.Errorf("%s: the refusal may be stored: %v", path, got.header)
	}
	return got
}

// What an active code is told to be, member for member.
func TestIntrospection(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	booking := ada.book("pend00-everyone")
	experiment := code(ada.launch(booking))
	service := l.service(lodge.DefaultTenant, []string{"introspect", "introspect:host", "identity"}, nil)
	b := l.browser()

	got := b.do("POST", introspectPath, url.Values{"token": {experiment}, "token_type_hint": {"refresh_token"}}, authorization("Bearer "+service.Code))
	var members map[string]any
	l.must(json.Unmarshal(got.body, &members))
	for name, want := range map[string]any{
		"active": true, "scope": "read:pend00-data write:pend00-data read:pend00-video booking:extend", "sub": ada.me().Person, "iss": l.url, "token_type": "Bearer",
		"exp": float64(booking.End.Unix()), "iat": float64(l.clock.Now().Unix()), "nbf": float64(booking.Start.Unix()),
		"lodge_kind": "experiment", "lodge_tenant": "default", "lodge_booking": booking.ID, "lodge_experiment": "pend00", "name": ada.me().Name,
	} {
		if members[name] != want {
			t.Errorf("%s: %v, want %v", name, members[name], want)
		}
	}
	if aud, ok := members["aud"].([]any); !ok || len(aud) != 1 || aud[0] != "experiment:pend00" {
		t.Errorf("aud: %v", members["aud"])
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", got.header)
	}

	me := grace.me()
	login := b.introspected(service.Code, grace.cookie("lodge-dev"))
	if login.Kind != "login" || login.Subject != me.Person || !slices.Equal(login.Groups, me.Groups) || !slices.Equal(login.Audience, []string{l.url}) || len(login.Roles) != len(me.Roles) || login.ID != me.Session.ID || login.Scope != "" {
		t.Errorf("a login: %+v", login)
	}
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend01"})
	if got := b.introspected(service.Code, host); got.Kind != "host" || got.ClientID != got.ID || got.Subject != got.ID || got.Name != "" || !slices.Equal(got.Audience, []string{"experiment:pend01"}) {
		t.Errorf("a host: %+v", got)
	}
	// Without the scope, nobody is named.
	plain := l.service(lodge.DefaultTenant, []string{"introspect"}, nil)
	if got := b.introspected(plain.Code, grace.cookie("lodge-dev")); !got.Active || got.Name != "" || got.Groups != nil || got.Roles != nil {
		t.Errorf("without identity: %+v", got)
	}
	// HTTP Basic, as RFC 6749 section 2.3.1 has it: both halves form-urlencoded.
	if got := call[gateway.Introspection](b, 200, "POST", introspectPath, token(experiment), basic(url.QueryEscape(service.Session.ID), url.QueryEscape(service.Code))); !got.Active {
		t.Error("by Basic: not active")
	}
}

// Whatever is not good, or not the service's to see, is answered with the very
// same bytes.
func TestIntrospectionOfWhatIsNotActive(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	expired := code(ada.launch(booking))
	service := l.service(lodge.DefaultTenant, []string{"introspect"}, nil)
	narrow := l.service(lodge.DefaultTenant, []string{"introspect"}, []string{"experiment:pend02"})
	b := l.browser()
	if !b.introspected(service.Code, expired).Active || !b.introspected(service.Code, ada.cookie("lodge-dev")).Active {
		t.Fatal("not active to begin with")
	}
	l.clock.pass(61 * time.Minute) // over, and Ada has been away
	fresh := l.signedIn("soren")
	revoked := fresh.cookie("lodge-dev")
	fresh.do("POST", "/logout", url.Values{})
	pending, _, err := l.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Experiment, Booking: "b", Experiment: "pend02", NotBefore: l.clock.Now().Add(time.Minute), ExpiresAt: l.clock.Now().Add(time.Hour),
	})
	l.must(err)
	soren := l.signedIn("soren")
	live := code(soren.launch(soren.book("pend00-everyone")))
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend02"})
	for name, c := range map[string]struct{ service, code string }{
		"unknown":               {service.Code, "lodge_exp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"no code":               {service.Code, "\x00 nonsense"},
		"a signed token":        {service.Code, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"},
		"over":                  {service.Code, expired},
		"revoked":               {service.Code, revoked},
		"not begun":             {service.Code, pending},
		"away for too long":     {service.Code, ada.cookie("lodge-dev")},
		"of another experiment": {narrow.Code, live},
		"of no experiment":      {narrow.Code, l.signedIn("grace").cookie("lodge-dev")},
		"a host's":              {service.Code, host},
		"a service's":           {service.Code, narrow.Code},
		"its own, a service's":  {service.Code, service.Code},
		"its prefix changed":    {service.Code, "lodge_log_" + live[10:]},
	} {
		got := b.do("POST", introspectPath, token(c.code), authorization("Bearer "+c.service))
		if got.status != 200 || string(got.body) != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if !b.introspected(service.Code, live).Active {
		t.Error("the live one is not active")
	}
	if refused := l.entries(audit.Deny); !slices.ContainsFunc(refused, func(e audit.Entry) bool {
		return e.Actor == "service:"+narrow.Session.ID && strings.HasPrefix(e.Object, "session:")
	}) {
		t.Errorf("what was kept from a service is not recorded: %+v", refused)
	}
}

// TestSec39: what one tenant, scope or audience is answered never serves another:
// every service asks about every code, in two orders, twice.
func TestSec39_IntrospectionAcrossTenantsScopesAndAudiences(t *testing.T) {
	l := newLab(t)
	type subject struct {
		code       string
		tenant     lodge.Tenant
		kind       sessions.Kind
		experiment string
	}
	type asker struct {
		code     string
		tenant   lodge.Tenant
		scopes   []string
		audience []string
	}
	subjects, askers := map[string]subject{}, map[string]asker{}
	for _, tenant := range []lodge.Tenant{lodge.DefaultTenant, otherTenant} {
		for _, kind := range []sessions.Kind{sessions.Login, sessions.Booking, sessions.Experiment, sessions.Host} {
			for _, experiment := range []string{"pend00", "pend01"} {
				n := sessions.New{Tenant: tenant, Kind: kind, Person: "same-person", Booking: "same-booking", Experiment: experiment, ExpiresAt: l.clock.Now().Add(time.Hour)}
				if kind == sessions.Login {
					n.Experiment = ""
				}
				code, _, err := l.sessions.Create(t.Context(), n)
				l.must(err)
				subjects[strings.Join([]string{string(tenant), string(kind), experiment}, " ")] = subject{code, tenant, kind, n.Experiment}
			}
		}
		for _, scopes := range [][]string{{"introspect"}, {"introspect:login"}, {"introspect:experiment"}, {"introspect:host"}} {
			for _, audience := range [][]string{nil, {"experiment:pend00"}, {"experiment:pend01"}} {
				made := l.service(tenant, scopes, audience)
				askers[strings.Join([]string{string(tenant), scopes[0], strings.Join(audience, "")}, " ")] = asker{made.Code, tenant, scopes, audience}
			}
		}
	}
	b := l.browser()
	hosts := map[lodge.Tenant]string{lodge.DefaultTenant: strings.TrimPrefix(l.url, "http://"), otherTenant: otherHost}
	order := slices.Sorted(maps.Keys(askers))
	for range 2 {
		for _, name := range slices.Sorted(maps.Keys(subjects)) {
			s := subjects[name]
			for _, who := range order {
				a := askers[who]
				kinds := map[string][]sessions.Kind{"introspect": {sessions.Login, sessions.Booking, sessions.Experiment}}[a.scopes[0]]
				if kinds == nil {
					kinds = []sessions.Kind{sessions.Kind(strings.TrimPrefix(a.scopes[0], "introspect:"))}
				}
				want := a.tenant == s.tenant && slices.Contains(kinds, s.kind) && (a.audience == nil || s.experiment != "" && a.audience[0] == "experiment:"+s.experiment)
				got := b.introspected(a.code, s.code, pair{"Host", hosts[a.tenant]})
				if got.Active != want || want && (got.Tenant != string(s.tenant) || got.Kind != string(s.kind) || got.Issuer != "http://"+hosts[s.tenant]) {
					t.Errorf("%s about %s: %+v, want active %v", who, name, got, want)
				}
			}
			slices.Reverse(order)
		}
	}
	// A service of one tenant is nobody at the other's host name.
	for _, a := range askers {
		for tenant, host := range hosts {
			if tenant != a.tenant {
				b.denied(401, "invalid_client", introspectPath, token("x"), authorization("Bearer "+a.code), pair{"Host", host})
				b.denied(401, "invalid_client", revokePath, token("x"), authorization("Bearer "+a.code), pair{"Host", host})
			}
		}
	}
	// Nor does revoking reach across: unknown there, and good here afterwards.
	foreign := l.service(otherTenant, []string{"revoke", "revoke:login", "revoke:host"}, nil)
	here := l.service(lodge.DefaultTenant, []string{"introspect", "introspect:host"}, nil)
	for name, s := range subjects {
		if s.tenant != lodge.DefaultTenant {
			continue
		}
		if got := b.do("POST", revokePath, token(s.code), authorization("Bearer "+foreign.Code), pair{"Host", otherHost}); got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if !b.introspected(here.Code, s.code).Active {
			t.Errorf("another tenant's service ended the %s", name)
		}
	}
}

// What a service may end, and what becomes of it.
func TestRevocation(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	l.rig("pend00", "pend00-data")
	activity := ada.launch(ada.book("pend00-everyone"))
	conn := ada.stream(activity, "data")
	spinner := code(ada.launch(ada.book("pend02-everyone")))
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	revoker := l.service(lodge.DefaultTenant, []string{"revoke"}, []string{"experiment:pend00"})
	b := l.browser()
	good := func(code string) bool {
		_, err := l.sessions.Check(t.Context(), lodge.DefaultTenant, code)
		return err == nil
	}
	as := authorization("Bearer " + revoker.Code)

	for name, kept := range map[string]string{"of another experiment": spinner, "a host's": host, "a login's": ada.cookie("lodge-dev")} {
		b.denied(400, notAllowed, revokePath, token(kept), as)
		if !good(kept) {
			t.Errorf("%s: ended all the same", name)
		}
	}
	l.recorded(audit.Deny, "service:"+revoker.Session.ID, l.entries(audit.Deny)[len(l.entries(audit.Deny))-1].Object)
	for range 2 { // the second time it is over already
		if got := b.do("POST", revokePath, url.Values{"token": {code(activity)}, "token_type_hint": {"access_token"}}, as); got.status != 200 || len(got.body) != 0 || got.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s %v", got.status, got.body, got.header)
		}
	}
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4403 {
		t.Errorf("the open stream: %v", closed)
	}
	if good(code(activity)) {
		t.Error("the code is good still")
	}
	if found := l.entries(audit.SessionEnd); len(found) != 1 || found[0].Actor != "service:"+revoker.Session.ID {
		t.Errorf("recorded: %+v", found)
	}
	for _, unknown := range []string{"nonsense", "lodge_exp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		if got := b.do("POST", revokePath, token(unknown), as); got.status != 200 {
			t.Errorf("%s: %d", unknown, got.status)
		}
	}
	b.denied(400, "unsupported_token_type", revokePath, token("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), as)

	// A host's code with the scope that names it, and the service's own without any.
	keeper := l.service(lodge.DefaultTenant, []string{"revoke:host"}, nil)
	if got := b.do("POST", revokePath, token(host), authorization("Bearer "+keeper.Code)); got.status != 200 || good(host) {
		t.Errorf("a host's, with the scope: %d", got.status)
	}
	l.recorded(audit.CodeRevoke, "service:"+keeper.Session.ID, l.entries(audit.CodeRevoke)[0].Object)
	plain := l.service(lodge.DefaultTenant, []string{"relay:stats"}, nil)
	b.denied(400, notAllowed, revokePath, token(spinner), authorization("Bearer "+plain.Code))
	if got := b.do("POST", revokePath, token(plain.Code), authorization("Bearer "+plain.Code)); got.status != 200 || good(plain.Code) {
		t.Errorf("its own: %d", got.status)
	}
	b.denied(401, "invalid_client", revokePath, token(spinner), authorization("Bearer "+plain.Code))
	if !good(spinner) {
		t.Error("the spinner's code was ended by nobody who may")
	}
}

// Who is no service, and what is no request, is told so as RFC 6749 has it.
func TestOAuthRefusals(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.ServiceRate = 40 })
	ada := l.signedIn("ada")
	service := l.service(lodge.DefaultTenant, []string{"introspect", "revoke"}, nil)
	other := l.service(lodge.DefaultTenant, []string{"revoke"}, nil)
	experiment := code(ada.launch(ada.book("pend00-everyone")))
	b := l.browser()
	as := authorization("Bearer " + service.Code)
	for _, path := range []string{introspectPath, revokePath} {
		for name, headers := range map[string][]pair{
			"nothing":                 nil,
			"a bare code":             {authorization(service.Code)},
			"an unknown code":         {authorization("Bearer lodge_svc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
			"no code":                 {authorization("Bearer")},
			"an experiment's":         {authorization("Bearer " + experiment)},
			"a login's":               {authorization("Bearer " + ada.cookie("lodge-dev"))},
			"another's id":            {basic(other.Session.ID, service.Code)},
			"no id":                   {basic("", service.Code)},
			"Basic that is no base64": {authorization("Basic *")},
			"Basic badly escaped":     {basic("%zz", service.Code)},
			"another scheme":          {authorization("Digest x")},
			"a cookie":                {ada.cookies()},
		} {
			got := b.denied(401, "invalid_client", path, token(experiment), headers...)
			if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, "Basic ") {
				t.Errorf("%s: the challenge is %q", name, challenge)
			}
		}
		b.denied(400, "invalid_request", path, token(experiment), as, as)
		b.denied(400, "invalid_request", path, url.Values{}, as)
		b.denied(400, "invalid_request", path, url.Values{"token": {experiment, experiment}}, as)
		b.denied(400, "invalid_request", path, url.Values{"token": {experiment}, "x": {"1", "2"}}, as)
		b.denied(400, "invalid_request", path+"?token=x", token(experiment), as)
		b.denied(400, "invalid_request", path, map[string]string{"token": experiment}, as)
		b.denied(400, "invalid_request", path, nil, as)
		b.denied(413, "invalid_request", path, token(strings.Repeat("x", 70_000)), as)
		if got := b.do("GET", path, nil, as); got.status != 405 || got.header.Get("Allow") != "POST" {
			t.Errorf("GET %s: %d %v", path, got.status, got.header)
		}
	}
	l.recorded(audit.Deny, "nobody", "POST "+revokePath)
	got := b.denied(403, "insufficient_scope", introspectPath, token(experiment), authorization("Bearer "+other.Code))
	if !strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("the challenge is %q", got.header.Get("WWW-Authenticate"))
	}
	l.recorded(audit.Deny, "service:"+other.Session.ID, "POST "+introspectPath)

	// The rate is of one service code, and of both endpoints together.
	left := 40
	for ; left > 0 && b.do("POST", introspectPath, token(experiment), as).status == 200; left-- {
	}
	if limited := b.denied(429, "temporarily_unavailable", revokePath, token(experiment), as); left == 0 || limited.header.Get("Retry-After") == "" {
		t.Errorf("%d left, %v", left, limited.header)
	}
	if got := b.do("POST", revokePath, token("unknown"), authorization("Bearer "+other.Code)); got.status != 200 {
		t.Errorf("another service: %d", got.status)
	}
	if strings.Contains(l.log.String(), service.Code[10:]) || strings.Contains(l.log.String(), experiment[10:]) {
		t.Error("a code is in the log")
	}
}

// Codes of services with scopes that mean nothing are not made.
func TestServiceCodesThatAreNotMade(t *testing.T) {
	l := newLab(t)
	root := l.signedIn("root")
	for _, req := range []gateway.CodeRequest{
		{Scopes: []string{"introspekt"}}, {Scopes: []string{"introspect:"}}, {Scopes: []string{"revoke:everything"}}, {Scopes: []string{""}},
		{Scopes: []string{"read:"}}, {Scopes: []string{"read:a b"}}, {Scopes: []string{"relay:"}}, {Scopes: []string{"identity"}},
		{Scopes: []string{"audience:experiment:pend00"}}, {Scopes: []string{"relay:stats"}, Audience: []string{"experiment:pend00"}},
		{Scopes: []string{"introspect"}, Audience: []string{"experiment:nothing"}}, {Scopes: []string{"introspect"}, Audience: []string{"experiment:"}},
	} {
		req.Kind = "service"
		root.refused(422, "POST", "/api/v1/admin/codes", req)
	}
	root.refused(422, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00", Audience: []string{"experiment:pend00"}})
	made := call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{
		Kind: "service", Scopes: []string{"introspect:booking", "revoke:login", "identity", "write:pend00-data"}, Audience: []string{"experiment:pend00"},
	})
	if !slices.Contains(made.Session.Scopes, "audience:experiment:pend00") {
		t.Errorf("%+v", made.Session)
	}
}
