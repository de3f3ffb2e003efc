package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// A booking may be shared with lab partners. Each gets experiment codes of their
// own; one of them at a time has control. What a code may do is in its session's
// scopes, which is all that relays read: write:TOPIC of who has control is
// hold:TOPIC of the others, who keep their connections and hear everything. When
// control changes hands the scopes are written anew and a hint reaches every open
// connection: nobody connects again. A booking that is shared with nobody has no
// trace of any of this.

// The rights of a code on a relay topic, as scopes have them.
const (
	rightRead  = "read"
	rightWrite = "write"
	rightHold  = "hold" // would be write, if its person had control
)

// held are the scopes of a stream of somebody without control.
func held(scopes []string) []string {
	out := slices.Clone(scopes)
	for i, scope := range out {
		if topic, writes := strings.CutPrefix(scope, rightWrite+":"); writes {
			out[i] = rightHold + ":" + topic
		}
	}
	return out
}

// opens reports whether a session has any right on a relay topic.
func opens(s sessions.Session, topic string) bool {
	return slices.ContainsFunc([]string{rightRead, rightWrite, rightHold}, func(right string) bool { return slices.Contains(s.Scopes, right+":"+topic) })
}

// ours is mine for what partners may do too: partner says that the caller is one.
func (g *Gateway) ours(r *http.Request) (b booking.Booking, s sessions.Session, partner bool, err error) {
	b, s, err = g.mine(r)
	if lodge.CodeOf(err) != lodge.CodeNotFound {
		return b, s, false, err
	}
	c, failed := g.callers(r)
	if failed != nil || c.login == nil {
		return b, s, false, cmp.Or(failed, err)
	}
	found, failed := g.desk.Get(r.Context(), c.login.Tenant, chi.URLParam(r, "id"))
	if failed != nil {
		return b, s, false, err
	}
	share, failed := g.desk.ShareFor(r.Context(), c.login.Tenant, found.ID)
	if failed != nil {
		return b, s, false, failed
	}
	if _, partner = share.Partner(c.login.Person); !partner {
		return b, s, false, err
	}
	return found, *c.login, true, nil
}

// sharedNow are the bookings that are shared with a person and whose messages they
// still get.
func (g *Gateway) sharedNow(ctx context.Context, s sessions.Session) ([]booking.Booking, error) {
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	return g.desk.SharedWith(ctx, s.Tenant, merged.All(s.Person)...)
}

// isPartner reports whether a session that may use a booking is not its owner's.
func isPartner(b booking.Booking, s sessions.Session) bool {
	return s.Kind == sessions.Login && s.Person != b.Owner
}

// oursTo is ours for an action that the booking's policy may keep from those who
// opened it by surname and reference.
func (g *Gateway) oursTo(r *http.Request, action string) (booking.Booking, sessions.Session, error) {
	b, s, _, err := g.ours(r)
	if err != nil {
		return b, s, err
	}
	return b, s, g.mayTo(r.Context(), b, s, action)
}

// stillShared sees to a code that was made while the sharing of its booking may
// have changed: it has the rights of now, or none.
func (g *Gateway) stillShared(ctx context.Context, b booking.Booking, s sessions.Session) error {
	share, err := g.desk.ShareFor(ctx, b.Tenant, b.ID)
	if err != nil {
		return err
	}
	if _, partner := share.Partner(s.Person); s.Person != b.Owner && !partner {
		return cmp.Or(g.sessions.Revoke(ctx, s.Tenant, s.ID, errNoPartner), errNotThere("booking"))
	}
	if len(share.Partners) == 0 {
		return nil
	}
	return effects{g}.place(ctx, booking.Effect{Tenant: b.Tenant, Booking: b})
}

// controlScopes returns what a session of a booking gets of what an experiment's
// streams give, as the booking is shared.
func (g *Gateway) controlScopes(ctx context.Context, b booking.Booking, scopes []string) (func(sessions.Session) []string, error) {
	share, err := g.desk.ShareFor(ctx, b.Tenant, b.ID)
	if err != nil {
		return nil, err
	}
	merged, err := g.persons.Merged(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	controller := share.Controller(b.Owner)
	return func(s sessions.Session) []string {
		of := scopes
		if merged.Of(s.Person) != controller {
			of = held(scopes)
		}
		if slices.Contains(s.Scopes, scopeExtend) {
			of = append(slices.Clip(of), scopeExtend)
		}
		return of
	}, nil
}

// errNoPartner is why a code of somebody who is no partner any more is ended.
const errNoPartner = "This booking is not shared with you any more."

// control brings to a booking's codes who has control, and ends those of people
// it is not shared with any more.
func (e effects) control(ctx context.Context, ef booking.Effect) error {
	g, b := e.g, ef.Booking
	share, err := g.desk.ShareFor(ctx, b.Tenant, b.ID)
	if err != nil {
		return err
	}
	merged, err := g.persons.Merged(ctx, b.Tenant)
	if err != nil {
		return err
	}
	codes, err := g.sessions.List(ctx, b.Tenant, sessions.Filter{Booking: b.ID, Kind: sessions.Experiment})
	if err != nil {
		return err
	}
	for _, s := range codes {
		person := merged.Of(s.Person)
		if _, partner := share.Partner(person); partner || person == b.Owner || !s.RevokedAt.IsZero() {
			continue
		}
		if err := g.sessions.Revoke(ctx, b.Tenant, s.ID, errNoPartner); err != nil {
			return err
		}
		g.membershipOf(ctx, b.Tenant, s.Person)
	}
	if err := e.place(ctx, ef); err != nil {
		return err
	}
	for _, p := range share.Partners {
		g.membershipOf(ctx, b.Tenant, p.Person)
	}
	view := controlView(b, share, "")
	return g.publish(ctx, b.Tenant, "booking:"+b.ID, messaging.TypeControl, effectID(ef), Controlled{
		Booking: b.ID, Change: ef.Reason, Control: view.Control, People: view.People,
	})
}

// ControlView is who shares a booking and which of them has control.
type ControlView struct {
	Booking string          `json:"booking"`
	You     string          `json:"you"`            // the caller
	Control string          `json:"control"`        // who of people has it
	Since   time.Time       `json:"since,omitzero"` // absent while nobody but the owner had it
	People  []ControlPerson `json:"people"`         // the owner first
}

// ControlPerson is one of those who share a booking.
type ControlPerson struct {
	Person string `json:"person"`
	Name   string `json:"name"`
	Owner  bool   `json:"owner"`
	Asks   bool   `json:"asks"`           // for control
	Here   bool   `json:"here,omitempty"` // has a stream of the booking open; not told in events
}

// Controlled is the data of a lodge.control event.
type Controlled struct {
	Booking string          `json:"booking"`
	Change  string          `json:"change"` // joined, left, taken, given, asked
	Control string          `json:"control"`
	People  []ControlPerson `json:"people"`
}

// ControlRequest is the body of POST …/control.
type ControlRequest struct {
	Action string `json:"action"`       // take, give, ask
	To     string `json:"to,omitempty"` // give: to whom
}

func controlView(b booking.Booking, share booking.Share, you lodge.PersonID) ControlView {
	view := ControlView{
		Booking: b.ID, You: string(you), Control: string(share.Controller(b.Owner)), Since: share.Since,
		People: []ControlPerson{{Person: string(b.Owner), Name: b.OwnerName, Owner: true}},
	}
	for _, p := range share.Partners {
		view.People = append(view.People, ControlPerson{Person: string(p.Person), Name: p.Name, Asks: !p.Asked.IsZero()})
	}
	return view
}

// controlOf is how a booking is shared, as a session sees it.
func (g *Gateway) controlOf(ctx context.Context, b booking.Booking, s sessions.Session) (ControlView, error) {
	share, err := g.desk.ShareFor(ctx, b.Tenant, b.ID)
	if err != nil {
		return ControlView{}, err
	}
	you, err := g.personNow(ctx, s)
	return controlView(b, share, you), err
}

// personNow is whom a session's person counts as.
func (g *Gateway) personNow(ctx context.Context, s sessions.Session) (lodge.PersonID, error) {
	merged, err := g.persons.Merged(ctx, s.Tenant)
	return merged.Of(s.Person), err
}

// steer does with the control of a booking what somebody who shares it asks for.
func (g *Gateway) steer(ctx context.Context, b booking.Booking, s sessions.Session, req ControlRequest) (ControlView, error) {
	you, err := g.personNow(ctx, s)
	if err != nil {
		return ControlView{}, err
	}
	var share booking.Share
	switch req.Action {
	case "take":
		var here map[lodge.PersonID]bool
		if here, err = g.connected(ctx, b); err == nil {
			share, err = g.desk.TakeControl(ctx, b.Tenant, b.ID, you, func(holder lodge.PersonID) bool { return !here[holder] })
		}
	case "give":
		share, err = g.desk.GiveControl(ctx, b.Tenant, b.ID, you, lodge.PersonID(req.To))
	case "ask":
		share, err = g.desk.AskControl(ctx, b.Tenant, b.ID, you)
	default:
		err = lodge.E(lodge.CodeRefused, "Say what to do with control: take, give or ask.")
	}
	return controlView(b, share, you), err
}

// whoIsHere adds to a view which of the people have a stream of the booking open.
func (g *Gateway) whoIsHere(ctx context.Context, b booking.Booking, view ControlView) (ControlView, error) {
	here, err := g.connected(ctx, b)
	for i, p := range view.People {
		view.People[i].Here = here[lodge.PersonID(p.Person)]
	}
	return view, err
}

// connected are the people who have a stream of a booking open, on any node.
func (g *Gateway) connected(ctx context.Context, b booking.Booking) (map[lodge.PersonID]bool, error) {
	merged, err := g.persons.Merged(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	here := map[lodge.PersonID]bool{}
	peers, _ := g.relay.AllPeers(ctx, b.Tenant)
	for _, p := range peers {
		if p.Booking == b.ID && p.Kind == string(sessions.Experiment) {
			here[merged.Of(p.Person)] = true
		}
	}
	return here, nil
}

// A Window says what becomes of a second window of one student on one booking.
type Window string

// What can be done with it.
const (
	WindowAllow   Window = "allow"   // both are open
	WindowReplace Window = "replace" // the one opened last is
	WindowRefuse  Window = "refuse"  // the one opened first is, as long as it is connected
)

// windowWait is how long a window that is refused waits for the one before to be
// gone: a page that is loaded again closes its connections as it goes.
const windowWait = 2 * time.Second

// anotherWindow applies the rule about second windows to one that is about to be
// opened by a person.
func (g *Gateway) anotherWindow(ctx context.Context, b booking.Booking, person lodge.PersonID) error {
	switch g.cfg.SecondWindow {
	case WindowReplace:
		codes, err := g.sessions.List(ctx, b.Tenant, sessions.Filter{Booking: b.ID, Person: person, Kind: sessions.Experiment})
		if err != nil {
			return err
		}
		now := g.clock.Now()
		for _, s := range codes {
			if s.State(now) != sessions.Active {
				continue
			}
			if err := g.sessions.Revoke(ctx, b.Tenant, s.ID, "You opened this experiment in another window; go on there."); err != nil {
				return err
			}
		}
	case WindowRefuse:
		ctx, cancel := context.WithTimeout(ctx, windowWait)
		defer cancel()
		look := time.NewTicker(windowWait / 20)
		defer look.Stop()
		for {
			here, err := g.connected(ctx, b)
			if err != nil || !here[person] {
				return err
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return lodge.E(lodge.CodeConflict, "This experiment is open in another window of yours; close that one first, or go on there.")
			}
		}
	}
	return nil
}
