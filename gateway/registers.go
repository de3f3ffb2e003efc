package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

// RegisterChanged is the data of a lodge.register event.
type RegisterChanged struct {
	Register string `json:"register"`
	Title    string `json:"title"`
	Change   string `json:"change"` // opened, closed, marked
}

// teaches reports whether a principal keeps the registers of a group.
func teaches(p lodge.Principal, group string) bool {
	return p.Can(lodge.RoleInstructor, lodge.ScopeOf("group", group))
}

func (g *Gateway) openRegister(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req RegisterRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	register, err := g.startRegister(r.Context(), s, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, registerView(register, ""))
}

// startRegister opens a register for a group, with who was seen in it so far,
// and asks its members to confirm.
func (g *Gateway) startRegister(ctx context.Context, s sessions.Session, req RegisterRequest, key string) (attendance.Register, error) {
	if !teaches(s.Principal(), req.Group) {
		return attendance.Register{}, lodge.E(lodge.CodeForbidden, "Only an instructor of the group may open its register.")
	}
	if err := g.exists(ctx, s.Tenant, "group:"+req.Group); err != nil {
		return attendance.Register{}, err
	}
	for _, at := range []time.Time{req.Start, req.End} {
		if !at.IsZero() && !storable(at) {
			return attendance.Register{}, lodge.E(lodge.CodeRefused, "That time is out of range; choose a date in this century.")
		}
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return attendance.Register{}, err
	}
	rules, err := req.rules()
	if err != nil {
		return attendance.Register{}, err
	}
	return g.beginRegister(ctx, s, attendance.Draft{ID: keyed(s, key), Title: req.Title, Group: req.Group, Start: req.Start, End: req.End, Rules: rules})
}

// beginRegister opens a register in somebody's name, with the members its group has
// now.
func (g *Gateway) beginRegister(ctx context.Context, s sessions.Session, draft attendance.Draft) (attendance.Register, error) {
	var err error
	if draft.Members, err = g.classOf(ctx, s, draft.Group); err != nil {
		return attendance.Register{}, err
	}
	if draft.Sightings, err = g.presence.since(ctx, s.Tenant, g.clock.Now().Add(-keepSightings)); err != nil {
		return attendance.Register{}, err
	}
	register, err := g.register.Open(ctx, s.Tenant, s.Person, draft)
	if err != nil {
		return attendance.Register{}, err
	}
	g.recordBy(ctx, s, audit.RegisterOpen, "register:"+register.ID, "of group:"+register.Group+": "+register.Title)
	return register, g.tellRegister(ctx, s.Tenant, register)
}

// classOf are the people of a group, but for whoever keeps its register.
func (g *Gateway) classOf(ctx context.Context, s sessions.Session, group string) ([]attendance.Member, error) {
	people, err := g.persons.InGroup(ctx, s.Tenant, group)
	var members []attendance.Member
	for _, p := range people {
		if p.ID != s.Person {
			members = append(members, attendance.Member{Person: p.ID, Name: p.Name})
		}
	}
	return members, err
}

// tellRegister tells the group that a register opened, or closed: of each kind of
// change once, whoever of the nodes does.
func (g *Gateway) tellRegister(ctx context.Context, tenant lodge.Tenant, register attendance.Register) error {
	change := attendance.Opened
	if !register.Open {
		change = attendance.Closed
	}
	err := g.publish(ctx, tenant, "group:"+register.Group, messaging.TypeRegister, "register-"+register.ID+"-"+change,
		RegisterChanged{Register: register.ID, Title: register.Title, Change: change})
	if err != nil {
		return err
	}
	return g.register.Told(ctx, tenant, register.ID, change)
}

// notifyMarked tells who looks at a register that a mark of it changed.
func (g *Gateway) notifyMarked(tenant lodge.Tenant, register attendance.Register) error {
	return g.notify(tenant, "group:"+register.Group, messaging.TypeRegister, RegisterChanged{Register: register.ID, Title: register.Title, Change: "marked"})
}

// keyed derives an id from a person's idempotency key; empty without one.
func keyed(s sessions.Session, key string) string {
	if key == "" {
		return ""
	}
	return keyID(s.Person, key)
}

// ownRegister returns a register that a person may see, and whether they keep
// it.
func (g *Gateway) ownRegister(r *http.Request) (attendance.Register, sessions.Session, bool, error) {
	s, err := g.caller(r)
	if err != nil {
		return attendance.Register{}, s, false, err
	}
	register, err := g.register.Get(r.Context(), s.Tenant, chi.URLParam(r, "id"))
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("register")
	}
	if err != nil {
		return register, s, false, err
	}
	keeps := teaches(s.Principal(), register.Group)
	if !keeps && !standsIn(s, register) {
		return attendance.Register{}, s, false, errNotThere("register")
	}
	return register, s, keeps, nil
}

// standsIn reports whether a register is about the person of a session. Groups
// are no business of a booking opened by reference: see "Who gets which topic" in
// members.go.
func standsIn(s sessions.Session, register attendance.Register) bool {
	_, member := register.Mark(s.Person)
	return member && s.Kind == sessions.Login
}

func (g *Gateway) listRegisters(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	all, err := g.registersOf(r.Context(), s)
	if err != nil {
		return err
	}
	views := []RegisterView{}
	for _, register := range all {
		only := s.Person
		if teaches(s.Principal(), register.Group) {
			only = ""
		}
		views = append(views, registerView(register, only))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"registers": views})
}

// registersOf are those a person keeps or stands in, newest first.
func (g *Gateway) registersOf(ctx context.Context, s sessions.Session) ([]attendance.Register, error) {
	all, err := g.register.List(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(register attendance.Register) bool {
		return !standsIn(s, register) && !teaches(s.Principal(), register.Group)
	})
	slices.SortStableFunc(all, func(a, b attendance.Register) int { return b.OpenedAt.Compare(a.OpenedAt) })
	return all, nil
}

func (g *Gateway) getRegister(w http.ResponseWriter, r *http.Request) error {
	register, s, keeps, err := g.ownRegister(r)
	if err != nil {
		return err
	}
	only := s.Person
	if keeps {
		only = ""
	}
	return writeJSON(w, http.StatusOK, registerView(register, only))
}

func (g *Gateway) postMark(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req MarkRequest
	if r.ContentLength != 0 {
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
	}
	var view RegisterView
	if req.Code != "" {
		view, err = g.typed(r.Context(), s, chi.URLParam(r, "id"), req.Code)
	} else {
		view, err = g.confirm(r.Context(), s, chi.URLParam(r, "id"))
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// confirm is a person's own tap, through their own login.
func (g *Gateway) confirm(ctx context.Context, s sessions.Session, id string) (RegisterView, error) {
	return g.comes(ctx, s, id, g.register.Confirm)
}

// comes is what a person does to be marked, through their own login.
func (g *Gateway) comes(
	ctx context.Context, s sessions.Session, id string, how func(context.Context, lodge.Tenant, string, attendance.Coming) (attendance.Register, error),
) (RegisterView, error) {
	if s.Kind != sessions.Login {
		return RegisterView{}, errNotThere("register")
	}
	who, err := g.coming(ctx, s, id)
	if err != nil {
		return RegisterView{}, err
	}
	register, err := how(ctx, s.Tenant, id, who)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("register")
	}
	if err != nil {
		return RegisterView{}, err
	}
	if err := g.notifyMarked(s.Tenant, register); err != nil {
		return RegisterView{}, err
	}
	return registerView(register, s.Person), nil
}

// coming is the person of a session as a register knows them: who is of its group by
// now is let in, but for those who keep it.
func (g *Gateway) coming(ctx context.Context, s sessions.Session, id string) (attendance.Coming, error) {
	who := attendance.Coming{Person: s.Person, Name: s.Name}
	group, err := g.register.GroupOf(ctx, s.Tenant, id)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("register")
	}
	who.Joins = slices.Contains(s.Groups, group) && !teaches(s.Principal(), group)
	return who, err
}

// notify tells who is connected of something they can read again at any time.
func (g *Gateway) notify(tenant lodge.Tenant, topic, typ string, data any) error {
	event, err := messaging.NewEvent(typ, topic, g.clock.Now(), data)
	if err != nil {
		return err
	}
	return g.hub.Notify(tenant, topic, event)
}

// keptRegister returns a register that the caller keeps.
func (g *Gateway) keptRegister(r *http.Request) (attendance.Register, sessions.Session, error) {
	register, s, keeps, err := g.ownRegister(r)
	if err == nil && !keeps {
		err = lodge.E(lodge.CodeForbidden, "Only an instructor of the group keeps its register.")
	}
	return register, s, err
}

func (g *Gateway) closeRegister(w http.ResponseWriter, r *http.Request) error {
	register, err := g.endRegister(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, registerView(register, ""))
}

func (g *Gateway) endRegister(r *http.Request) (attendance.Register, error) {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return register, err
	}
	if register.Open {
		if err := g.presence.catchUp(r.Context(), s.Tenant, register); err != nil {
			return register, err
		}
	}
	if register, err = g.register.Close(r.Context(), s.Tenant, register.ID, s.Person); err != nil {
		return register, err
	}
	g.recordBy(r.Context(), s, audit.RegisterClose, "register:"+register.ID, "of group:"+register.Group+": "+register.Title)
	return register, g.tellRegister(r.Context(), s.Tenant, register)
}

func (g *Gateway) registerCSV(w http.ResponseWriter, r *http.Request) error {
	register, _, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	csvHeader(w, "register")
	return register.CSV(w)
}

func csvHeader(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	w.Header().Set("Cache-Control", "no-store")
}

// registerView is a register, with the mark of one person only where one is
// named.
func registerView(register attendance.Register, only lodge.PersonID) RegisterView {
	view := RegisterView{
		ID: register.ID, Title: register.Title, Group: register.Group, Start: register.Start, End: register.End, Open: register.Open,
		Series: register.Series, RegisterRules: rulesView(register.Rules), Marks: []MarkView{},
	}
	for _, m := range register.Marks {
		if only == "" || m.Person == only {
			view.Marks = append(view.Marks, markView(m, only == ""))
		}
	}
	return view
}

// markView is a mark, with its history for those who keep the register.
func markView(m attendance.Mark, keeps bool) MarkView {
	view := MarkView{
		Person: string(m.Person), Name: m.Name, State: string(m.State), Source: string(m.Source), Confirmed: m.Confirmed,
		FirstSeen: m.FirstSeen, LastSeen: m.LastSeen, Seconds: int(m.Seen / time.Second), Apology: apologyView(m.Apology),
	}
	if n := len(m.Changes); n > 0 && m.Source == attendance.FromHand {
		view.Reason = m.Changes[n-1].Reason
	}
	if keeps {
		for _, c := range m.Changes {
			view.Changes = append(view.Changes, ChangeView{State: string(c.State), Reason: c.Reason, By: string(c.By), Time: c.At})
		}
	}
	return view
}

func apologyView(a attendance.Apology) *ApologyView {
	if a.State == "" {
		return nil
	}
	return &ApologyView{Words: a.Words, Time: a.At, State: a.State}
}

func rulesView(rules attendance.Rules) RegisterRules {
	return RegisterRules{Late: int(rules.Late / time.Minute), Least: int(rules.Least / time.Minute), Room: rules.Room}
}

// rules are those asked for.
func (r RegisterRules) rules() (attendance.Rules, error) {
	const day = 24 * 60
	if r.Late < 0 || r.Late > day || r.Least < 0 || r.Least > day {
		return attendance.Rules{}, lodge.E(lodge.CodeRefused, "After how long somebody is late, and how long they have to be there, cannot be longer than the hour itself.")
	}
	return attendance.Rules{Late: time.Duration(r.Late) * time.Minute, Least: time.Duration(r.Least) * time.Minute, Room: r.Room}, nil
}
