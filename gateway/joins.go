package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// JoinCodeView is a join code as those see it who hand it out.
type JoinCodeView struct {
	ID        string    `json:"id"`
	Group     string    `json:"group"`
	Code      string    `json:"code,omitempty"` // while it works
	Link      string    `json:"link,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Limit     int       `json:"limit,omitempty"`
	Uses      int       `json:"uses"`
	State     string    `json:"state"`  // good, expired, used-up, revoked
	Source    string    `json:"source"` // store, file
}

// JoinCodesView answers GET /api/v1/admin/groups/{id}/codes.
type JoinCodesView struct {
	Codes []JoinCodeView `json:"codes"`
}

// JoinCodeRequest asks for a join code.
type JoinCodeRequest struct {
	Seconds int `json:"seconds,omitempty"` // its life; absent: 30 days
	Limit   int `json:"limit,omitempty"`   // how many may join by it; absent: no limit
}

// JoinRequest redeems a join code.
type JoinRequest struct {
	Code string `json:"code"`
}

// JoinedView answers POST /api/v1/groups/join.
type JoinedView struct {
	Group  string `json:"group"`
	Title  string `json:"title"`
	Joined bool   `json:"joined"` // false: was in it already
}

// MemberView is a person of a group.
type MemberView struct {
	Person   string    `json:"person"`
	Name     string    `json:"name"`
	JoinedAt time.Time `json:"joined_at,omitzero"` // absent: an issuer put them there
	Code     string    `json:"code,omitempty"`     // the id of the join code they came by
}

// MembersView answers GET /api/v1/admin/groups/{id}/members.
type MembersView struct {
	Members []MemberView `json:"members"`
}

// joinPath begins the address of every join link.
const joinPath = "/join/"

// The lives of join codes.
const (
	joinLife    = 30 * 24 * time.Hour
	maxJoinLife = 366 * 24 * time.Hour
	maxJoins    = 100_000
)

// keeps reports whether somebody looks after a group: hands out its join codes and
// sees who is in it.
func keeps(p lodge.Principal, group string) bool {
	scope := lodge.ScopeOf("group", group)
	return p.Can(lodge.RoleOrganiser, scope) || p.Can(lodge.RoleInstructor, scope)
}

// groupThere reports whether the catalogue has a group.
func (g *Gateway) groupThere(ctx context.Context, tenant lodge.Tenant, group string) error {
	cat, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return err
	}
	if _, there := cat.Groups[group]; !there {
		return errNotThere("group")
	}
	return nil
}

// fileCodes reads the join codes that a file holds: each time, so that it can be
// changed while the server runs.
func (g *Gateway) fileCodes(tenant lodge.Tenant) ([]idp.FileJoinCode, error) {
	if g.cfg.JoinCodesFile == "" || tenant != lodge.DefaultTenant {
		return nil, nil
	}
	text, err := os.ReadFile(g.cfg.JoinCodesFile)
	if err == nil {
		var list []idp.FileJoinCode
		if list, err = idp.ReadJoinCodes(bytes.NewReader(text), tenant); err == nil {
			return list, nil
		}
	}
	return nil, lodge.Wrap(lodge.CodeUnavailable, "Join codes cannot be read at the moment; tell your laboratory.", err)
}

// findJoin returns the join code that somebody holds, good or not.
func (g *Gateway) findJoin(ctx context.Context, tenant lodge.Tenant, code string) (idp.JoinCode, error) {
	hash := idp.HashJoinCode(code)
	kept, err := g.fileCodes(tenant)
	if err != nil {
		return idp.JoinCode{}, err
	}
	if i := slices.IndexFunc(kept, func(c idp.FileJoinCode) bool { return bytes.Equal(c.Hash, hash) }); i >= 0 {
		found := kept[i].JoinCode
		found.CreatedAt = g.clock.Now()
		return found, nil
	}
	found, err := g.joins.JoinCode(ctx, tenant, hash)
	if err == nil && found.Sealed == nil { // a file held it once
		err = idp.NoJoinCode()
	}
	return found, err
}

// lookAtJoin says into which group a code would put somebody. Misses count as
// those of lookups do.
func (g *Gateway) lookAtJoin(ctx context.Context, s sessions.Session, code string) (found idp.JoinCode, title string, err error) {
	err = g.desk.Tried(ctx, s.Tenant, "join", string(s.Person), addressOf(ctx), func() (bool, error) {
		if found, err = g.findJoin(ctx, s.Tenant, code); err != nil {
			return lodge.CodeOf(err) == lodge.CodeUnavailable, err
		}
		cat, err := g.desk.Catalogue(ctx, s.Tenant)
		if err != nil {
			return true, err
		}
		group, there := cat.Groups[found.Group]
		if !there || !found.Good(g.clock.Now()) && !slices.Contains(s.Groups, found.Group) {
			return false, idp.NoJoinCode()
		}
		title = cat.Title(group.Description, found.Group)
		return true, nil
	})
	return found, title, err
}

// join puts the signed-in person into the group of a join code. It is a change of
// privilege: the login gets a new code.
func (g *Gateway) join(ctx context.Context, s sessions.Session, code string) (JoinedView, error) {
	found, title, err := g.lookAtJoin(ctx, s, code)
	if err != nil {
		return JoinedView{}, err
	}
	if found.Sealed != nil {
		found = idp.JoinCode{Tenant: found.Tenant, Hash: found.Hash} // as the store has it
	}
	done, joined, err := g.joins.Redeem(ctx, found, s.Person, g.clock.Now())
	if err != nil {
		return JoinedView{}, err
	}
	if joined {
		g.recordBy(ctx, s, audit.JoinGroup, "group:"+done.Group, "by join code "+done.ID)
		if err := g.regrouped(ctx, s.Tenant, s.Person); err != nil {
			return JoinedView{}, err
		}
		if _, err := g.browser.Renew(ctx); err != nil {
			return JoinedView{}, err
		}
	}
	return JoinedView{Group: done.Group, Title: title, Joined: joined}, nil
}

// regrouped brings a person's groups to their logins.
func (g *Gateway) regrouped(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) error {
	found, err := g.persons.Get(ctx, tenant, person)
	if err != nil || len(found) == 0 {
		return err
	}
	return g.rightsChanged(ctx, found[0])
}

// leaveGroup ends a membership, at the wish of the person or of whoever looks after
// the group.
func (g *Gateway) leaveGroup(ctx context.Context, by sessions.Session, group string, person lodge.PersonID) error {
	err := g.joins.Leave(ctx, by.Tenant, group, person)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		return lodge.Wrap(lodge.CodeRefused, "Nobody joined this group that way: who is in it by their institution leaves it there.", err)
	}
	if err != nil {
		return err
	}
	said := "left"
	if person != by.Person {
		said = "removed person:" + string(person)
	}
	g.recordBy(ctx, by, audit.LeaveGroup, "group:"+group, said)
	return g.regrouped(ctx, by.Tenant, person)
}

// joinCodes lists the join codes of a group, those of a file first.
func (g *Gateway) joinCodes(ctx context.Context, tenant lodge.Tenant, group string) ([]JoinCodeView, error) {
	views := []JoinCodeView{}
	kept, err := g.fileCodes(tenant)
	if err != nil {
		return nil, err
	}
	for _, c := range kept {
		if c.Group != group {
			continue
		}
		if used, err := g.joins.JoinCode(ctx, tenant, c.Hash); err == nil {
			c.Uses = used.Uses
		} else if lodge.CodeOf(err) != lodge.CodeNotFound {
			return nil, err
		}
		views = append(views, g.joinCodeView(c.JoinCode, c.Code, "file"))
	}
	stored, err := g.joins.JoinCodes(ctx, tenant, group)
	if err != nil {
		return nil, err
	}
	for _, c := range stored {
		code := ""
		if c.Good(g.clock.Now()) {
			if code, err = g.joins.Show(c); err != nil {
				return nil, err
			}
		}
		views = append(views, g.joinCodeView(c, code, "store"))
	}
	return views, nil
}

func (g *Gateway) joinCodeView(c idp.JoinCode, code, source string) JoinCodeView {
	now := g.clock.Now()
	v := JoinCodeView{
		ID: c.ID, Group: c.Group, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, Limit: c.Limit, Uses: c.Uses, State: "good", Source: source,
	}
	switch {
	case !c.RevokedAt.IsZero():
		v.State = "revoked"
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		v.State = "expired"
	case !c.Good(now):
		v.State = "used-up"
	default:
		v.Code, v.Link = code, g.cfg.PublicURL+joinPath+url.PathEscape(code)
	}
	return v
}

// makeJoinCode draws a join code for a group, in place of another when one is
// named: then with what is left of that one's life and limit, unless the request
// says otherwise.
func (g *Gateway) makeJoinCode(ctx context.Context, by sessions.Session, group, replaces string, req JoinCodeRequest) (JoinCodeView, error) {
	life := time.Duration(req.Seconds) * time.Second
	if req.Seconds < 0 || life > maxJoinLife || req.Limit < 0 || req.Limit > maxJoins {
		return JoinCodeView{}, lodge.E(lodge.CodeRefused, "A join code lasts a second to 366 days, and is for 1 to 100,000 people or without a limit.")
	}
	now := g.clock.Now()
	c := idp.JoinCode{Tenant: by.Tenant, Group: group, By: by.Person, CreatedAt: now, Limit: req.Limit, ExpiresAt: now.Add(joinLife)}
	if replaces != "" {
		old, err := g.joinCodeOf(ctx, by.Tenant, group, replaces)
		if err != nil {
			return JoinCodeView{}, err
		}
		if old.Good(now) {
			c.ExpiresAt = old.ExpiresAt
			if old.Limit > 0 && req.Limit == 0 {
				c.Limit = old.Limit - old.Uses
			}
		}
	}
	if life > 0 {
		c.ExpiresAt = now.Add(life)
	}
	code, made, err := g.joins.Make(ctx, c, replaces)
	if err != nil {
		return JoinCodeView{}, err
	}
	said := fmt.Sprintf("join code %s until %s", made.ID, made.ExpiresAt.Format(timeFormat))
	if replaces != "" {
		said += " in place of " + replaces
	}
	g.recordBy(ctx, by, audit.JoinCode, "group:"+group, said)
	return g.joinCodeView(made, code, "store"), nil
}

// joinCodeOf finds a join code of a group that the store keeps.
func (g *Gateway) joinCodeOf(ctx context.Context, tenant lodge.Tenant, group, id string) (idp.JoinCode, error) {
	if strings.HasPrefix(id, "file-") {
		return idp.JoinCode{}, lodge.E(lodge.CodeRefused, "This join code is kept in a file; whoever runs the server changes it there.")
	}
	all, err := g.joins.JoinCodes(ctx, tenant, group)
	if err != nil {
		return idp.JoinCode{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return idp.JoinCode{}, errNotThere("join code")
}

// revokeJoinCode ends a join code; who joined by it stays.
func (g *Gateway) revokeJoinCode(ctx context.Context, by sessions.Session, group, id string) error {
	c, err := g.joinCodeOf(ctx, by.Tenant, group, id)
	if err != nil {
		return err
	}
	if err := g.joins.RevokeJoinCode(ctx, by.Tenant, group, id, g.clock.Now()); err != nil {
		return err
	}
	if c.RevokedAt.IsZero() {
		g.recordBy(ctx, by, audit.JoinCodeRevoke, "group:"+group, "join code "+id)
	}
	return nil
}

// groupMembers lists who is in a group, and how they came there.
func (g *Gateway) groupMembers(ctx context.Context, tenant lodge.Tenant, group string) ([]MemberView, error) {
	people, err := g.persons.InGroup(ctx, tenant, group)
	if err != nil {
		return nil, err
	}
	joined, err := g.joins.Members(ctx, tenant, group)
	if err != nil {
		return nil, err
	}
	by := map[lodge.PersonID]idp.Membership{}
	for _, m := range joined {
		by[m.Person] = m
	}
	views := []MemberView{}
	for _, p := range people {
		m := by[p.ID]
		views = append(views, MemberView{Person: string(p.ID), Name: orElse(p.Name, p.FamilyName), JoinedAt: m.At, Code: m.Code})
	}
	return views, nil
}
