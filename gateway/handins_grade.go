package gateway

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/sessions"
)

func (g *Gateway) listWork(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return err
	}
	all, err := g.handins.All(r.Context(), s.Tenant, one.ID)
	if err != nil {
		return err
	}
	missing, err := g.missing(r.Context(), s.Tenant, one, all)
	if err != nil {
		return err
	}
	view := WorksView{Work: []WorkView{}, Missing: []MissingView{}}
	for _, work := range all {
		view.Work = append(view.Work, workView(one, work))
	}
	for _, m := range missing {
		view.Missing = append(view.Missing, MissingView{Person: string(m.Person), Name: m.Name, Surname: m.Surname})
	}
	return writeJSON(w, http.StatusOK, view)
}

// getWorkFile sends a file of somebody's work, to who handed it in (signed in, for as
// long as it is kept) and to who grades it: to be kept, never to be shown by the browser
// as a page of ours.
func (g *Gateway) getWorkFile(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	person := lodge.PersonID(chi.URLParam(r, "person"))
	merged, err := g.persons.Merged(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	own := merged.Of(person) == merged.Of(s.Person)
	if !own || s.Kind != sessions.Login {
		_, _, grades, err := g.ownHandIn(r)
		if err != nil {
			return err
		}
		if !grades && !own {
			return errNotThere("file")
		}
	}
	f, contents, err := g.handins.OpenFile(r.Context(), s.Tenant, chi.URLParam(r, "id"), person, chi.URLParam(r, "file"))
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		return errNotThere("file")
	}
	if err != nil {
		return err
	}
	attachment(w, f.Name, "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Size, 10))
	_, err = io.Copy(w, contents)
	_ = contents.Close() // it was only read
	g.whole(r, err)
	return nil
}

// attachment sets the headers of what is to be kept and not shown (RFC 6266).
func attachment(w http.ResponseWriter, name, media string) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// whole breaks an answer off that has begun and cannot be whole.
func (g *Gateway) whole(r *http.Request, err error) {
	if err != nil {
		if r.Context().Err() == nil {
			g.log.ErrorContext(r.Context(), "a download broke off", "path", r.URL.Path, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

func (g *Gateway) handInZip(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return err
	}
	attachment(w, "hand-in.zip", "application/zip")
	g.recordBy(r.Context(), s, audit.HandInDownload, "handin:"+one.ID, one.Title)
	g.whole(r, g.handins.WriteZip(r.Context(), s.Tenant, one.ID, w))
	return nil
}

func (g *Gateway) handInCSV(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return err
	}
	all, err := g.handins.All(r.Context(), s.Tenant, one.ID)
	if err != nil {
		return err
	}
	missing, err := g.missing(r.Context(), s.Tenant, one, all)
	if err != nil {
		return err
	}
	csvHeader(w, "hand-in")
	return g.handins.WriteCSV(r.Context(), s.Tenant, one.ID, missing, w)
}

func (g *Gateway) putGrade(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.gradedHandIn(r) // before what they say is looked at
	if err != nil {
		return err
	}
	var req GradeRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	work, err := g.grade(r.Context(), s, one, lodge.PersonID(chi.URLParam(r, "person")), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, work)
}

// grade grades somebody's work: of whoever has handed in, or still is to.
func (g *Gateway) grade(ctx context.Context, s sessions.Session, one handin.HandIn, person lodge.PersonID, req GradeRequest) (WorkView, error) {
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return WorkView{}, err
	}
	person = merged.Of(person)
	all, err := g.handins.All(ctx, s.Tenant, one.ID)
	if err != nil {
		return WorkView{}, err
	}
	missing, err := g.missing(ctx, s.Tenant, one, all)
	if err != nil {
		return WorkView{}, err
	}
	known := false
	for _, work := range all {
		known = known || work.Person == person
	}
	for _, m := range missing {
		known = known || m.Person == person
	}
	if !known {
		return WorkView{}, errNotThere("work")
	}
	corrected, err := g.handins.Grade(ctx, s.Tenant, one.ID, person, s.Person, req.Points, req.Words)
	if err != nil {
		return WorkView{}, err
	}
	reason := "of person:" + string(person)
	if corrected {
		reason += ", after the release"
		if err := g.notify(s.Tenant, "user:"+string(person), messaging.TypeHandIn, HandInChanged{HandIn: one.ID, Title: one.Title, Change: "graded"}); err != nil {
			return WorkView{}, err
		}
	}
	g.recordBy(ctx, s, audit.Grade, "handin:"+one.ID, reason)
	if all, err = g.handins.All(ctx, s.Tenant, one.ID); err != nil {
		return WorkView{}, err
	}
	for _, work := range all {
		if work.Person == person {
			return workView(one, work), nil
		}
	}
	return WorkView{}, errNotThere("work")
}

func (g *Gateway) releaseGrades(w http.ResponseWriter, r *http.Request) error {
	one, err := g.gradesReleased(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, g.handInView(one, nil, true))
}

// gradesReleased shows everybody their grade. The event says that there are grades, and
// none of them.
func (g *Gateway) gradesReleased(r *http.Request) (handin.HandIn, error) {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return one, err
	}
	if one, err = g.handins.ReleaseGrades(r.Context(), s.Tenant, one.ID, s.Person); err != nil {
		return one, err
	}
	g.recordBy(r.Context(), s, audit.GradesRelease, "handin:"+one.ID, one.Title)
	return one, g.handInChanged(r.Context(), s.Tenant, one, one.To, "graded")
}

// exportWork is what somebody handed in, with the grades they may see.
func (g *Gateway) exportWork(ctx context.Context, s sessions.Session, ids []lodge.PersonID) ([]ExportedWork, error) {
	handed, err := g.handins.HandedInBy(ctx, s.Tenant, ids)
	if err != nil {
		return nil, err
	}
	out := []ExportedWork{}
	seen := map[string]bool{}
	for _, h := range handed {
		if seen[h.HandIn] {
			continue
		}
		seen[h.HandIn] = true
		one, err := g.handins.Get(ctx, s.Tenant, h.HandIn)
		if err != nil {
			return nil, err
		}
		mine, err := g.handins.Mine(ctx, s.Tenant, h.HandIn, s.Person)
		if err != nil {
			return nil, err
		}
		if mine == nil {
			continue
		}
		text, err := g.handins.Text(ctx, s.Tenant, h.HandIn, *mine)
		if err != nil {
			return nil, err
		}
		out = append(out, ExportedWork{HandIn: h.HandIn, Title: h.Title, Text: text, Work: workView(one, *mine)})
	}
	return out, nil
}
