package gateway

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/mail"
)

// How mail is sent. A letter that a node has taken is its own for so long as all
// of a round may take, and some time more.
const (
	mailRound = 16              // letters a node takes at once
	mailLanes = 4               // of them, sent at the same time
	mailLimit = time.Minute     // for one letter
	mailHold  = 6 * time.Minute // more than mailRound / mailLanes × mailLimit
	mailTries = 12              // then it is given up: after some seven hours
	mailPause = 30 * time.Second
	mailRest  = time.Hour // the longest pause between two tries
	// mailGrace is how long a letter that is under way may take when the node stops.
	mailGrace = 5 * time.Second
)

// MailCounts say what became of the letters that this node took.
type MailCounts struct {
	Sent, Retried uint64
	GivenUp       uint64 // refused for good, or tried too often
	Dropped       uint64 // nobody to send it to, or too late for it
}

// mailCounters are MailCounts as they grow.
type mailCounters struct{ sent, retried, givenUp, dropped atomic.Uint64 }

// MailCounts returns what became of the letters since the node started.
func (g *Gateway) MailCounts() MailCounts {
	c := &g.mailed
	return MailCounts{Sent: c.sent.Load(), Retried: c.retried.Load(), GivenUp: c.givenUp.Load(), Dropped: c.dropped.Load()}
}

// postman sends what waits to be sent, on every node. Which of them takes a letter
// is decided in the booking store; a node that dies over one leaves it to another,
// under the same message id.
type postman struct{ *Gateway }

// Run sends letters until ctx ends.
func (p postman) Run(ctx context.Context) error {
	tick := time.NewTicker(p.cfg.MailPoll)
	defer tick.Stop()
	for {
		for p.round(ctx) { // until there is nothing left to take
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round sends what can be taken at once, and reports whether there may be more.
func (p postman) round(ctx context.Context) bool {
	taken, err := p.desk.TakeMails(ctx, mailRound, mailHold)
	if err != nil {
		if ctx.Err() == nil {
			p.log.WarnContext(ctx, "mail cannot be read; trying again", "err", err)
		}
		return false
	}
	lanes := make(chan struct{}, mailLanes)
	var wg sync.WaitGroup
	for _, m := range taken {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			if ctx.Err() != nil { // the node is stopping: another may take it at once
				p.postpone(ctx, m, 0)
				return
			}
			p.send(ctx, m)
		})
	}
	wg.Wait()
	return len(taken) == mailRound && ctx.Err() == nil
}

// errNobody says that a letter is for nobody, now or later.
var errNobody = errors.New("nobody to write to")

// send brings one letter on its way, and settles what becomes of it.
func (p postman) send(ctx context.Context, m booking.Mail) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(mailGrace, cancel) })()
	letter, err := p.write(limited, m)
	if err == nil {
		err = p.mail.Send(limited, letter)
	}
	// It was sent or was not: that is written down even when the node is stopping.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), mailLimit)
	defer done()
	about := []any{"tenant", m.Tenant, "mail", m.ID, "kind", m.Kind, "booking", m.Booking, "tries", m.Tries}
	count := &p.mailed.sent
	switch {
	case err == nil:
	case errors.Is(err, errNobody):
		count = &p.mailed.dropped
	case errors.Is(err, mail.ErrRefused) || m.Tries >= mailTries:
		count = &p.mailed.givenUp
		p.log.ErrorContext(ctx, "mail was given up", append(about, "err", err)...)
		why := "refused for good"
		if !errors.Is(err, mail.ErrRefused) {
			why = "not taken in " + strconv.Itoa(m.Tries) + " tries"
		}
		p.record(ctx, m.Tenant, "lodge", audit.MailGivenUp, mailObject(m), string(m.Kind)+": "+why)
	default:
		p.log.WarnContext(ctx, "mail will be tried again", append(about, "err", err)...)
		p.postpone(ctx, m, min(mailPause<<min(m.Tries-1, 10), mailRest))
		p.mailed.retried.Add(1)
		return
	}
	if err := p.desk.MailSent(ctx, m); err != nil {
		p.log.WarnContext(ctx, "mail may be sent twice", append(about, "err", err)...)
	}
	count.Add(1)
}

// postpone gives a letter back, even when the node is stopping.
func (p postman) postpone(ctx context.Context, m booking.Mail, pause time.Duration) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), mailLimit)
	defer done()
	if err := p.desk.PostponeMail(ctx, m, pause); err != nil {
		p.log.WarnContext(ctx, "mail is held back for a while", "tenant", m.Tenant, "mail", m.ID, "kind", m.Kind, "booking", m.Booking, "err", err)
	}
}

// mailObject is what a letter is about, for the audit trail.
func mailObject(m booking.Mail) string {
	if m.Booking != "" {
		return "booking:" + m.Booking
	}
	return "person:" + string(m.Person)
}
