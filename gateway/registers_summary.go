package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

func (g *Gateway) registerSummary(w http.ResponseWriter, r *http.Request) error {
	_, all, err := g.summary(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"people": summaryViews(all)})
}

func (g *Gateway) summaryCSV(w http.ResponseWriter, r *http.Request) error {
	group, all, err := g.summary(r)
	if err != nil {
		return err
	}
	csvHeader(w, "attendance")
	return attendance.SummaryCSV(w, group, all)
}

// summary adds up the closed registers of a group, for those who keep them, or,
// without a group, the caller's own marks in all.
func (g *Gateway) summary(r *http.Request) (string, []attendance.Summary, error) {
	s, err := g.person(r)
	if err != nil {
		return "", nil, err
	}
	group := r.URL.Query().Get("group")
	if group == "" {
		own, err := g.ownSummary(r.Context(), s)
		return "", []attendance.Summary{own}, err
	}
	if !teaches(s.Principal(), group) {
		return "", nil, lodge.E(lodge.CodeForbidden, "Only an instructor of the group keeps its register.")
	}
	registers, err := g.register.List(r.Context(), s.Tenant)
	registers = slices.DeleteFunc(registers, func(one attendance.Register) bool { return one.Group != group })
	return group, attendance.Summarise(registers), err
}

// ownSummary adds up a person's own marks.
func (g *Gateway) ownSummary(ctx context.Context, s sessions.Session) (attendance.Summary, error) {
	registers, err := g.registersOf(ctx, s)
	if err != nil {
		return attendance.Summary{}, err
	}
	for _, one := range attendance.Summarise(registers) {
		if one.Person == s.Person {
			return one, nil
		}
	}
	return attendance.Summary{Person: s.Person, Name: s.Name}, nil
}

func summaryViews(all []attendance.Summary) []SummaryView {
	views := []SummaryView{}
	for _, one := range all {
		views = append(views, SummaryView{
			Person: string(one.Person), Name: one.Name, Present: one.Present, Late: one.Late, Excused: one.Excused, Absent: one.Absent, Percent: one.Attended(),
		})
	}
	return views
}
