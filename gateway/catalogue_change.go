package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// CatalogueChange asks for a change of the catalogue.
type CatalogueChange struct {
	// Manifest is the text of a practable manifest, or of a file in Lodge's format,
	// which may hold any part of a catalogue; in YAML or JSON.
	Manifest string `json:"manifest"`
	Lenient  bool   `json:"lenient,omitempty"` // leave out what is faulty
	Prune    bool   `json:"prune,omitempty"`   // remove what the manifest leaves out, of the kinds that it has
	// What becomes of bookings that are touched: keep, move or cancel. By booking,
	// else by the objects that touch them, else for all.
	Touched  string            `json:"touched,omitempty"`
	Objects  map[string]string `json:"objects,omitempty"`
	Bookings map[string]string `json:"bookings,omitempty"`
	Message  string            `json:"message,omitempty"` // what the people of moved and cancelled bookings read
	// Base is the revision of the plan that was looked at. Only the command line
	// sends it; elsewhere it is If-Match.
	Base *uint64 `json:"base,omitempty"`
}

// PlanView answers POST /api/v1/admin/catalogue/plan.
type PlanView struct {
	Revision uint64          `json:"revision"`
	LeftOut  []booking.Fault `json:"left_out"`
	Ops      []booking.Op    `json:"ops"`
	Touched  []TouchView     `json:"touched"`
}

// TouchedBooking is a booking that a change of the catalogue touches.
type TouchedBooking struct {
	Booking    string    `json:"booking"`
	Name       string    `json:"name"`
	Experiment string    `json:"experiment"`
	Slot       string    `json:"slot"`
	Group      string    `json:"group"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	State      string    `json:"state"`
}

// TouchView says how a booking is touched and what can be chosen for it.
type TouchView struct {
	TouchedBooking
	Because []booking.Because `json:"because"`
	Can     []booking.Choice  `json:"can"`
	MoveTo  string            `json:"move_to,omitempty"`
}

// AppliedView answers POST /api/v1/admin/catalogue/apply.
type AppliedView struct {
	Revision uint64          `json:"revision"`
	LeftOut  []booking.Fault `json:"left_out"`
	Ops      []booking.Op    `json:"ops"`
	Outcomes []OutcomeView   `json:"outcomes"`
}

// OutcomeView says what became of a touched booking.
type OutcomeView struct {
	TouchedBooking
	Because []booking.Because `json:"because"`
	Choice  booking.Choice    `json:"choice"`
	From    string            `json:"from,omitempty"`
}

// ExportView is a catalogue as a file.
type ExportView struct {
	Revision uint64 `json:"revision"`
	Manifest string `json:"manifest"`
}

func touchedBooking(b booking.Booking) TouchedBooking {
	return TouchedBooking{
		Booking: b.ID, Name: b.OwnerName, Experiment: b.Experiment, Slot: b.Slot, Group: b.Group, Start: b.Start, End: b.End, State: string(b.State),
	}
}

// read reads the manifest of a request.
func (c CatalogueChange) read() (booking.Change, []booking.Fault, error) {
	ch, faults, err := booking.ReadChange(strings.NewReader(c.Manifest), "manifest", c.Lenient)
	if err != nil {
		e := lodge.Wrap(lodge.CodeRefused, "The manifest cannot be used: "+err.Error()+".", err)
		if len(faults) > 0 {
			e.Details = map[string]any{"faults": faults}
		}
		return ch, faults, e
	}
	ch.Prune = c.Prune
	return ch, list(faults), nil
}

// choices reads what becomes of touched bookings.
func (c CatalogueChange) choices() (booking.Choices, error) {
	out := booking.Choices{Default: booking.Choice(c.Touched), Objects: map[booking.ObjectID]booking.Choice{}, Bookings: map[string]booking.Choice{}}
	for name, choice := range c.Objects {
		id, ok := booking.ParseObjectID(name)
		if !ok {
			return out, lodge.E(lodge.CodeRefused, "There cannot be an object "+shorten(name, 80)+"; write it as slots.NAME.")
		}
		out.Objects[id] = booking.Choice(choice)
	}
	for id, choice := range c.Bookings {
		out.Bookings[id] = booking.Choice(choice)
	}
	return out, nil
}

// mayEdit is what limits a change of the catalogue: nothing for the operator's
// command line, else the rights of a session.
type mayEdit func(before, after *booking.Catalogue, ops []booking.Op) error

// PlanCatalogue says what a change would do, and to which bookings.
func (g *Gateway) PlanCatalogue(ctx context.Context, tenant lodge.Tenant, req CatalogueChange) (PlanView, error) {
	return g.planCatalogue(ctx, tenant, req, nil)
}

func (g *Gateway) planCatalogue(ctx context.Context, tenant lodge.Tenant, req CatalogueChange, may mayEdit) (PlanView, error) {
	ch, leftOut, err := req.read()
	if err != nil {
		return PlanView{}, err
	}
	choices, err := req.choices()
	if err != nil {
		return PlanView{}, err
	}
	plan, err := g.desk.Plan(ctx, tenant, ch, booking.Decision{By: actorIn(ctx), Choices: choices, May: may})
	if err != nil {
		return PlanView{}, err
	}
	view := PlanView{Revision: plan.Revision, LeftOut: append(leftOut, plan.LeftOut...), Ops: list(plan.Ops), Touched: []TouchView{}}
	for _, touch := range plan.Touched {
		view.Touched = append(view.Touched, TouchView{TouchedBooking: touchedBooking(touch.Booking), Because: touch.Because, Can: touch.Can, MoveTo: touch.MoveTo})
	}
	return view, nil
}

// ApplyCatalogue carries out a change, in one transaction.
func (g *Gateway) ApplyCatalogue(ctx context.Context, tenant lodge.Tenant, req CatalogueChange) (AppliedView, error) {
	return g.applyCatalogue(ctx, tenant, req, nil)
}

func (g *Gateway) applyCatalogue(ctx context.Context, tenant lodge.Tenant, req CatalogueChange, may mayEdit) (AppliedView, error) {
	ch, leftOut, err := req.read()
	if err != nil {
		return AppliedView{}, err
	}
	choices, err := req.choices()
	if err != nil {
		return AppliedView{}, err
	}
	if len([]rune(req.Message)) > maxReason {
		return AppliedView{}, lodge.E(lodge.CodeRefused, fmt.Sprintf("The message has at most %d characters.", maxReason))
	}
	before, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return AppliedView{}, err
	}
	done, err := g.desk.ApplyChange(ctx, tenant, ch, booking.Decision{By: actorIn(ctx), Base: req.Base, Choices: choices, Message: req.Message, May: may})
	if !happened(err) {
		return AppliedView{}, err
	}
	g.recordApplied(ctx, tenant, done, before)
	view := AppliedView{Revision: done.Revision, LeftOut: append(leftOut, done.LeftOut...), Ops: list(done.Ops), Outcomes: []OutcomeView{}}
	for _, o := range done.Outcomes {
		view.Outcomes = append(view.Outcomes, OutcomeView{TouchedBooking: touchedBooking(o.Booking), Because: o.Because, Choice: o.Choice, From: o.From})
	}
	return view, err
}

// maxReason bounds what people read about why a booking changed, in characters.
const maxReason = 300

// recordApplied records a change of the catalogue, what became of each booking
// that it touched, and each role that it gave or took.
func (g *Gateway) recordApplied(ctx context.Context, tenant lodge.Tenant, done booking.Applied, before *booking.Catalogue) {
	if len(done.Ops) == 0 {
		return
	}
	actor := actorIn(ctx)
	named := map[booking.Action][]string{}
	for _, op := range done.Ops {
		named[op.Action] = append(named[op.Action], op.Object.String())
	}
	said := []string{fmt.Sprintf("revision %d", done.Revision)}
	for _, action := range []booking.Action{booking.Add, booking.Alter, booking.Remove} {
		if names := named[action]; len(names) > 0 {
			said = append(said, fmt.Sprintf("%s %d: %s", action, len(names), strings.Join(names, ", ")))
		}
	}
	g.record(ctx, tenant, actor, audit.CatalogueApply, "catalogue", strings.Join(said, "; "))
	for _, op := range done.Ops {
		if op.Object.Kind == "roles" {
			g.recordRole(ctx, tenant, actor, op, before)
		}
		if i := slices.IndexFunc(op.Fields, func(f booking.FieldChange) bool { return f.Field == "state" }); i >= 0 {
			g.record(ctx, tenant, actor, audit.ExperimentState, "experiment:"+op.Object.Name, string(op.Fields[i].After))
		}
	}
	for _, o := range done.Outcomes {
		action, said := audit.BookingKeep, "kept"
		switch o.Choice {
		case booking.MoveIt:
			action, said = audit.BookingMove, "moved from "+o.From+" to "+o.Booking.Experiment
		case booking.CancelIt:
			action, said = audit.CancelByOther, "cancelled: "+o.Booking.CancelReason
		}
		g.record(ctx, tenant, actor, action, "booking:"+o.Booking.ID, fmt.Sprintf("%s; revision %d; %s", said, done.Revision, becauseOf(o.Because)))
	}
}

// becauseOf says in words what touches a booking.
func becauseOf(list []booking.Because) string {
	var out []string
	for _, b := range list {
		out = append(out, b.Object.String()+" "+b.What)
	}
	return strings.Join(out, ", ")
}

// recordRole records that a role binding was given, changed or taken.
func (g *Gateway) recordRole(ctx context.Context, tenant lodge.Tenant, actor string, op booking.Op, before *booking.Catalogue) {
	old := before.Roles[op.Object.Name]
	if op.Action == booking.Remove {
		g.record(ctx, tenant, actor, audit.RoleUnbind, "role:"+op.Object.Name, bindingInWords(old))
		return
	}
	cat, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		g.log.ErrorContext(ctx, "a role binding was recorded without what it gives", "role", op.Object.Name, "err", err)
		cat = &booking.Catalogue{}
	}
	said := bindingInWords(cat.Roles[op.Object.Name])
	if op.Action == booking.Alter {
		said = "before: " + bindingInWords(old) + "; now: " + said
	}
	g.record(ctx, tenant, actor, audit.RoleBind, "role:"+op.Object.Name, said)
}

// bindingInWords says what a role binding gives.
func bindingInWords(r booking.RoleBinding) string {
	to := slices.Clone(r.Subjects)
	for _, group := range r.Groups {
		to = append(to, "group "+group)
	}
	for _, c := range r.Claims {
		to = append(to, c.Issuer+" says "+c.Claim+"="+c.Value)
	}
	return r.Role + "@" + r.Scope + " to " + strings.Join(to, ", ")
}

// ExportCatalogue writes the catalogue as a file.
func (g *Gateway) ExportCatalogue(ctx context.Context, tenant lodge.Tenant) (ExportView, error) {
	return g.exportCatalogue(ctx, tenant, nil)
}

// exportCatalogue writes what somebody may see of it: administrators and viewers
// everything, others what they may change.
func (g *Gateway) exportCatalogue(ctx context.Context, tenant lodge.Tenant, s *sessions.Session) (ExportView, error) {
	var only func(*booking.Catalogue, booking.ObjectID) bool
	if s != nil {
		p := s.Principal()
		if !p.Can(lodge.RoleViewer, lodge.ScopeTenant) {
			only = func(cat *booking.Catalogue, id booking.ObjectID) bool {
				return editor{p, cat, cat}.owns(id.Kind, id.Name)
			}
		}
	}
	cat, revision, err := g.desk.Export(ctx, tenant, only)
	if err != nil {
		return ExportView{}, err
	}
	text, err := cat.Manifest()
	return ExportView{Revision: revision, Manifest: string(text)}, err
}
