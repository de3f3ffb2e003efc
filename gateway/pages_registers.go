package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// webRegister is a register for a page: with all marks, or those of one person.
func (g *Gateway) webRegister(register attendance.Register, person lodge.PersonID) web.Register {
	out := web.Register{
		ID: register.ID, Title: register.Title, Group: register.Group, Start: register.Start, End: register.End, Open: register.Open,
		Series: register.Series != "", Coded: register.Coded && register.Open, CSV: "/api/v1/registers/" + register.ID + ".csv",
		Late: rulesView(register.Rules).Late, Least: rulesView(register.Rules).Least, Room: register.Room,
	}
	for _, m := range registerView(register, person).Marks {
		mark := web.Mark{
			Person: m.Person, Name: m.Name, State: m.State, Source: m.Source, Confirmed: m.Confirmed, FirstSeen: m.FirstSeen, LastSeen: m.LastSeen,
			Seconds: m.Seconds, Reason: m.Reason,
		}
		if m.Apology != nil {
			mark.Apology = web.Apology{Words: m.Apology.Words, State: m.Apology.State}
		}
		for _, c := range m.Changes {
			mark.Changes = append(mark.Changes, web.MarkChange{State: c.State, Reason: c.Reason, By: c.By, Time: c.Time})
		}
		if person != "" {
			out.Mine = mark
		} else {
			out.Marks = append(out.Marks, mark)
		}
	}
	over := g.clock.Now().After(register.End.Add(attendance.ApologyWindow))
	decided := out.Mine.Apology.State == attendance.Accepted || out.Mine.Apology.State == attendance.Declined
	out.Apologises = !over && !decided && (out.Mine.State == "expected" || out.Mine.State == "absent")
	return out
}

func webPlanned(p attendance.Planned) web.Register {
	rules := rulesView(p.Rules)
	out := web.Register{
		ID: p.ID, Title: p.Title, Group: p.Group, Start: p.Start, End: p.End, Planned: true, Problem: p.Problem, Late: rules.Late, Least: rules.Least, Room: rules.Room,
		Apologises: true,
	}
	for _, a := range p.Apologies {
		out.Mine.Apology = web.Apology{Words: a.Words, State: a.State}
	}
	return out
}

// groupTitle is a group as people know it.
func groupTitle(cat *booking.Catalogue, group string) string {
	return cat.Title(cat.Groups[group].Description, group)
}

// openRegisters are those that somebody keeps and that are open.
func (g *Gateway) openRegisters(ctx context.Context, s sessions.Session, cat *booking.Catalogue) ([]web.Register, error) {
	registers, err := g.registersOf(ctx, s)
	var open []web.Register
	for _, register := range registers {
		if register.Open && teaches(s.Principal(), register.Group) {
			one := g.webRegister(register, "")
			one.Group = groupTitle(cat, one.Group)
			open = append(open, one)
		}
	}
	return open, err
}

// registrarOf is the signed-in person, who must keep some register.
func (g *Gateway) registrarOf(r *http.Request) (sessions.Session, error) {
	s, err := g.person(r)
	if p := s.Principal(); err == nil && !p.Has(lodge.RoleInstructor) {
		err = lodge.E(lodge.CodeForbidden, "Only an instructor sees this; ask your laboratory if that should be you.")
	}
	return s, err
}

// registersPage is where registers are opened, planned and found again.
func (g *Gateway) registersPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderRegisters(w, r, http.StatusOK, web.SeriesForm{Minutes: "60", Times: "1"}, nil)
}

func (g *Gateway) renderRegisters(w http.ResponseWriter, r *http.Request, status int, form web.SeriesForm, problem *web.Problem) error {
	s, err := g.registrarOf(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	view := web.Registers{Layout: g.layout(r, web.Text("Registers"), web.PageTeach, &s), Form: form}
	view.Problem = problem
	if view.Form.Key == "" {
		view.Form.Key = newKey()
	}
	if view.Form.Zone == "" {
		view.Form.Zone = g.readersZone(r).String()
	}
	if view.Open, err = g.openRegisters(ctx, s, cat); err != nil {
		return err
	}
	planned, _, err := g.plannedOf(ctx, s)
	if err != nil {
		return err
	}
	inSeries := map[string]int{}
	for _, p := range planned {
		inSeries[p.Series]++
	}
	for _, p := range planned {
		one := webPlanned(p)
		one.Group, one.Series = groupTitle(cat, p.Group), inSeries[p.Series] > 1
		view.Planned = append(view.Planned, one)
	}
	registers, err := g.registersOf(ctx, s)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(cat.Groups) {
		if !teaches(s.Principal(), name) {
			continue
		}
		group := web.Group{Name: name, Title: groupTitle(cat, name)}
		view.Groups = append(view.Groups, group)
		var of []attendance.Register
		for _, register := range registers {
			if register.Group == name && !register.Open {
				of = append(of, register)
			}
		}
		if people := webTotals(attendance.Summarise(of)); len(people) > 0 {
			view.Totals = append(view.Totals, web.GroupTotals{Group: group, People: people, CSV: "/api/v1/registers/summary.csv?group=" + name})
		}
	}
	for _, register := range registers {
		if !register.Open && teaches(s.Principal(), register.Group) {
			one := g.webRegister(register, "")
			one.Group = groupTitle(cat, register.Group)
			view.Past = append(view.Past, one)
		}
	}
	return g.pages.Render(w, status, web.PageRegisters, view)
}

func webTotals(all []attendance.Summary) []web.PersonTotal {
	var out []web.PersonTotal
	for _, v := range summaryViews(all) {
		out = append(out, web.PersonTotal{Person: v.Person, Name: v.Name, Present: v.Present, Late: v.Late, Excused: v.Excused, Absent: v.Absent, Percent: v.Percent})
	}
	return out
}

// registerForm opens a register now, or plans one or several.
func (g *Gateway) registerForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.registrarOf(r)
	if err != nil {
		return err
	}
	value := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	form := web.SeriesForm{
		Title: value("title"), Group: value("group"), Start: value("start"), Zone: value("zone"), Minutes: value("minutes"), Times: value("times"),
		Late: value("late"), Least: value("least"), Room: value("room") == "yes", Key: value("key"),
	}
	path, done, err := g.openTyped(r, s, form, value("do") == "plan")
	if err != nil {
		if problem, status, mendable := problemOf(err, web.Text("The register was not opened")); mendable {
			return g.renderRegisters(w, r, status, form, problem)
		}
		return err
	}
	return seeOther(w, r, path, done)
}

// openTyped opens or plans what was typed, and says where to go on.
func (g *Gateway) openTyped(r *http.Request, s sessions.Session, form web.SeriesForm, later bool) (path, done string, err error) {
	var wrong error
	number := func(typed string) int {
		if typed == "" {
			return 0
		}
		n, err := strconv.Atoi(typed)
		if err != nil {
			wrong = lodge.E(lodge.CodeRefused, "Minutes and weeks are whole numbers.")
		}
		return n
	}
	rules := RegisterRules{Late: number(form.Late), Least: number(form.Least), Room: form.Room}
	minutes, times := number(form.Minutes), number(form.Times)
	if wrong != nil {
		return "", "", wrong
	}
	if later {
		_, err := g.plan(r.Context(), s, SeriesRequest{
			Title: form.Title, Group: form.Group, Start: form.Start, Zone: form.Zone, Minutes: minutes, Times: times, RegisterRules: rules,
		}, form.Key)
		return "/teach/registers", "series", err
	}
	register, err := g.startRegister(r.Context(), s, RegisterRequest{Title: form.Title, Group: form.Group, RegisterRules: rules}, form.Key)
	return "/teach/registers/" + register.ID, "opened", err
}

func (g *Gateway) unplanForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.registrarOf(r)
	if err != nil {
		return err
	}
	if err := g.unplan(r.Context(), s, chi.URLParam(r, "id"), r.PostFormValue("rest") == "yes"); err != nil {
		return err
	}
	return seeOther(w, r, "/teach/registers", "unplanned")
}

// registerPage is one register, as it fills.
func (g *Gateway) registerPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderRegister(w, r, http.StatusOK, web.RegisterPage{})
}

// renderRegister shows a register with what was typed.
func (g *Gateway) renderRegister(w http.ResponseWriter, r *http.Request, status int, view web.RegisterPage) error {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	problem := view.Problem
	view.Layout = g.layout(r, "", web.PageTeach, &s)
	view.Title, view.Problem, view.Here = register.Title, problem, "/teach/registers/"+register.ID
	view.Register = g.webRegister(register, "")
	view.Register.Group = groupTitle(cat, register.Group)
	if err := g.nameChanges(r.Context(), s, view.Register.Marks); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PageRegister, view)
}

// nameChanges says who changed marks by name.
func (g *Gateway) nameChanges(ctx context.Context, s sessions.Session, marks []web.Mark) error {
	var who []lodge.PersonID
	for _, m := range marks {
		for _, c := range m.Changes {
			if id := lodge.PersonID(c.By); !slices.Contains(who, id) {
				who = append(who, id)
			}
		}
	}
	if len(who) == 0 {
		return nil
	}
	people, err := g.persons.Get(ctx, s.Tenant, who...)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, p := range people {
		names[string(p.ID)] = p.Name
	}
	for i := range marks {
		for j, c := range marks[i].Changes {
			marks[i].Changes[j].By = names[c.By]
		}
	}
	return nil
}

// markForm changes a mark by hand, or decides on an apology.
func (g *Gateway) markForm(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	if err := g.readForm(w, r); err != nil {
		return err
	}
	person, done := r.PostFormValue("person"), "corrected"
	view := web.RegisterPage{Chosen: person, State: r.PostFormValue("state"), Reason: r.PostFormValue("reason")}
	switch do := r.PostFormValue("do"); do {
	case "accept", "decline":
		done = "decided"
		_, err = g.decideApology(r.Context(), s, register, lodge.PersonID(person), do == "accept")
	case "rules":
		_, err = g.correct(r.Context(), s, register, lodge.PersonID(person), MarkChange{Reason: view.Reason})
	default:
		_, err = g.correct(r.Context(), s, register, lodge.PersonID(person), MarkChange{State: view.State, Reason: view.Reason})
	}
	if err != nil {
		problem, status, mendable := problemOf(err, web.Text("The mark is as it was"))
		if !mendable {
			return err
		}
		view.Problem = problem
		return g.renderRegister(w, r, status, view)
	}
	return seeOther(w, r, "/teach/registers/"+chi.URLParam(r, "id"), done)
}

// importRegisterForm shows what a table would enter, and then enters it.
func (g *Gateway) importRegisterForm(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	table, err := readTable(w, r)
	names, apply := r.FormValue("names") == "yes", r.FormValue("do") == "apply"
	var found ImportView
	if err == nil {
		found, err = g.importTable(r.Context(), s, register, table, names, apply)
	}
	if err != nil {
		problem, status, mendable := problemOf(err, web.Text("The table was not entered"))
		if !mendable {
			return err
		}
		view := web.RegisterPage{}
		view.Problem = problem
		return g.renderRegister(w, r, status, view)
	}
	if apply {
		return seeOther(w, r, "/teach/registers/"+chi.URLParam(r, "id"), "table")
	}
	in := &web.RegisterImport{Table: string(table), Names: names, Same: found.Same}
	for _, m := range found.Marks {
		in.Marks = append(in.Marks, web.ImportedMark{Line: m.Line, Name: m.Name, From: m.From, To: m.To, Reason: m.Reason})
	}
	for _, a := range found.Added {
		in.Added = append(in.Added, web.ImportedName{Line: a.Line, Name: a.Name, Known: a.Known})
	}
	for _, u := range found.Unread {
		in.Unread = append(in.Unread, web.UnreadLine(u))
	}
	return g.renderRegister(w, r, http.StatusOK, web.RegisterPage{Import: in})
}

// readTable is the file that was chosen, or the table that was typed, or looked at
// before.
func readTable(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*attendance.MaxTable)
	err := r.ParseMultipartForm(attendance.MaxTable)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, "The form could not be read; send it again.", err)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }() // what stays is the system's to clear away
	if file, _, err := r.FormFile("file"); err == nil {
		data, err := io.ReadAll(file)
		if err = errors.Join(err, file.Close()); err != nil || len(data) > 0 {
			return data, err
		}
	}
	if table := r.PostFormValue("table"); strings.TrimSpace(table) != "" {
		return []byte(table), nil
	}
	return nil, lodge.E(lodge.CodeRefused, "Choose a file, or paste a table, first.")
}

func (g *Gateway) closeRegisterForm(w http.ResponseWriter, r *http.Request) error {
	register, err := g.endRegister(r)
	if err != nil {
		return err
	}
	return seeOther(w, r, "/teach/registers/"+register.ID, "closed")
}

// screenPage is for the wall of a room: the code of the moment, and nothing that is
// not for everybody's eyes.
func (g *Gateway) screenPage(w http.ResponseWriter, r *http.Request) error {
	register, s, err := g.keptRegister(r)
	if err != nil {
		return err
	}
	view := web.RegisterScreen{Layout: g.layout(r, "", web.PageScreen, &s), Address: typed(g.cfg.PublicURL) + "/attendance"}
	view.Title, view.Register = register.Title, g.webRegister(register, "")
	if view.Register.Coded {
		shown, err := g.screen(r.Context(), s, register.ID)
		if err != nil {
			return err
		}
		view.Code, view.Until, view.Next = shown.Code, shown.Until, shown.Next
		if view.QR, view.Size, err = qrPath(shown.Link); err != nil {
			return err
		}
	}
	return g.pages.Render(w, http.StatusOK, web.PageScreen, view)
}
