package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// acknowledged is the state of a receipt of a message that asks for it, in place
// of read: clients say that such a message was read when its reader says so.
const acknowledged = "acknowledged"

// maxReceiptsPage bounds a page of receipts.
const maxReceiptsPage = 1000

// asksForIt reports whether a priority is to be acknowledged.
func asksForIt(priority string) bool {
	return priority == priorityImportant || priority == prioritySafety
}

// receipts says who got a message of one's own.
func (g *Gateway) receipts(w http.ResponseWriter, r *http.Request) error {
	s, err := g.poster(r)
	if err != nil {
		return err
	}
	limit, q := 200, r.URL.Query()
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxReceiptsPage {
			return lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(maxReceiptsPage)+".")
		}
	}
	one, pos, err := g.sentMessage(r.Context(), s, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	people, err := g.recipients(r.Context(), s.Tenant, one.Notice.To)
	if err != nil {
		return err
	}
	slices.SortFunc(people, func(a, b idp.Person) int { return cmp.Compare(a.ID, b.ID) })
	view, err := g.receiptsOf(r.Context(), s.Tenant, one, pos, people)
	if err != nil {
		return err
	}
	after := q.Get("after")
	from, _ := slices.BinarySearchFunc(view.People, after, func(p ReceiptView, after string) int {
		if p.Person <= after {
			return -1
		}
		return 1
	})
	view.People = view.People[from:]
	if len(view.People) > limit {
		view.People = view.People[:limit]
		view.After = view.People[limit-1].Person
	}
	return writeJSON(w, http.StatusOK, view)
}

// sentMessage returns somebody's message that was sent, and where it is.
func (g *Gateway) sentMessage(ctx context.Context, s sessions.Session, id string) (sent, messaging.Pos, error) {
	one, there, err := g.sentAs(ctx, s, id)
	if err != nil {
		return sent{}, messaging.Pos{}, err
	}
	if there && !one.At.IsZero() {
		if one, there, err = g.sentAs(ctx, s, recordID(id)); err != nil {
			return sent{}, messaging.Pos{}, err
		}
		if !there {
			return sent{}, messaging.Pos{}, lodge.E(lodge.CodeConflict, "That message was not sent; see the scheduled ones.")
		}
	}
	var pos messaging.Pos
	if there {
		pos, there, err = g.topics.Locate(ctx, s.Tenant, one.Notice.To, one.ID)
	}
	if err == nil && !there {
		err = errNotThere("message")
	}
	return one, pos, err
}

// receiptsOf says what became of the message at a position for each of its
// recipients.
func (g *Gateway) receiptsOf(ctx context.Context, tenant lodge.Tenant, m sent, pos messaging.Pos, people []idp.Person) (ReceiptsView, error) {
	ids := make([]lodge.PersonID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return ReceiptsView{}, err
	}
	got, err := g.receiptsAs(ctx, tenant, merged, m.Notice.To, pos, ids)
	if err != nil {
		return ReceiptsView{}, err
	}
	present, err := g.hub.Online(ctx, tenant)
	if err != nil {
		return ReceiptsView{}, err
	}
	online := map[lodge.PersonID]bool{}
	for _, p := range present {
		online[merged.Of(p.Person)] = online[merged.Of(p.Person)] || !p.Messages.IsZero()
	}
	view := ReceiptsView{ID: m.ID, Sent: len(people), Acknowledge: asksForIt(m.Notice.Priority), People: []ReceiptView{}}
	for i, receipt := range got {
		one := ReceiptView{Person: string(ids[i]), Name: people[i].Name, State: receipt.State, Online: online[ids[i]]}
		if one.Online {
			view.Online++
		}
		switch receipt.State {
		case messaging.ReceiptRead:
			view.Read++
			view.Delivered++
			if view.Acknowledge {
				one.State = acknowledged
			}
		case messaging.ReceiptDelivered:
			view.Delivered++
		}
		view.People = append(view.People, one)
	}
	return view, nil
}

// receiptsAs returns how far a message got to each person, in their order, by
// whatever id of theirs: of several the furthest counts.
func (g *Gateway) receiptsAs(ctx context.Context, tenant lodge.Tenant, merged lodge.Merged, topic string, pos messaging.Pos, people []lodge.PersonID) ([]messaging.Receipt, error) {
	others := map[lodge.PersonID][]lodge.PersonID{}
	for from, into := range merged {
		others[into] = append(others[into], from)
	}
	var ids []lodge.PersonID
	ends := make([]int, len(people)) // of each person's ids
	for i, person := range people {
		ids = append(append(ids, person), others[person]...)
		ends[i] = len(ids)
	}
	got, err := g.hub.Receipts(ctx, tenant, topic, pos, ids)
	if err != nil {
		return nil, err
	}
	steps := []string{messaging.ReceiptSent, messaging.ReceiptDelivered, messaging.ReceiptRead}
	far := make([]messaging.Receipt, len(people))
	begin := 0
	for i, person := range people {
		step := 0
		for _, one := range got[begin:ends[i]] {
			step = max(step, slices.Index(steps, one.State))
		}
		far[i], begin = messaging.Receipt{Person: person, State: steps[step]}, ends[i]
	}
	return far, nil
}
