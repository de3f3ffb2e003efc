package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/web"
)

// rigHistory is how many changes of an experiment a technician is shown.
const rigHistory = 20

func (g *Gateway) rigsPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderRigs(w, r, http.StatusOK, nil)
}

func (g *Gateway) renderRigs(w http.ResponseWriter, r *http.Request, status int, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	views, err := g.rigsOf(r.Context(), s)
	if err != nil {
		return err
	}
	page := web.Rigs{Layout: g.layout(r, "Experiments", web.PageRigs, &s)}
	page.Problem = problem
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	all, silent := g.relay.AllPeers(r.Context(), s.Tenant)
	page.Silent = len(silent)
	rates := g.rates.of(s.Tenant, all, g.clock.Now())
	for _, v := range views {
		one := web.Experiment{Experiment: v.Experiment, Title: v.Title, Online: v.Online, Reason: v.Reason}
		if problem != nil && v.Experiment == chi.URLParam(r, "id") {
			one.Typed = r.PostFormValue("reason")
		}
		for _, stream := range cat.Experiments[v.Experiment].Streams {
			for i, peer := range all {
				if peer.Topic == stream.Topic {
					one.Peers = append(one.Peers, webPeer(peer, rates[i]))
				}
			}
		}
		if v.Booking != nil {
			b := webBooking(*v.Booking)
			b.Owner = v.owner
			one.Booking = &b
		}
		if one.History, err = g.rigEntries(r.Context(), s.Tenant, v.Experiment); err != nil {
			return err
		}
		page.Experiments = append(page.Experiments, one)
	}
	return g.pages.Render(w, status, web.PageRigs, page)
}

func webPeer(p relay.PeerStatus, rate streamRate) web.Peer {
	d := p.Dropped
	return web.Peer{
		Topic: p.Topic, Kind: p.Kind, Name: p.Name, ConnectedAt: p.ConnectedAt, In: rate.in, Out: rate.out,
		Dropped: d.Oldest + d.Overflow + d.Left + d.Refused,
	}
}

// rigEntries are the latest entries of the trail about an experiment's state and
// tests, newest first.
func (g *Gateway) rigEntries(ctx context.Context, tenant lodge.Tenant, experiment string) ([]web.AuditEntry, error) {
	if g.audit == nil {
		return nil, nil
	}
	var found []audit.Entry
	for _, action := range []audit.Action{audit.ExperimentState, audit.TestStart, audit.TestEnd} {
		some, err := g.audit.List(ctx, tenant, audit.Filter{Object: "experiment:" + experiment, Action: action, Newest: true, Limit: rigHistory})
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b audit.Entry) int { return b.Time.Compare(a.Time) })
	return g.webEntries(ctx, tenant, found[:min(len(found), rigHistory)])
}

func (g *Gateway) rigForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	online := r.PostFormValue("online") == "true"
	if err := g.setState(r, ExperimentStateRequest{Online: online, Reason: r.PostFormValue("reason")}); err != nil {
		if problem, status, mendable := problemOf(err, "That could not be changed"); mendable {
			return g.renderRigs(w, r, status, problem)
		}
		return err
	}
	if online {
		return seeOther(w, r, "/rigs", "online")
	}
	return seeOther(w, r, "/rigs", "offline")
}

// testForm opens a technician's own session on an experiment that is off-line, and
// shows its UI. The codes of the test are in what it answers: it is not a page to
// come back to.
func (g *Gateway) testForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	test, err := g.startTest(r)
	if err != nil {
		if problem, status, mendable := problemOf(err, "The test did not begin"); mendable {
			return g.renderRigs(w, r, status, problem)
		}
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	page := web.RigTest{Layout: g.layout(r, "Test", web.PageRigs, &s), Experiment: test.Experiment, Until: test.Until}
	page.Title = describe(cat, test.Experiment).title
	for _, ui := range test.UIs {
		page.UIs = append(page.UIs, web.UI{Name: ui.Name, Title: ui.Title, URL: ui.URL})
	}
	return g.pages.Render(w, http.StatusOK, web.PageRigTest, page)
}

func (g *Gateway) endTestForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.stopTest(r); err != nil {
		return err
	}
	return seeOther(w, r, "/rigs", "tested")
}
