package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sort"
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
	page, err := peoplePageOf(r)
	if err != nil {
		return err
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
	view, err := g.receiptsOf(r.Context(), s.Tenant, one, pos, people, page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// A peoplePage is a page of a list of people by id.
type peoplePage struct {
	after string // the last id of the page before
	limit int
}

// maxPeoplePage bounds a page of people.
const maxPeoplePage = 1000

func peoplePageOf(r *http.Request) (peoplePage, error) {
	q := r.URL.Query()
	page := peoplePage{after: q.Get("after"), limit: 200}
	if v := q.Get("limit"); v != "" {
		var err error
		if page.limit, err = strconv.Atoi(v); err != nil || page.limit < 1 || page.limit > maxPeoplePage {
			return page, lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(maxPeoplePage)+".")
		}
	}
	return page, nil
}

// cut returns where the page begins and ends in so many ids in order, and where the
// next one begins, "" on the last one.
func (p peoplePage) cut(n int, id func(int) string) (from, to int, after string) {
	from = sort.Search(n, func(i int) bool { return id(i) > p.after })
	if to = min(n, from+p.limit); to < n {
		after = id(to - 1)
	}
	return from, to, after
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
// recipients, who come by id: of all of them how many, of those on a page who.
func (g *Gateway) receiptsOf(ctx context.Context, tenant lodge.Tenant, m sent, pos messaging.Pos, people []idp.Person, page peoplePage) (ReceiptsView, error) {
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return ReceiptsView{}, err
	}
	ids, ends := everyID(merged, people)
	got, err := g.hub.Receipts(ctx, tenant, m.Notice.To, pos, ids)
	if err != nil {
		return ReceiptsView{}, err
	}
	reachable, err := g.hub.Reachable(ctx, tenant, ids)
	if err != nil {
		return ReceiptsView{}, err
	}
	view := ReceiptsView{ID: m.ID, Sent: len(people), Acknowledge: asksForIt(m.Notice.Priority), People: []ReceiptView{}}
	from, to, after := page.cut(len(people), func(i int) string { return string(people[i].ID) })
	view.After = after
	begin := 0
	for i, end := range ends {
		one := ReceiptView{Person: string(people[i].ID), Name: people[i].Name, State: furthest(got[begin:end]), Online: slices.Contains(reachable[begin:end], true)}
		begin = end
		if one.Online {
			view.Online++
		}
		switch one.State {
		case messaging.ReceiptRead:
			view.Read++
			view.Delivered++
			if view.Acknowledge {
				one.State = acknowledged
			}
		case messaging.ReceiptDelivered:
			view.Delivered++
		}
		if from <= i && i < to {
			view.People = append(view.People, one)
		}
	}
	return view, nil
}

// everyID returns the ids that people are known by, one person's behind the
// other's, and where each person's end.
func everyID(merged lodge.Merged, people []idp.Person) (ids []lodge.PersonID, ends []int) {
	others := map[lodge.PersonID][]lodge.PersonID{}
	for from, into := range merged {
		others[into] = append(others[into], from)
	}
	ids, ends = make([]lodge.PersonID, 0, len(people)), make([]int, len(people))
	for i, p := range people {
		ids = append(append(ids, p.ID), others[p.ID]...)
		ends[i] = len(ids)
	}
	return ids, ends
}

// furthest is how far a message got to somebody by any of their ids.
func furthest(receipts []messaging.Receipt) string {
	state := messaging.ReceiptSent
	for _, one := range receipts {
		if one.State == messaging.ReceiptRead || state == messaging.ReceiptSent {
			state = one.State
		}
	}
	return state
}
