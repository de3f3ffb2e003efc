package idptest

import (
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
)

// Faults make the issuer misbehave, so that a relying party's checks can be seen
// to work. Each is called, when it is set, with what the issuer is about to say,
// concurrently for concurrent requests. The zero value behaves.
type Faults struct {
	Intercept func(http.ResponseWriter, *http.Request) bool   // looks at each request first; true: has answered it
	Discovery func(document map[string]any)                   // changes the metadata
	Response  func(query url.Values)                          // changes the authorization response
	Claims    func(claims map[string]any)                     // changes the ID token before it is signed
	Sign      func(claims []byte, key SigningKey) string      // makes the ID token instead
	Token     func(response map[string]any)                   // changes the token response
	UserInfo  func(claims map[string]any)                     // changes the UserInfo response
	Logout    func(claims map[string]any)                     // changes a logout token before it is signed
	Keys      func(set jose.JSONWebKeySet) jose.JSONWebKeySet // changes the published keys
}

// SigningKey is the issuer's private key as Faults.Sign gets it.
type SigningKey = jose.JSONWebKey
