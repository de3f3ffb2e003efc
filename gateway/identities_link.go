package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// IdentityView is one account that signs a person in.
type IdentityView struct {
	ID      string `json:"id"` // for DELETE
	Issuer  string `json:"issuer"`
	Name    string `json:"name"` // the issuer's, for people
	Subject string `json:"subject"`
	Current bool   `json:"current"` // the session asking was made through it
}

// LinkRequest is the body of POST /api/v1/me/identities.
type LinkRequest struct {
	Issuer    string `json:"issuer"`
	LoginHint string `json:"login_hint,omitempty"` // the account to suggest to the issuer
}

// LinkStarted answers it: where to send this browser now.
type LinkStarted struct {
	Location string `json:"location"`
}

// linking is kept with a flow that adds an account to a person instead of signing
// somebody in: the login that began it, which must be the one to end it.
type linking struct {
	Session sessions.ID `json:"link,omitempty"`
}

// identityID names a subject in addresses.
func identityID(s idp.Subject) string {
	sum := sha256.Sum256([]byte(s.Issuer + "\x00" + s.Subject))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// identitiesOf lists the accounts that sign a person in.
func (g *Gateway) identitiesOf(person idp.Person, s sessions.Session) []IdentityView {
	names := map[string]string{}
	for _, issuer := range g.idp.Issuers() {
		names[issuer.ID] = issuer.Name
	}
	views := []IdentityView{}
	for _, subject := range person.Subjects {
		views = append(views, IdentityView{
			ID: identityID(subject), Issuer: subject.Issuer, Name: orElse(names[subject.Issuer], subject.Issuer), Subject: subject.Subject,
			Current: s.Issuer == subject.Issuer && s.Subject == subject.Subject,
		})
	}
	return views
}

func (g *Gateway) myIdentities(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	person, err := g.personOf(r, s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"identities": g.identitiesOf(person, s)})
}

func (g *Gateway) startLink(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.person(r); err != nil {
		return err
	}
	var req LinkRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	location, err := g.beginLink(r, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, LinkStarted{Location: location})
}

// beginLink begins a sign-in that adds an account to the person who is signed in.
// What ties the answer to this login waits in its session, for one use.
func (g *Gateway) beginLink(r *http.Request, req LinkRequest) (string, error) {
	s, err := g.person(r)
	if err != nil {
		return "", err
	}
	if err := g.freshEnough(s); err != nil {
		return "", err
	}
	if err := g.signIns.allow(s.Tenant, addressOf(r.Context())); err != nil {
		return "", err
	}
	location, flow, err := g.idp.Start(r.Context(), req.Issuer, idp.StartOptions{
		RedirectURI: g.callbackURI(req.Issuer), ReturnTo: "/identities?done=linked", LoginHint: req.LoginHint,
	})
	if err != nil {
		return "", err
	}
	kept, err := json.Marshal(struct {
		idp.Flow
		linking
	}{flow, linking{s.ID}})
	if err != nil {
		return "", err
	}
	return location, g.browser.Put(r.Context(), flowKey, kept)
}

// signedIn finds whom an identity signs in: for a flow that adds an account, the
// person whose login began it, who then has one account more. kept is the flow as
// it was taken out of this browser's session.
func (g *Gateway) signedIn(ctx context.Context, kept []byte, who idp.Identity) (idp.Person, bool, error) {
	var link linking
	if err := json.Unmarshal(kept, &link); err != nil || link.Session == "" {
		person, err := g.persons.SignedIn(ctx, tenantOf(ctx), who)
		return person, false, err
	}
	s, err := g.browser.Current(ctx)
	if err != nil && lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		return idp.Person{}, true, err
	}
	if err != nil || s.ID != link.Session || s.Idle(g.clock.Now()) {
		return idp.Person{}, true, lodge.E(lodge.CodeUnauthenticated, "You were signed out meanwhile. Sign in again, and then add the account.")
	}
	person, err := g.persons.Link(ctx, s.Tenant, s.Person, who)
	if err != nil {
		return idp.Person{}, true, err
	}
	g.recordBy(ctx, s, audit.Link, "person:"+string(person.ID), "account "+who.Issuer+":"+who.Subject)
	return person, true, nil
}

func (g *Gateway) deleteIdentity(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.unlink(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unlink takes an account away from the person who is signed in and ends the
// logins made through it, be it the one asking: current says so.
func (g *Gateway) unlink(r *http.Request) (current bool, err error) {
	ctx := r.Context()
	s, err := g.person(r)
	if err != nil {
		return false, err
	}
	person, err := g.personOf(r, s)
	if err != nil {
		return false, err
	}
	for _, subject := range person.Subjects {
		if identityID(subject) != chi.URLParam(r, "id") {
			continue
		}
		if person, err = g.persons.Unlink(ctx, s.Tenant, s.Person, subject); err != nil {
			return false, err
		}
		g.recordBy(ctx, s, audit.Unlink, "person:"+string(person.ID), "account "+subject.Issuer+":"+subject.Subject)
		if err := g.endThrough(ctx, s.Tenant, s.Person, []idp.Subject{subject}, "The account this was made through was removed."); err != nil {
			return false, err
		}
		return through(s, subject.Issuer, subject.Subject), g.rightsChanged(ctx, person)
	}
	return false, errNotThere("account")
}

// endThrough ends the logins of a person that were made through some subjects.
func (g *Gateway) endThrough(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, subjects []idp.Subject, reason string) error {
	found, err := g.sessions.List(ctx, tenant, sessions.Filter{Person: person, Kind: sessions.Login})
	if err != nil {
		return err
	}
	now := g.clock.Now()
	for _, s := range found {
		if s.State(now) == sessions.Revoked && !s.Messages(now) {
			continue
		}
		for _, subject := range subjects {
			if through(s, subject.Issuer, subject.Subject) {
				if err := g.sessions.Revoke(ctx, tenant, s.ID, reason); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// rightsChanged brings a person's groups and roles, as they are now, to all their
// logins, and wakes their message connections.
func (g *Gateway) rightsChanged(ctx context.Context, person idp.Person) error {
	bindings, err := g.bindings(ctx, person)
	if err != nil {
		return err
	}
	if err := g.sessions.Refresh(ctx, person.Tenant, person.ID, person.Groups, bindings); err != nil {
		return err
	}
	g.membershipOf(ctx, person.Tenant, person.ID)
	return nil
}
