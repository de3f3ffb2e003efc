package gateway

import (
	"context"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

func (g *Gateway) putMark(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r) // before what they say is looked at
	if err != nil {
		return err
	}
	var req MarkChange
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if register, err = g.correct(r.Context(), s, register, lodge.PersonID(chi.URLParam(r, "person")), req); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, registerView(register, ""))
}

// correct enters a mark by hand, for whoever keeps the register.
func (g *Gateway) correct(ctx context.Context, s sessions.Session, register attendance.Register, person lodge.PersonID, req MarkChange) (attendance.Register, error) {
	correction := attendance.Correction{Person: person, State: attendance.State(req.State), Reason: req.Reason}
	register, before, err := g.register.Correct(ctx, s.Tenant, register.ID, s.Person, []attendance.Correction{correction})
	if err != nil {
		return register, err
	}
	return register, g.corrected(ctx, s, register, before)
}

// corrected records what was changed by hand: the states, while the words stay with
// the marks, under their people's keys.
func (g *Gateway) corrected(ctx context.Context, s sessions.Session, register attendance.Register, before []attendance.Mark) error {
	for _, was := range before {
		now, _ := register.Mark(was.Person)
		g.recordBy(ctx, s, audit.RegisterMark, "register:"+register.ID, "person:"+string(was.Person)+": from "+string(was.State)+" to "+string(now.State))
	}
	return g.notifyMarked(s.Tenant, register)
}

func (g *Gateway) putApology(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r) // before what they say is looked at
	if err != nil {
		return err
	}
	var req ApologyDecision
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if register, err = g.decideApology(r.Context(), s, register, lodge.PersonID(chi.URLParam(r, "person")), req.Accept); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, registerView(register, ""))
}

func (g *Gateway) decideApology(ctx context.Context, s sessions.Session, register attendance.Register, person lodge.PersonID, accept bool) (attendance.Register, error) {
	register, err := g.register.Decide(ctx, s.Tenant, register.ID, s.Person, person, accept)
	if err != nil {
		return register, err
	}
	what := "declined"
	if accept {
		what = "accepted"
	}
	g.recordBy(ctx, s, audit.RegisterExcuse, "register:"+register.ID, "person:"+string(person)+": "+what)
	return register, g.notifyMarked(s.Tenant, register)
}

func (g *Gateway) postApology(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req ApologyRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.apologise(r.Context(), s, chi.URLParam(r, "id"), req.Words); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// apologise notes why somebody does not come, or did not, through their own login.
func (g *Gateway) apologise(ctx context.Context, s sessions.Session, id, said string) error {
	if s.Kind != sessions.Login {
		return errNotThere("register")
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return err
	}
	who, err := g.coming(ctx, s, id)
	if err != nil {
		return err
	}
	err = g.register.Apologise(ctx, s.Tenant, id, who, said)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("register")
	}
	if err != nil {
		return err
	}
	register, err := g.register.Get(ctx, s.Tenant, id)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		return nil // it is planned: who keeps it sees the apology when it opens
	}
	if err != nil {
		return err
	}
	return g.notifyMarked(s.Tenant, register)
}

// importRegister reads a table of marks or of expected names. What it makes of it is
// only told, unless that is to be applied.
func (g *Gateway) importRegister(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r) // before what they say is looked at
	if err != nil {
		return err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, attendance.MaxTable))
	if err != nil {
		return err
	}
	view, err := g.importTable(r.Context(), s, register, data, r.URL.Query().Get("names") == "true", r.URL.Query().Get("apply") == "true")
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) importTable(ctx context.Context, s sessions.Session, register attendance.Register, data []byte, names, apply bool) (ImportView, error) {
	rows, unread, err := attendance.ReadTable(data)
	if err != nil {
		return ImportView{}, err
	}
	members, err := g.classOf(ctx, s, register.Group)
	if err != nil {
		return ImportView{}, err
	}
	found := register.Read(rows, members, names)
	found.Unread = append(unread, found.Unread...)
	if apply {
		register, before, err := g.register.Apply(ctx, s.Tenant, register.ID, s.Person, found)
		if err != nil {
			return ImportView{}, err
		}
		if err := g.corrected(ctx, s, register, before); err != nil {
			return ImportView{}, err
		}
	}
	return importView(found, apply), nil
}

func importView(found attendance.Import, applied bool) ImportView {
	view := ImportView{Applied: applied, Marks: []ProposedView{}, Added: []AdditionView{}, Same: found.Same, Unread: []UnreadView{}}
	for _, m := range found.Marks {
		view.Marks = append(view.Marks, ProposedView{Line: m.Line, Person: string(m.Person), Name: m.Name, From: string(m.State), To: string(m.To), Reason: m.Why})
	}
	for _, a := range found.Added {
		view.Added = append(view.Added, AdditionView{Line: a.Line, Person: string(a.Person), Name: a.Name, Known: a.Known})
	}
	for _, u := range found.Unread {
		view.Unread = append(view.Unread, UnreadView(u))
	}
	return view
}
