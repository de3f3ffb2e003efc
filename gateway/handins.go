package gateway

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/sessions"
)

// HandInChanged is the data of a lodge.handin event.
type HandInChanged struct {
	HandIn string `json:"handin"`
	Title  string `json:"title"`
	Change string `json:"change"` // opened, received, graded, closed
}

func (g *Gateway) openHandIn(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req HandInRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	opened, err := g.startHandIn(r.Context(), s, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, g.handInView(opened, nil, true))
}

// startHandIn opens a hand-in and tells its audience, unless it is to open later.
func (g *Gateway) startHandIn(ctx context.Context, s sessions.Session, req HandInRequest, key string) (handin.HandIn, error) {
	if err := g.maySend(s.Principal(), req.To); err != nil {
		return handin.HandIn{}, err
	}
	if err := g.exists(ctx, s.Tenant, req.To); err != nil {
		return handin.HandIn{}, err
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return handin.HandIn{}, err
	}
	draft := handin.Draft{
		ID: keyed(s, key), To: req.To, Title: req.Title, Instructions: req.Instructions,
		Late: handin.Late(req.Late), PerDay: req.PerDay, Points: req.Points, Limits: handin.Limits(req.Limits), After: req.After,
	}
	var err error
	if draft.Opens, err = moment(req.Opens, req.Zone, "the opening"); err != nil {
		return handin.HandIn{}, err
	}
	if draft.Deadline, err = moment(req.Deadline, req.Zone, "the deadline"); err != nil {
		return handin.HandIn{}, err
	}
	now := g.clock.Now()
	if draft.Opens.Sub(now) > maxAhead || draft.Deadline.Sub(now) > 2*maxAhead {
		return handin.HandIn{}, lodge.E(lodge.CodeRefused, "That is too far ahead: a hand-in opens within the next year, and ends in the one after it.")
	}
	opened, err := g.handins.Open(ctx, s.Tenant, s.Person, draft)
	if err != nil {
		return handin.HandIn{}, err
	}
	g.recordBy(ctx, s, audit.HandInOpen, "handin:"+opened.ID, "to "+opened.To+": "+opened.Title)
	return opened, g.tellHandIn(ctx, s.Tenant, opened)
}

// tellHandIn tells the audience of a hand-in that it is open, once that has come,
// whoever of the nodes does. Of one that opens to each person when their experiment
// ends, nobody is told before (sequel).
func (g *Gateway) tellHandIn(ctx context.Context, tenant lodge.Tenant, one handin.HandIn) error {
	standing := one.At(g.clock.Now())
	if standing == handin.Coming {
		return nil
	}
	if standing != handin.Closed && !one.After {
		if err := g.handInChanged(ctx, tenant, one, one.To, "opened"); err != nil {
			return err
		}
	}
	return g.handins.Told(ctx, tenant, one.ID)
}

// handInChanged tells a topic, of each kind of change once.
func (g *Gateway) handInChanged(ctx context.Context, tenant lodge.Tenant, one handin.HandIn, topic, change string) error {
	return g.publish(ctx, tenant, topic, messaging.TypeHandIn, "handin-"+one.ID+"-"+change,
		HandInChanged{HandIn: one.ID, Title: one.Title, Change: change})
}

// grades reports whether a principal may see what was handed in and grade it: who
// opened it, for as long as they might do so again, and the instructors of those
// who hand in.
func (g *Gateway) grades(p lodge.Principal, one handin.HandIn) bool {
	return p.Kind == string(sessions.Login) && g.maySend(p, one.To) == nil &&
		(one.By == p.Person || p.Can(lodge.RoleInstructor, lodge.Scope(one.To)))
}

// ownHandIn returns a hand-in that the caller is set or grades. That there is none
// reads like one that is not the reader's, and so does one that has not opened.
func (g *Gateway) ownHandIn(r *http.Request) (one handin.HandIn, s sessions.Session, grades bool, err error) {
	if s, err = g.caller(r); err != nil {
		return one, s, false, err
	}
	one, err = g.handins.Get(r.Context(), s.Tenant, chi.URLParam(r, "id"))
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("hand-in")
	}
	if err != nil || g.grades(s.Principal(), one) {
		return one, s, err == nil, err
	}
	member, err := g.membership(r.Context(), s)
	if err != nil {
		return one, s, false, err
	}
	set, err := g.sets(r.Context(), s.Tenant, member.topics, one)
	if err == nil && !set {
		err = errNotThere("hand-in")
	}
	return one, s, false, err
}

// sets reports whether a hand-in is set whoever hears some topics, by now.
func (g *Gateway) sets(ctx context.Context, tenant lodge.Tenant, topics []string, one handin.HandIn) (bool, error) {
	if one.At(g.clock.Now()) == handin.Coming {
		return false, nil
	}
	if one.After {
		return g.finished(ctx, tenant, topics, g.handInSequel(tenant, one))
	}
	return slices.Contains(topics, one.To), nil
}

// handInSequel is a hand-in that opens to each person when their experiment ends.
func (g *Gateway) handInSequel(tenant lodge.Tenant, one handin.HandIn) sequel {
	opened := one.OpenedAt
	if one.Opens.After(opened) {
		opened = one.Opens
	}
	closed := one.ClosedAt
	if last := one.Deadline; one.Late == handin.Refuse && !last.IsZero() && (closed.IsZero() || last.Before(closed)) {
		closed = last
	}
	return sequel{id: one.ID, to: one.To, opened: opened, closed: closed, tell: func(ctx context.Context, topic string) error {
		return g.handInChanged(ctx, tenant, one, topic, "opened")
	}}
}

// gradedHandIn returns a hand-in that the caller grades.
func (g *Gateway) gradedHandIn(r *http.Request) (handin.HandIn, sessions.Session, error) {
	one, s, grades, err := g.ownHandIn(r)
	if err == nil && !grades {
		err = lodge.E(lodge.CodeForbidden, "Only those who grade the hand-in see what others handed in.")
	}
	return one, s, err
}

// handInsOf are those a person is set or grades, newest first.
func (g *Gateway) handInsOf(ctx context.Context, s sessions.Session) ([]handin.HandIn, error) {
	all, err := g.handins.List(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, err
	}
	var own []handin.HandIn
	for _, one := range all {
		set, err := g.sets(ctx, s.Tenant, member.topics, one)
		if err != nil {
			return nil, err
		}
		if set || g.grades(s.Principal(), one) {
			own = append(own, one)
		}
	}
	return own, nil
}

func (g *Gateway) listHandIns(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	all, err := g.handInsOf(r.Context(), s)
	if err != nil {
		return err
	}
	views := []HandInView{}
	for _, one := range all {
		mine, err := g.handins.Mine(r.Context(), s.Tenant, one.ID, s.Person)
		if err != nil {
			return err
		}
		views = append(views, g.handInView(one, mine, g.grades(s.Principal(), one)))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"handins": views})
}

func (g *Gateway) getHandIn(w http.ResponseWriter, r *http.Request) error {
	one, s, grades, err := g.ownHandIn(r)
	if err != nil {
		return err
	}
	mine, err := g.handins.Mine(r.Context(), s.Tenant, one.ID, s.Person)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, g.handInView(one, mine, grades))
}

func (g *Gateway) closeHandIn(w http.ResponseWriter, r *http.Request) error {
	one, err := g.endHandIn(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, g.handInView(one, nil, true))
}

func (g *Gateway) endHandIn(r *http.Request) (handin.HandIn, error) {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return one, err
	}
	if one, err = g.handins.Close(r.Context(), s.Tenant, one.ID, s.Person); err != nil {
		return one, err
	}
	g.recordBy(r.Context(), s, audit.HandInClose, "handin:"+one.ID, "to "+one.To+": "+one.Title)
	return one, g.handInChanged(r.Context(), s.Tenant, one, one.To, "closed")
}

// handInView is a hand-in for those it is set; how many have handed in is for who
// grades it.
func (g *Gateway) handInView(one handin.HandIn, mine *handin.Work, grades bool) HandInView {
	view := HandInView{
		ID: one.ID, To: one.To, Title: one.Title, Instructions: one.Instructions, Opens: one.Opens, After: one.After, Deadline: one.Deadline,
		Late: string(one.Late), PerDay: one.PerDay, Points: one.Points, Limits: HandInLimits(one.Limits), Standing: string(one.At(g.clock.Now())),
		OpenedAt: one.OpenedAt, ClosedAt: one.ClosedAt, ReleasedAt: one.ReleasedAt,
	}
	if mine != nil {
		work := workView(one, *mine)
		view.Mine = &work
	}
	if grades {
		view.HandedIn = one.HandedIn
	}
	return view
}

func workView(one handin.HandIn, w handin.Work) WorkView {
	view := WorkView{
		Person: string(w.Person), Name: w.Name, Surname: w.Surname, Version: w.Version, At: w.At, DaysLate: w.DaysLate, SHA256: w.SHA256,
		Erased: w.Erased, Files: []FileView{},
	}
	if w.Text != nil {
		text := fileView(one, w, *w.Text)
		view.Text = &text
	}
	for _, f := range w.Files {
		view.Files = append(view.Files, fileView(one, w, f))
	}
	if g := w.Grade; g != nil {
		view.Grade = &GradeView{Points: g.Points, Counted: g.Counted, Words: g.Words, At: g.At, Version: g.Version}
	}
	return view
}

func fileView(one handin.HandIn, w handin.Work, f handin.File) FileView {
	return FileView{
		ID: f.ID, Name: f.Name, Type: f.Type, Size: f.Size, SHA256: f.SHA256,
		URL: "/api/v1/handins/" + url.PathEscape(one.ID) + "/work/" + url.PathEscape(string(w.Person)) + "/files/" + url.PathEscape(f.ID),
	}
}

// missing are those of a hand-in's audience who have handed in nothing, by surname.
func (g *Gateway) missing(ctx context.Context, tenant lodge.Tenant, one handin.HandIn, work []handin.Work) ([]handin.Hander, error) {
	people, err := g.recipients(ctx, tenant, one.To)
	if err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
		return nil, err
	}
	have := map[lodge.PersonID]bool{one.By: true}
	for _, w := range work {
		have[w.Person] = !w.At.IsZero()
	}
	var out []handin.Hander
	for _, p := range people {
		if !have[p.ID] {
			out = append(out, handin.Hander{Person: p.ID, Name: p.Name, Surname: p.FamilyName})
		}
	}
	slices.SortFunc(out, func(a, b handin.Hander) int {
		return cmp.Or(strings.Compare(a.Surname, b.Surname), strings.Compare(a.Name, b.Name), strings.Compare(string(a.Person), string(b.Person)))
	})
	return out, nil
}
