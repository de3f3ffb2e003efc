package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

// presenceEvery is how often somebody who stays in an experiment is noted again:
// a crash forgets no more than that of their time.
const presenceEvery = time.Minute

// keepSightings is how far back a register that is opened late can look.
const keepSightings = 26 * time.Hour

// presence notes who was in an experiment and when: in a log of its own, for
// registers that are opened later, and in the registers that are open. It is
// the relay's observer. Each node notes who is with it, and every gateway who is
// with the relays on their own, which have no log to note it in; who is there at
// this moment on all of them, the hub knows.
type presence struct {
	g    *Gateway
	wake chan struct{}
	logs *messaging.Shelf[sightings]

	writing sync.Mutex // held while reports are written: whoever then reads has them all

	mu      sync.Mutex
	live    map[whoseStay]*stay    // guarded by mu
	reports map[reportKey]sighting // guarded by mu; a stay's latest
}

type whoseStay struct {
	tenant lodge.Tenant
	person lodge.PersonID
}

// reportKey names a stay by who and by when it began.
type reportKey struct {
	whoseStay
	since time.Time
}

// stay is somebody in an experiment now, through any number of connections.
type stay struct {
	name  string
	since time.Time
	conns int
}

// sighting is an interval somebody was there, as it is stored.
type sighting struct {
	Person lodge.PersonID `json:"person"`
	Name   string         `json:"name"`
	From   time.Time      `json:"from"`
	To     time.Time      `json:"to"`
}

// sightings is the folded log: one sighting a stay, oldest first.
type sightings struct {
	Stays []sighting `json:"stays"`
}

func newPresence(g *Gateway) *presence {
	return &presence{
		g: g, wake: make(chan struct{}, 1),
		live: map[whoseStay]*stay{}, reports: map[reportKey]sighting{},
		logs: messaging.NewShelf(g.topics, foldSightings, messaging.JSON[sightings]("sightings/1"), 0),
	}
}

// Joined notes that somebody opened a stream.
func (p *presence) Joined(grant relay.Grant, at time.Time) {
	if grant.Kind != string(sessions.Experiment) {
		return
	}
	p.g.hub.Enter(grant.Tenant, grant.Person, grant.Name, grant.Experiment, at)
	p.mu.Lock()
	defer p.mu.Unlock()
	key := whoseStay{grant.Tenant, grant.Person}
	s := p.live[key]
	if s == nil {
		s = &stay{name: grant.Name, since: at}
		p.live[key] = s
	}
	s.conns++
	if s.conns == 1 {
		p.note(key, s, at)
	}
}

// Left notes that a stream closed.
func (p *presence) Left(grant relay.Grant, at time.Time) {
	if grant.Kind != string(sessions.Experiment) {
		return
	}
	p.g.hub.Leave(grant.Tenant, grant.Person, grant.Experiment)
	p.mu.Lock()
	defer p.mu.Unlock()
	key := whoseStay{grant.Tenant, grant.Person}
	s := p.live[key]
	if s == nil {
		return
	}
	if s.conns--; s.conns == 0 {
		delete(p.live, key)
		p.note(key, s, at)
	}
}

// note queues a report for Run; p.mu is held.
func (p *presence) note(key whoseStay, s *stay, to time.Time) {
	p.reports[reportKey{key, s.since}] = sighting{Person: key.person, Name: s.name, From: s.since, To: to}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run writes reports down until ctx ends, and then what is left.
func (p *presence) Run(ctx context.Context) error {
	ticker := time.NewTicker(presenceEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.wake:
		case <-ticker.C:
			p.noteAll()
		case <-ctx.Done():
			p.noteAll()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			p.write(last)
			p.logs.Release()
			return nil
		}
		p.write(ctx)
	}
}

func (p *presence) noteAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.g.clock.Now()
	for key, s := range p.live {
		p.note(key, s, now)
	}
}

// write stores what was reported; what fails is reported again later.
func (p *presence) write(ctx context.Context) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	reports := p.reports
	p.reports = map[reportKey]sighting{}
	p.mu.Unlock()
	for key, one := range reports {
		if err := p.record(ctx, key.tenant, one); err != nil {
			if !errors.Is(err, context.Canceled) {
				p.g.log.WarnContext(ctx, "presence", "err", err)
			}
			p.again(reports)
			return
		}
		delete(reports, key)
	}
}

// record stores one sighting and tells the registers that are open.
func (p *presence) record(ctx context.Context, tenant lodge.Tenant, one sighting) error {
	body, err := json.Marshal(one)
	if err != nil {
		return err
	}
	if err := p.log(tenant).Append(ctx, messaging.Message{Body: body}); err != nil {
		return err
	}
	return p.g.register.Seen(ctx, tenant, one.Person, one.Name, attendance.FromExperiment, one.From, one.To)
}

// again takes back reports that could not be written, but for those that were
// overtaken by a later one of the same stay.
func (p *presence) again(reports map[reportKey]sighting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, one := range reports {
		if _, newer := p.reports[key]; !newer {
			p.reports[key] = one
		}
	}
}

func (p *presence) log(tenant lodge.Tenant) *messaging.Projection[sightings] {
	return p.logs.Keep(tenant, "sightings")
}

// connected notes who was reachable by messages: a hint in the registers that are
// open, and nothing more.
func (p *presence) connected(ctx context.Context, all []messaging.Seen) {
	awaited := map[lodge.Tenant]func(lodge.PersonID) bool{}
	for _, s := range all {
		if err := p.reachable(ctx, s, awaited); err != nil && ctx.Err() == nil {
			p.g.log.WarnContext(ctx, "presence", "err", err)
		}
	}
}

// reachable notes one of them; awaited has whom registers wait for, by tenant, as
// far as it was asked.
func (p *presence) reachable(ctx context.Context, s messaging.Seen, awaited map[lodge.Tenant]func(lodge.PersonID) bool) (err error) {
	if awaited[s.Tenant] == nil {
		if awaited[s.Tenant], err = p.g.register.Awaited(ctx, s.Tenant); err != nil {
			awaited[s.Tenant] = func(lodge.PersonID) bool { return false } // it is a hint; they are told of again
			return err
		}
	}
	if !awaited[s.Tenant](s.Person) {
		return nil
	}
	return p.g.register.Seen(ctx, s.Tenant, s.Person, s.Name, attendance.FromMessages, s.From, s.To)
}

// foldSightings keeps one sighting a stay: a later report of the same stay has
// the same beginning.
func foldSightings(s *sightings, item messaging.Item) {
	var one sighting
	if json.Unmarshal(item.Body, &one) != nil || one.Person == "" {
		return
	}
	i := slices.IndexFunc(s.Stays, func(old sighting) bool { return old.Person == one.Person && old.From.Equal(one.From) })
	if i >= 0 {
		if one.To.After(s.Stays[i].To) {
			s.Stays[i].To = one.To
		}
	} else {
		s.Stays = append(s.Stays, one)
	}
	horizon := one.To.Add(-keepSightings)
	s.Stays = slices.DeleteFunc(s.Stays, func(old sighting) bool { return old.To.Before(horizon) })
}

// since returns what was seen of people from a time on, with who is there now on
// whatever node, of whom that one may not have written down the last minute.
func (p *presence) since(ctx context.Context, tenant lodge.Tenant, from time.Time) ([]attendance.Sighting, error) {
	p.noteAll()
	p.write(ctx)
	merged, err := p.g.persons.Merged(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out, err := p.now(ctx, tenant, merged)
	if err != nil {
		return nil, err
	}
	err = p.log(tenant).View(ctx, func(s *sightings) {
		for _, one := range s.Stays {
			if one.To.After(from) {
				out = append(out, attendance.Sighting{Person: merged.Of(one.Person), Name: one.Name, Source: attendance.FromExperiment, From: one.From, To: one.To})
			}
		}
	})
	return out, err
}
