package idptest

import (
	"net/http"
	"net/url"
	"slices"
)

// endSession ends a sign-in (OpenID Connect RP-Initiated Logout 1.0). The issuer
// remembers no browser, so what ends are the access tokens of that sign-in; the
// client is told by the back channel, if it wants to be; then
// the browser goes back to an address registered for that, and to no other.
func (p *provider) endSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.fail(w, "The request cannot be read.")
		return
	}
	id := r.Form.Get("client_id")
	if hint := r.Form.Get("id_token_hint"); hint != "" {
		said, err := p.key.claims(hint)
		if err != nil || said.Issuer != p.cfg.Issuer || id != "" && id != said.Audience {
			p.fail(w, "The application did not prove whom it wants to sign out.")
			return
		}
		id = said.Audience
		p.grants.end(said.Session)
		// That the client cannot be told is no reason to keep somebody from leaving.
		_ = p.tell(r.Context(), id, said.Subject, said.Session)
	}
	back := r.Form.Get("post_logout_redirect_uri")
	if back == "" {
		p.page(w, http.StatusOK, "", view{Title: "You are signed out", Text: "You can close this page."})
		return
	}
	client, ok := p.client(id)
	if !ok || !slices.Contains(client.PostLogoutURIs, back) {
		p.fail(w, "You are signed out, but the application asks to send you to an address that is not registered for it.")
		return
	}
	to, err := url.Parse(back)
	if err != nil {
		p.fail(w, "The registered address of the application is not a URL.")
		return
	}
	if state := r.Form.Get("state"); state != "" {
		q := to.Query()
		q.Set("state", state)
		to.RawQuery = q.Encode()
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}
